package ringbuf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// One test for the readers of all languages. Each is a program that takes commands on its input and answers on its
// output; the test drives a real Writer, gives all of them the same command at the same moment, and wants the same answer
// from all, which is the one that the Writer's own numbers demand.
//
//	writer ──> ring ══╦══> Go      this binary, conformance_reader_test.go
//	   │              ╠══> C       testdata/conform.c
//	 test ── same     ╠══> Rust    rust/examples/ringcheck.rs
//	   │     command  ╠══> Java    java/test/RingCheck.java
//	   └──────────────╩══> Python  python/ringcheck.py, with numpy and without
//
//	open PATH live|half|oldest STALE_MS    join MODE    seek NUMBER    state    stale MS    wait MS
//	drain BATCH     reads until a look at the header gives nothing new: count, checksum of all words, lost, what happened, how it ended
//	typed           the same, each record printed field by field
//	follow MS 0|1   reads for some time (1: sleeping when there is nothing), checking that each word is wordOf its record
//	speed BATCH MS  reads all that the ring holds, again and again
//	latency MS      ns from the time in each record's first word to the clock after it was validated: how many, median, 90 %
//	instopen PATH   lookup PUBLISHER ID    find PUBLISHER SYMBOL
//
// An answer is lines up to one that is "."; an error is "error" and its name.

// speaker is a reader's program.
type speaker struct {
	name string
	p    *process
	in   io.WriteCloser
}

// toolchain is a language's: build makes the program, from what lies in this folder, in dir.
type toolchain struct {
	name  string
	tools []string
	build func(dir string) (*exec.Cmd, error)
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func pythonReader(args ...string) func(string) (*exec.Cmd, error) {
	return func(dir string) (*exec.Cmd, error) {
		lib := filepath.Join(dir, "tickring.so")
		build := exec.Command(python(), "-m", "tickring.build", "c", lib)
		build.Env = append(os.Environ(), "PYTHONPATH=python", "PYTHONDONTWRITEBYTECODE=1", "CC=gcc")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		cmd := exec.Command(python(), append([]string{"python/ringcheck.py"}, args...)...)
		cmd.Env = append(os.Environ(), "TICKRING_LIB="+lib, "PYTHONDONTWRITEBYTECODE=1")
		return cmd, nil
	}
}

// python is the first interpreter that has numpy, or any.
var python = sync.OnceValue(func() string {
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import numpy").Run() == nil {
			return name
		}
	}
	return "python3"
})

var toolchains = []toolchain{
	{"Go", nil, func(string) (*exec.Cmd, error) {
		exe, err := os.Executable()
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), roleEnv+"=conform", "GORACE=atexit_sleep_ms=0")
		return cmd, err
	}},
	{"C", []string{"gcc"}, func(dir string) (*exec.Cmd, error) {
		out := filepath.Join(dir, "conform")
		return exec.Command(out), run("gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", "c", "-o", out, "testdata/conform.c")
	}},
	{"Rust", []string{"rustc"}, func(dir string) (*exec.Cmd, error) {
		out := filepath.Join(dir, "ringcheck")
		if _, err := exec.LookPath("cargo"); err == nil {
			cmd := exec.Command("cargo", "build", "--release", "--offline", "--locked", "--manifest-path", "rust/Cargo.toml", "--example", "ringcheck")
			cmd.Env = append(os.Environ(), "CARGO_TARGET_DIR="+dir, "RUSTFLAGS=-D warnings")
			if text, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%w\n%s", err, text)
			}
			return exec.Command(filepath.Join(dir, "release", "examples", "ringcheck")), nil
		}
		if err := run("rustc", "--edition", "2021", "-O", "-D", "warnings", "--crate-type", "lib", "--crate-name", "tickring", "--out-dir", dir, "rust/src/lib.rs"); err != nil {
			return nil, err
		}
		return exec.Command(out), run("rustc", "--edition", "2021", "-O", "-D", "warnings", "--crate-name", "ringcheck", "--extern",
			"tickring="+filepath.Join(dir, "libtickring.rlib"), "-o", out, "rust/examples/ringcheck.rs")
	}},
	{"Java", []string{"javac", "java"}, func(dir string) (*exec.Cmd, error) {
		sources, err := filepath.Glob("java/tickwire/ring/*.java")
		if err != nil {
			return nil, err
		}
		classes := filepath.Join(dir, "classes")
		args := append([]string{"--release", "17", "-Xlint:all", "-Werror", "-d", classes, "java/test/RingCheck.java"}, sources...)
		return exec.Command("java", "-Xshare:auto", "-XX:+UseSerialGC", "-cp", classes, "RingCheck"), run("javac", args...)
	}},
	{"Python", []string{"gcc", "python3", "numpy"}, pythonReader()},
	{"Python without numpy", []string{"gcc", "python3"}, pythonReader("--no-numpy")},
}

