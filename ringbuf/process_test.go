package ringbuf

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// Tests across processes: this binary, started again with roleEnv set, is a producer; testdata/ringcheck.c, compiled
// by the test, is a reader in C; and the test itself is a reader in Go. Every payload word is a function of the
// record's number (wordOf), so that a record mixed from two, or left over, is seen.

const roleEnv = "TICKWIRE_RINGBUF_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "producer":
		produce(os.Args[1:], (*Writer).Publish)
	case "reader":
		readAndStay(os.Args[1:])
	case "conform":
		conform()
	case "broken":
		produce(os.Args[1:], publishBroken)
	}
}

// wordOf is word j of the payload of record number.
func wordOf(number, j uint64) uint64 {
	x := number*0x9E3779B97F4A7C15 + j*0xBF58476D1CE4E5B9
	return x ^ x>>29
}

func fillWords(recs []uint64, words int, first uint64) {
	for i := range recs {
		recs[i] = wordOf(first+uint64(i/words), uint64(i%words))
	}
}

// countBad counts records that are not what was written.
func countBad(recs []uint64, words int, first uint64) (bad int) {
	for at := 0; at < len(recs); at += words {
		for j, w := range recs[at : at+words] {
			if w != wordOf(first+uint64(at/words), uint64(j)) {
				bad++
				break
			}
		}
	}
	return bad
}

// produce publishes runs of changing length at full speed until it is killed or for some milliseconds.
//
//	arguments: path, kind, slots, milliseconds (0: for ever)
func produce(args []string, publish func(*Writer, unsafe.Pointer, int) uint64) {
	kind, err := ParseKind(args[1])
	check := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	check(err)
	slots, err := strconv.ParseUint(args[2], 10, 64)
	check(err)
	ms, err := strconv.Atoi(args[3])
	check(err)
	w, err := Create(args[0], Options{Kind: kind, TestSlots: slots})
	check(err)
	words := kind.PayloadBytes() / 8
	recs := make([]uint64, 64*words)
	fmt.Println("running", w.Epoch(), w.Next())
	end := MonotonicNow() + uint64(ms)*1e6
	for pass := 0; ; pass++ {
		n := pass%64 + 1
		fillWords(recs[:n*words], words, w.Next())
		publish(w, unsafe.Pointer(unsafe.SliceData(recs)), n)
		w.PublishHint()
		if pass%64 == 0 {
			now := MonotonicNow()
			w.Beat(now)
			if ms != 0 && now > end {
				break
			}
		}
	}
	fmt.Println("done", w.Next())
	check(w.Close())
}

// publishBroken publishes last and marks nothing: the writer that most people would write, and that tears.
func publishBroken(w *Writer, recs unsafe.Pointer, n int) uint64 {
	first := w.next
	payload := w.slotSize - slotHeadBytes
	for i := range uintptr(n) {
		slot := unsafe.Add(w.slots, uintptr(w.next&w.mask)*w.slotSize)
		storeWords(unsafe.Add(slot, slotHeadBytes), unsafe.Add(recs, i*payload), int(payload/8))
		storeWords(slot, unsafe.Pointer(&w.next), 1)
		w.next++
	}
	return first
}

// process is a helper that has said its first line.
type process struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func startProcess(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, bufio.NewReader(pipe)}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return p
}

// startProducer starts this binary as a producer and waits until its ring is there.
func startProducer(t testing.TB, role, path string, k Kind, slots uint64, ms int) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, path, k.String(), strconv.FormatUint(slots, 10), strconv.Itoa(ms))
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GOMAXPROCS=1", "GORACE=atexit_sleep_ms=0")
	p := startProcess(t, cmd)
	var epoch, next uint64
	if _, err := fmt.Fscanf(p.out, "running %d %d\n", &epoch, &next); err != nil {
		t.Fatalf("producer did not start: %v", err)
	}
	return p
}

// kill ends a producer as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// seen is what a reader has to report.
type seen struct {
	read, bad, lost, overruns, epochs, next, epoch uint64
}

func (s seen) String() string {
	return fmt.Sprintf("%d read, %d bad, %d lost, %d overruns, %d epochs, next %d of epoch %d", s.read, s.bad, s.lost, s.overruns, s.epochs, s.next, s.epoch)
}

// readFor reads and checks a ring until stop says so, with the number of records so far, asked now and then.
func readFor(t testing.TB, r *Reader, stop func(s *seen) bool) (s seen) {
	t.Helper()
	words := r.Kind().PayloadBytes() / 8
	recs := make([]uint64, 16*words)
	buf := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(recs))), len(recs)*8)
	for turn := 0; ; turn++ {
		n, first, st := r.Poll(buf, turn%16+1)
		switch st {
		case OK:
			s.read += uint64(n)
			s.bad += uint64(countBad(recs[:n*words], words, first))
		case Overrun:
			s.overruns++
		case EpochChanged:
			s.epochs++
		default:
			if turn%64 == 0 {
				runtime.Gosched()
			}
		}
		if st == Replaced || turn%16 == 0 && stop(&s) {
			s.lost, s.next, s.epoch = r.Lost(), r.Next(), r.Epoch()
			return s
		}
	}
}

func after(d time.Duration) func(*seen) bool {
	end := time.Now().Add(d)
	return func(*seen) bool { return time.Now().After(end) }
}

// cCompiler finds a compiler or skips the test, unless CI must have it.
func cCompiler(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" && name != "clang" {
			t.Fatalf("no %s, and CI must have it", name)
		}
		t.Skipf("no %s on this machine", name)
	}
	return path
}

// buildC compiles one C file with the reader's header, warnings being errors.
func buildC(t testing.TB, compiler, std, source string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "prog")
	args := []string{"-std=" + std, "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", "c", "-o", out}
	if strings.HasSuffix(compiler, "++") {
		args = append(args, "-x", "c++")
	}
	cmd := exec.Command(cCompiler(t, compiler), append(args, source)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, text)
	}
	return out
}

// startCReader starts testdata/ringcheck.c on a ring; it reads from here on.
func startCReader(t testing.TB, prog, path string, d time.Duration, more ...string) *process {
	t.Helper()
	args := append([]string{path, strconv.Itoa(int(d.Milliseconds()))}, more...)
	p := startProcess(t, exec.Command(prog, args...))
	if line, err := p.out.ReadString('\n'); line != "joined\n" {
		t.Fatalf("C reader: %q, %v", line, err)
	}
	return p
}

// report waits for a C reader's line.
func (p *process) report(t testing.TB) (s seen) {
	t.Helper()
	if _, err := fmt.Fscan(p.out, &s.read, &s.bad, &s.lost, &s.overruns, &s.epochs, &s.next, &s.epoch); err != nil {
		t.Fatalf("C reader's report: %v", err)
	}
	_, _ = io.Copy(io.Discard, p.out)
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("C reader: %v", err)
	}
	return s
}

// shmDir is a directory in shared memory for a test, or an ordinary one where there is none.
func shmDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tickwire-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