// missing says which tool of a language this machine lacks; CI installs all of them.
func (l toolchain) missing() string {
	for _, tool := range l.tools {
		if tool == "numpy" {
			if exec.Command(python(), "-c", "import numpy").Run() != nil {
				return tool
			}
		} else if _, err := exec.LookPath(tool); err != nil {
			return tool
		}
	}
	return ""
}

// speakers builds and starts the programs of all languages that this machine has the tools for.
func speakers(t testing.TB) (all []*speaker) {
	t.Helper()
	built := make([]chan *exec.Cmd, len(toolchains))
	faults := make([]error, len(toolchains))
	for i, l := range toolchains {
		built[i] = make(chan *exec.Cmd, 1)
		if raceEnabled && l.name != "Go" { // the race detector sees nothing of the others, and they have been heard without it
			built[i] <- nil
			continue
		}
		dir := t.TempDir()
		if tool := l.missing(); tool != "" {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s: no %s, and CI must have it (.ci/run installs it)", l.name, tool)
			}
			t.Logf("%s is not tested: no %s on this machine", l.name, tool)
			built[i] <- nil
			continue
		}
		go func() {
			cmd, err := l.build(dir)
			faults[i] = err
			built[i] <- cmd
		}()
	}
	for i, l := range toolchains {
		cmd := <-built[i]
		if faults[i] != nil {
			t.Fatalf("%s: %v", l.name, faults[i])
		}
		if cmd == nil {
			continue
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &speaker{l.name, startProcess(t, cmd), in})
	}
	return all
}

// ask gives one command and returns the answer, or ends the test when there is none within a minute.
func (s *speaker) ask(t testing.TB, command string) string {
	t.Helper()
	s.tell(t, command)
	return s.hear(t, command)
}

func (s *speaker) tell(t testing.TB, command string) {
	t.Helper()
	if _, err := io.WriteString(s.in, command+"\n"); err != nil {
		t.Fatalf("%s: %q: %v", s.name, command, err)
	}
}

func (s *speaker) hear(t testing.TB, command string) string {
	t.Helper()
	patience := time.AfterFunc(time.Minute, func() { _ = s.p.cmd.Process.Kill() })
	defer patience.Stop()
	answer, err := readAnswer(s.p.out)
	if err != nil {
		t.Fatalf("%s: %q: %v after %q", s.name, command, err, answer)
	}
	return answer
}

func readAnswer(in *bufio.Reader) (string, error) {
	var lines []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return strings.Join(lines, "\n"), err
		}
		if line == ".\n" {
			return strings.Join(lines, "\n"), nil
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
}

// choir is all readers: what they are asked, they are asked together.
type choir struct {
	t   testing.TB
	all []*speaker
}

// want asks all for the same, and wants the same from all: an answer that contains text.
func (c choir) want(command, text string) string {
	c.t.Helper()
	for _, s := range c.all {
		s.tell(c.t, command)
	}
	return c.heard(command, text)
}

func (c choir) heard(command, text string) (first string) {
	c.t.Helper()
	for i, s := range c.all {
		answer := s.hear(c.t, command)
		if i == 0 {
			first = answer
		}
		if !strings.Contains(answer, text) {
			c.t.Errorf("%s: %q: %s\nwant %s", s.name, command, answer, text)
		} else if answer != first {
			c.t.Errorf("%s: %q: %s\n%s says: %s", s.name, command, answer, c.all[0].name, first)
		}
	}
	return first
}

// die leaves a ring as a killed producer does: no last word, its lock gone.
func (w *Writer) die() {
	_ = w.m.close()
	_ = w.lock.Close()
	w.closed = true
}

func TestConformance(t *testing.T) {
	c := choir{t, speakers(t)}
	dir := shmDir(t)

	t.Run("refusals", func(t *testing.T) { conformRefusals(choir{t, c.all}) })
	t.Run("mutants", func(t *testing.T) { conformMutants(choir{t, c.all}) })
	t.Run("records", func(t *testing.T) { conformRecords(choir{t, c.all}, dir) })
	t.Run("laps and places", func(t *testing.T) { conformLaps(choir{t, c.all}, dir) })
	t.Run("epochs and ends", func(t *testing.T) { conformEpochs(choir{t, c.all}, dir) })
	t.Run("numbers wrap", func(t *testing.T) { conformWrap(choir{t, c.all}, dir) })
	t.Run("signs of life", func(t *testing.T) { conformLife(choir{t, c.all}, dir) })
	t.Run("instruments", func(t *testing.T) { conformInstruments(choir{t, c.all}, dir) })
	t.Run("killed producers", func(t *testing.T) { conformKills(choir{t, c.all}, dir) })
	t.Run("torn reads", func(t *testing.T) { conformTorn(choir{t, c.all}, dir) })
}

// conformRefusals: what Go refuses, all refuse, each for the same reason.
func conformRefusals(c choir) {
	good, path := ringFile(c.t)
	for _, tc := range badFiles {
		if err := os.WriteFile(path, tc.change(append([]byte(nil), good...)), 0o600); err != nil {
			c.t.Fatal(err)
		}
		want := "open kind"
		if tc.want != nil {
			want = "error " + conformError(tc.want)
		}
		c.want("open "+path+" live 50", want)
	}
	c.want("open "+path+".none live 50", "error open")
	c.want("open "+filepath.Dir(path)+" live 50", "error short")
}

// conformMutants: any header at all. All readers refuse it for the same reason, or read the same, and none dies of it.
func conformMutants(c choir) {
	good, path := ringFile(c.t)
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	c.t.Logf("seed %d", seed)
	values := []uint64{0, 1, 2, 3, 4, 16, 64, 128, 512, 4096, 8192, 1 << 20, 1 << 31, 1 << 32, 1 << 40, 1 << 57, 1 << 62, 1 << 63, 1<<64 - 1}
	opened := 0
	for range 150 {
		b := append([]byte(nil), good...)
		for range rng.IntN(3) + 1 {
			// Not the names, which are printed as they are, nor the epoch: a session in change is waited for.
			at := rng.IntN(offName/8) * 8
			if rng.IntN(4) == 0 {
				at = []int{offFirst, offStartMono, offPID, offBootID, offUnused, offCursor, offHeartbeat}[rng.IntN(7)]
			}
			switch rng.IntN(3) {
			case 0:
				binary.LittleEndian.PutUint64(b[at:], values[rng.IntN(len(values))])
			case 1:
				binary.LittleEndian.PutUint32(b[at+4*rng.IntN(2):], uint32(values[rng.IntN(len(values))]))
			default:
				b[at+rng.IntN(8)] = byte(rng.Uint32())
			}
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			c.t.Fatal(err)
		}
		if strings.HasPrefix(c.want("open "+path+" half 3600000", ""), "open") {
			opened++
			c.want("drain 16", "drain read")
			c.want("join oldest", "join next")
			c.want("drain 1", "drain read")
		}
		if c.t.Failed() {
			c.t.Logf("header %x", b[:544])
			return
		}
	}
	c.t.Logf("%d of 150 were opened", opened)
}

// conformRecords: every field of the records, with values that show sign, width and place.
func conformRecords(c choir, dir string) {
	head := func(rtype uint8, words int) tick.Header {
		return tick.Header{Length: uint8(words), RType: rtype, PublisherID: 40_001, InstrumentID: 4_294_967_290, TsEvent: 18_446_744_073_709_551_613}
	}
	status := tick.Status{Header: head(tick.RTypeStatus, 10), TsRecv: 1 << 63, Action: 65_535, Reason: 2, TradingEvent: 40_000, IsTrading: 'Y', IsQuoting: 'N', IsShortSellRestricted: '~'}
	gap := tick.Gap{Header: head(tick.RTypeGap, 14), First: 1 << 63, Last: 1<<64 - 1, TsRecv: 77, State: tick.GapLost, ChannelID: 200, Line: 255, Messages: 1 << 40}
	trade := tick.Trade{Header: head(tick.RTypeTrade, 12), Price: -1_500_000_000, Size: 4_294_967_294, Action: 'T', Side: 'A', Flags: 0x88, Depth: 9, TsRecv: 1<<64 - 2, TsInDelta: -7,
		Sequence: 4_000_000_000}

	mbo := make([]tick.Mbo, 3)
	mbo[0] = tick.Mbo{Header: head(tick.RTypeMbo, 14), OrderID: 1<<64 - 1, Price: tick.UndefPrice, Size: 4_294_967_295, Flags: 0xff, ChannelID: 255, Action: 'A', Side: 'B', TsRecv: 5,
		TsInDelta: -2_147_483_648, Sequence: 4_294_967_295}
	PutStatusMbo(&mbo[1], &status)
	PutGapMbo(&mbo[2], &gap)
	events := make([]EventSlot, 2)
	events[0].PutStatus(&status)
	*(*tick.Gap)(unsafe.Pointer(&events[1])) = gap

	for _, tc := range []struct {
		kind    Kind
		publish func(w *Writer) uint64
		want    []string // one word of each record
	}{
		{KindMbo, func(w *Writer) uint64 { return PublishSlice(w, mbo) }, []string{"mbo 160 14 40001 4294967290 18446744073709551613 18446744073709551615 9223372036854775807", "status 18 10", "gap 224 14"}},
		{KindTrades, func(w *Writer) uint64 { return PublishSlice(w, []TradeSlot{{Trade: trade, MatchID: 1 << 63}}) }, []string{"trade 0 12 40001 4294967290 18446744073709551613 -1500000000 4294967294"}},
		{KindMbp1, func(w *Writer) uint64 {
			m := Mbp1Slot{TsPublish: 1 << 63, Plugin: [4]uint64{1, 1 << 63, 3, 1<<64 - 1}}
			m.Trade, m.RType, m.Length = trade, tick.RTypeMbp1, 20
			m.Levels[0] = tick.BidAskPair{BidPx: -1, AskPx: tick.UndefPrice, BidSz: 4_294_967_295, AskSz: 2, BidCt: 3, AskCt: 4_000_000_000}
			return PublishSlice(w, []Mbp1Slot{m})
		}, []string{"mbp1 1 20 40001"}},
		{KindEvents, func(w *Writer) uint64 { return PublishSlice(w, events) }, []string{"status 18 10", "gap 224 14"}},
	} {
		path := filepath.Join(dir, "types.a."+tc.kind.String()+".ring")
		w := mustCreate(c.t, path, Options{Kind: tc.kind, Slots: 1024, Dataset: "XNAS.ITCH", Publisher: 40_000, Channel: 65_535})
		c.want("open "+path+" live 60000", fmt.Sprintf("open kind %d slot %d slots 1024 name types.a.%s dataset XNAS.ITCH uuid %x minor 2 publisher 40000 channel 65535 next %d epoch 1",
			tc.kind, tc.kind.SlotBytes(), tc.kind, w.UUID(), w.Next()))
		first := tc.publish(w)
		w.PublishHint()
		got := c.want("typed", "typed lost 0 next "+fmt.Sprint(w.Next())+" epoch 1 events end none")
		for i, want := range tc.want {
			if want = fmt.Sprintf("%d %s", first+uint64(i), want); !strings.Contains(got, want) {
				c.t.Errorf("%s: no %q in\n%s", tc.kind, want, got)
			}
		}
		_ = w.Close()
	}
}

// conformLaps: batches, overruns with exact losses, joins and seeks.
func conformLaps(c choir, dir string) {
	path := filepath.Join(dir, "laps.a.mbo.ring")
	w := mustCreate(c.t, path, Options{Kind: KindMbo, Slots: 1024})
	defer w.Close()
	first := w.Next()
	c.want("open "+path+" oldest 60000", fmt.Sprintf("next %d epoch 1", first))
	c.want("drain 16", "drain read 0 bad 0 sum 0 lost 0")
	publishN(w, 100)
	c.want("state", "lag 100")
	c.want("drain 1", fmt.Sprintf("drain read 100 bad 0 sum %x lost 0 next %d epoch 1 events end none", conformSum(first, 100), w.Next()))
	lost := 0
	for _, n := range []int{1024, 1025, 5000, 3} {
		before := w.Next()
		publishN(w, n)
		missed, events := 0, ""
		if n > 1024 { // lapped: half a ring behind the newest
			missed = n - 513
			events = fmt.Sprintf("overrun@%d ", before+uint64(missed))
		}
		lost += missed
		c.want("drain 16", fmt.Sprintf("drain read %d bad 0 sum %x lost %d next %d epoch 1 events %send none",
			n-missed, conformSum(before+uint64(missed), n-missed), lost, w.Next(), events))
	}
	next := w.Next()
	for _, tc := range [][2]string{
		{"join half", fmt.Sprintf("join next %d", next-512)},
		{"join oldest", fmt.Sprintf("join next %d", next-896)},
		{"drain 4000", "drain read 896 bad 0"},
		{"join live", fmt.Sprintf("join next %d", next)},
		{fmt.Sprintf("seek %d", next-1024), fmt.Sprintf("seek next %d", next-1024)},
		{"drain 7", "drain read 1024 bad 0"},
		{fmt.Sprintf("seek %d", next-1025), "error too old"},
		{fmt.Sprintf("seek %d", next+1), "error too far"},
		{"drain 16", fmt.Sprintf("lost %d next %d", lost, next)},
	} {
		c.want(tc[0], tc[1])
	}
}

// conformSum is the checksum of n records from first on, as drain has it.
func conformSum(first uint64, n int) (sum uint64) {
	for i := range uint64(n) {
		for j := range uint64(7) {
			sum = (sum ^ wordOf(first+i, j)) * 0x100000001b3
		}
	}
	return sum
}

// conformEpochs: restarts, seen while idle and by a record, over several epochs; a run cut short; a ring replaced, and one
// that lost its name.
func conformEpochs(c choir, dir string) {
	path := filepath.Join(dir, "epochs.a.mbo.ring")
	o := Options{Kind: KindMbo, Slots: 1024}
	w := mustCreate(c.t, path, o)
	c.want("open "+path+" live 60000", "epoch 1")
	publishN(w, 50)
	_ = w.Close()
	c.want("drain 16", fmt.Sprintf("drain read 50 bad 0 sum %x lost 0 next %d epoch 1 events end stopped", conformSum(w.Next()-50, 50), w.Next()))
	w = mustCreate(c.t, path, o)
	c.want("drain 16", fmt.Sprintf("drain read 0 bad 0 sum 0 lost 0 next %d epoch 2 events epoch@%d end none", w.Next(), w.Next()))
	_ = w.Close()
	w = mustCreate(c.t, path, o)
	publishN(w, 3) // known by the record
	c.want("drain 1", fmt.Sprintf("drain read 3 bad 0 sum %x lost 0 next %d epoch 3 events epoch@%d end none", conformSum(w.Next()-3, 3), w.Next(), w.Next()-3))

	// A reader that sleeps through three producers, one of which lapped it and one of which had nothing to say.
	publishN(w, 3000)
	for range 2 {
		_ = w.Close()
		w = mustCreate(c.t, path, o)
	}
	publishN(w, 7)
	c.want("drain 16", fmt.Sprintf("drain read 7 bad 0 sum %x lost 3000 next %d epoch 5 events epoch@%d end none", conformSum(w.Next()-7, 7), w.Next(), w.Next()-7))

	// A run cut short: marks, and no more. Nobody takes them for records, and whoever had them in sight loses nothing.
	cut := w.Next()
	for n := cut; n < cut+20; n++ {
		*(*uint64)(unsafe.Add(w.slots, uintptr(n&w.mask)*w.slotSize)) = n - 1
	}
	c.want("drain 16", "drain read 0 bad 0 sum 0 lost 3000")
	w.die()
	c.want("drain 16", "drain read 0 bad 0 sum 0 lost 3000")
	w = mustCreate(c.t, path, o)
	publishN(w, 1)
	c.want("drain 16", fmt.Sprintf("drain read 1 bad 0 sum %x lost 3000 next %d epoch 6 events epoch@%d end none", conformSum(cut+1024, 1), cut+1025, cut+1024))

	// A producer that died between intent and epoch: nobody can join, and whoever is in waits.
	w.m.store64(offEpochIntent, 7)
	c.want("join live", "error restarting")
	c.want("drain 16", fmt.Sprintf("drain read 0 bad 0 sum 0 lost 3000 next %d epoch 6 events end none", cut+1025))
	w.m.store64(offEpochIntent, 6)

	// Another capacity: a new file takes the name.
	publishN(w, 2)
	_ = w.Close()
	w = mustCreate(c.t, path, Options{Kind: KindMbo, Slots: 2048})
	c.want("drain 16", fmt.Sprintf("lost 3000 next %d epoch 6 events end replaced", cut+1027))
	c.want("drain 16", "drain read 0 bad 0 sum 0 lost 3000")
	c.want("open "+path+" live 60000", fmt.Sprintf("slots 2048 name epochs.a.mbo dataset  uuid %x", w.UUID()))
	_ = w.Close()
	c.want("drain 16", "end stopped")
	if err := os.Remove(path); err != nil {
		c.t.Fatal(err)
	}
	c.want("drain 16", "end replaced")
}

// conformWrap: numbers beyond 2^63 and 2^64.
func conformWrap(c choir, dir string) {
	for i, first := range []uint64{1<<63 - 64, 1<<64 - 64} {
		path := filepath.Join(dir, fmt.Sprintf("wrap%d.a.mbo.ring", i))
		o := Options{Kind: KindMbo, TestSlots: 16, firstNumber: first}
		w := mustCreate(c.t, path, o)
		c.want("open "+path+" live 60000", fmt.Sprintf("next %d epoch 1", first))
		for range 12 {
			publishN(w, 10)
			c.want("drain 3", fmt.Sprintf("drain read 10 bad 0 sum %x lost 0 next %d", conformSum(w.Next()-10, 10), w.Next()))
		}
		w.die()
		w = mustCreate(c.t, path, Options{Kind: KindMbo, TestSlots: 16})
		publishN(w, 40)
		c.want("drain 3", fmt.Sprintf("events epoch@%d overrun@%d end none", first+120+16, w.Next()-9))
		_ = w.Close()
	}
}

// conformLife: states, stamps, the heartbeat, and sleeping until the doorbell.
func conformLife(c choir, dir string) {
	path := filepath.Join(dir, "life.a.mbp1.ring")
	w := mustCreate(c.t, path, Options{Kind: KindMbp1, Slots: 1024})
	c.want("open "+path+" live 60000", "kind 2 slot 128")
	for _, tc := range []struct {
		state  State
		stamps uint8
		alive  int
	}{{StateRunning, 0, 1}, {StateFeedDown, 3, 1}, {StateRecovering, 4, 1}, {StateFailed, 1, 0}, {StateRunning, 2, 1}} {
		w.SetState(tc.state)
		w.SetStamps(tc.stamps)
		c.want("state", fmt.Sprintf("state %d stamps %d alive %d lag 0", tc.state, tc.stamps, tc.alive))
	}
	c.want("wait 1", "wait false")
	const long = "wait 50000" // within the patience for an answer, and no machine is that busy
	for _, s := range c.all {
		s.tell(c.t, long)
	}
	begin := time.Now()
	time.Sleep(50 * time.Millisecond)
	publishN(w, 1)
	w.Beat(MonotonicNow())
	c.heard(long, "wait true")
	if took := time.Since(begin); took > 40*time.Second {
		c.t.Errorf("woken after %s: by the time-out, not by the doorbell", took)
	}
	c.want(long, "wait true") // there is something already
	c.want("drain 4", "drain read 1 bad 0")

	c.want("stale 50", "ok")
	time.Sleep(100 * time.Millisecond) // no heartbeat meanwhile
	c.want("drain 4", "events end silent")
	c.want("state", "alive 0")
	c.want("stale 60000", "ok")
	c.want("drain 4", "events end none")
	w.SetState(StateFailed)
	_ = w.Close()
	c.want("drain 4", "events end stopped")
	c.want("state", "state 4")
}

// conformInstruments: the directory.
func conformInstruments(c choir, dir string) {
	path := filepath.Join(dir, "f.a.inst")
	w, err := CreateInst(path, 64, SideOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	for id := range uint32(40) {
		d := definition(id*100_000_007, fmt.Sprintf("SYM%d", id))
		d.MinPriceIncrement, d.ContractMultiplier, d.InstrumentClass, d.ChannelID = 10_000_000, -5, 'K', 300
		if err := w.Put(d, 1<<33+uint64(id)); err != nil {
			c.t.Fatal(err)
		}
	}
	if _, err := w.Index(7, 5); err != nil { // seen, not defined
		c.t.Fatal(err)
	}
	if err := w.SetStatus(7, 300_000_021, 8); err != nil {
		c.t.Fatal(err)
	}
	c.want("instopen "+path, "instopen capacity 64 count 41")
	for _, tc := range [][2]string{
		{"lookup 7 300000021", fmt.Sprintf("inst 300000021 7 75 1 SYM3 10000000 100 -5 0 8 300 XNAS %d", uint64(1<<33+3))},
		{"lookup 7 3900000273", "inst 3900000273 7 75 1 SYM39"},
		{"lookup 7 5", "inst 5 7 0 0  0 0 0"},
		{"lookup 8 300000021", "error not found"},
		{"lookup 7 6", "error not found"},
		{"find 7 SYM39", "inst 3900000273 7"},
		{"find 8 SYM39", "error not found"},
		{"find 7 SYM", "error not found"},
	} {
		c.want(tc[0], tc[1])
	}
	w.Reset()
	c.want("lookup 7 300000021", "error not found")
	_ = w.Close()
	if w, err = CreateInst(path, 64, SideOptions{}); err != nil {
		c.t.Fatal(err)
	}
	c.want("lookup 7 300000021", "error replaced")
	_ = w.Close()
	c.want("instopen "+path+".none", "error open")
	ring := filepath.Join(dir, "types.a.mbo.ring")
	c.want("instopen "+ring, "error magic")
	c.want("open "+path+" live 50", "error magic")
}

// conformKills: producers killed at full speed, one after another, while all read; in the end each accounts for every number.
func conformKills(c choir, dir string) {
	const slots = 64
	path := filepath.Join(dir, "kill.a.mbo.ring")
	w := mustCreate(c.t, path, Options{Kind: KindMbo, TestSlots: slots})
	begin := w.Next()
	_ = w.Close()
	c.want("open "+path+" live 60000", "epoch 1")
	const span = 2500 * time.Millisecond
	command := fmt.Sprintf("follow %d 1", span.Milliseconds())
	end := time.Now().Add(span)
	for _, s := range c.all {
		s.tell(c.t, command)
	}
	kills := 0
	for ; kills < 3 || time.Until(end) > 300*time.Millisecond; kills++ {
		p := startProducer(c.t, "producer", path, KindMbo, slots, 0)
		time.Sleep(time.Duration(kills*137%1900) * time.Microsecond)
		p.kill()
	}
	answers := make([]string, len(c.all))
	for i, s := range c.all {
		answers[i] = s.hear(c.t, command)
	}
	w = mustCreate(c.t, path, Options{Kind: KindMbo, TestSlots: slots})
	defer w.Close()
	publishN(w, 10)
	for i, s := range c.all {
		var during, after seen
		var sum uint64
		_, err1 := fmt.Sscanf(answers[i], "follow read %d bad %d overruns %d epochs %d", &during.read, &during.bad, &during.overruns, &during.epochs)
		last := s.ask(c.t, "drain 16")
		_, err2 := fmt.Sscanf(last, "drain read %d bad %d sum %x lost %d next %d epoch %d", &after.read, &after.bad, &sum, &after.lost, &after.next, &after.epoch)
		if err1 != nil || err2 != nil {
			c.t.Errorf("%s: %q, %q", s.name, answers[i], last)
			continue
		}
		after.read, after.bad, after.overruns, after.epochs = after.read+during.read, after.bad+during.bad, during.overruns, during.epochs
		c.t.Logf("%d kills; %s: %s", kills, s.name, after)
		if err := after.sound(begin, w.m.load64(offUnused)); err != nil {
			c.t.Errorf("%s: %v", s.name, err)
		}
		if after.epoch != uint64(kills)+2 || after.next != w.Next() || during.epochs == 0 {
			c.t.Errorf("%s: ends at %d of epoch %d after %d changes, the writer at %d of epoch %d", s.name, after.next, after.epoch, during.epochs, w.Next(), kills+2)
		}
	}
}

// conformTorn: the smallest ring and a writer at full speed, each reader alone with it; none accepts a record that is not
// whole, and each sees those of a writer that marks nothing.
func conformTorn(c choir, dir string) {
	for _, tc := range []struct {
		role string
		kind Kind
	}{{"producer", KindMbo}, {"producer", KindMbp10}, {"broken", KindMbp10}} {
		path := filepath.Join(dir, tc.role+".a."+tc.kind.String()+".ring")
		p := startProducer(c.t, tc.role, path, tc.kind, 4, 0)
		for _, s := range c.all {
			limit := time.Now().Add(20 * time.Second)
			s.ask(c.t, "open "+path+" live 60000")
			command := "follow 500 0"
			if tc.role == "broken" {
				command = "follow 100 0"
			}
			var all seen
			for turn := 0; turn == 0 || time.Now().Before(limit); turn++ {
				var now seen
				answer := s.ask(c.t, command)
				if _, err := fmt.Sscanf(answer, "follow read %d bad %d overruns %d", &now.read, &now.bad, &now.overruns); err != nil {
					c.t.Fatalf("%s: %q: %v", s.name, answer, err)
				}
				all.read, all.bad, all.overruns = all.read+now.read, all.bad+now.bad, all.overruns+now.overruns
				if tc.role == "broken" && all.bad > 0 || tc.role != "broken" && all.read >= tornRead && all.overruns > 0 && turn > 0 {
					break
				}
			}
			c.t.Logf("%s, %s: %s: %d records read, %d torn, %d overruns", tc.role, tc.kind, s.name, all.read, all.bad, all.overruns)
			switch {
			case tc.role == "broken" && all.bad == 0:
				c.t.Errorf("%s: a writer without marks went unnoticed in %d records", s.name, all.read)
			case tc.role != "broken" && all.bad != 0:
				c.t.Errorf("%s: %d of %d records torn", s.name, all.bad, all.read)
			case tc.role != "broken" && (all.read < tornRead || all.overruns == 0):
				c.t.Errorf("%s: the writer was not fought over: %d records read, %d overruns", s.name, all.read, all.overruns)
			}
		}
		p.kill()
	}
}

// BenchmarkReaders is what a record costs that is there already, in each language: ns/op is of no use, M/s is.
//
//	budget  none: it says what to choose. seen: README, ABI.md 4
//
// The ring holds 2^18 order events, 16 MiB; all are read again and again, one at a time and in batches. Python's batches are
// columns of numpy, and its single records namedtuples.
func BenchmarkReaders(b *testing.B) {
	w := mustCreate(b, filepath.Join(shmDir(b), "speed.a.mbo.ring"), Options{Kind: KindMbo, Slots: 1 << 18})
	recs := make([]tick.Mbo, 1<<18)
	for i := range recs {
		recs[i] = tick.Mbo{Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 40_000, InstrumentID: uint32(i % 8000)}, OrderID: uint64(i), Price: int64(i) * 10_000_000, Size: 100, Action: 'A', Side: 'B'}
	}
	PublishSlice(w, recs)
	w.PublishHint()
	for _, s := range speakers(b) {
		s.ask(b, "open "+w.Path()+" oldest 3600000")
		for _, batch := range []int{1, 64, 4096} {
			b.Run(fmt.Sprintf("%s/batch=%d", strings.ReplaceAll(s.name, " ", "-"), batch), func(b *testing.B) {
				var best float64
				for b.Loop() {
					var n, ns, sum uint64
					answer := s.ask(b, fmt.Sprintf("speed %d 200", batch))
					if _, err := fmt.Sscanf(answer, "speed %d %d %x", &n, &ns, &sum); err != nil {
						b.Fatalf("%q: %v", answer, err)
					}
					best = max(best, float64(n)/float64(ns)*1e3)
				}
				b.ReportMetric(best, "M/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkReaderLatency is the time from a record's due time to the clock of a reader in another process, after it validated
// the record: medians of the turns, 100,000 records a second for 200 ms each. The process needs two cores for itself.
func BenchmarkReaderLatency(b *testing.B) {
	w := mustCreate(b, filepath.Join(shmDir(b), "latency.a.mbo.ring"), Options{Kind: KindMbo, Slots: 1 << 18})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, s := range speakers(b) {
		s.ask(b, "open "+w.Path()+" live 3600000")
		b.Run(strings.ReplaceAll(s.name, " ", "-"), func(b *testing.B) {
			var p50, p90 []uint64
			rec := make([]uint64, 7)
			for b.Loop() {
				s.ask(b, "join live")
				s.tell(b, "latency 200")
				time.Sleep(5 * time.Millisecond)
				for due, end := MonotonicNow(), MonotonicNow()+180e6; due < end; due += 10_000 {
					for MonotonicNow() < due {
					}
					rec[0] = due
					w.Publish(unsafe.Pointer(unsafe.SliceData(rec)), 1)
				}
				w.PublishHint()
				var n, half, most uint64
				answer := s.hear(b, "latency 200")
				if _, err := fmt.Sscanf(answer, "latency %d %d %d", &n, &half, &most); err != nil || n == 0 {
					b.Fatalf("%q: %v", answer, err)
				}
				p50, p90 = append(p50, half), append(p90, most)
			}
			slices.Sort(p50)
			slices.Sort(p90)
			b.ReportMetric(float64(p50[len(p50)/2]), "p50-ns")
			b.ReportMetric(float64(p90[len(p90)/2]), "p90-ns")
			b.ReportMetric(0, "ns/op")
		})
	}
}
