package ringbench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tickwire/tickwire/ringbuf"
)

const roleEnv = "TICKWIRE_RINGBENCH_ROLE"

// TestMain: with the role set this binary is the writer: path, run or rate, milliseconds.
func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	amount, _ := strconv.Atoi(os.Args[2])
	ms, _ := strconv.Atoi(os.Args[3])
	w, err := ringbuf.Create(os.Args[1], ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1 << 18})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("running")
	time.Sleep(20 * time.Millisecond) // the reader joins
	var out Written
	if role == "flood" {
		out = Flood(w, amount, time.Duration(ms)*time.Millisecond)
	} else {
		out = Pace(w, amount, time.Duration(ms)*time.Millisecond)
	}
	fmt.Println(out.Records, int64(out.Elapsed), out.Late)
	if err := w.Close(); err != nil {
		os.Exit(1)
	}
}

// across starts a writer, lets read have its ring, and returns what the writer did.
func across(tb testing.TB, role string, amount, ms int, read func(*ringbuf.Reader, func() bool)) (out Written) {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tickwire-bench-")
	if err != nil {
		dir = tb.TempDir()
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "bench.a.mbo.ring")
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(exe, path, strconv.Itoa(amount), strconv.Itoa(ms))
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var running string
	if _, err := fmt.Fscan(pipe, &running); err != nil || running != "running" {
		tb.Fatalf("writer did not start: %q, %v", running, err)
	}
	r, err := ringbuf.Open(path, ringbuf.ReaderOptions{StaleAfter: time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	limit := time.Now().Add(10*time.Second + time.Duration(ms)*time.Millisecond)
	read(r, func() bool { return r.State() == ringbuf.StateStopped && !r.Wait(0) || time.Now().After(limit) })
	var elapsed int64
	if _, err := fmt.Fscan(pipe, &out.Records, &elapsed, &out.Late); err != nil {
		tb.Fatal(err)
	}
	out.Elapsed = time.Duration(elapsed)
	return out
}

func TestFloodAndDrain(t *testing.T) {
	var got Read
	wrote := across(t, "flood", 16, 300, func(r *ringbuf.Reader, stop func() bool) { got = Drain(r, 64, stop) })
	t.Logf("written %.1f M/s, read %.1f M/s, %d lost of %d", perUs(wrote.Records, wrote.Elapsed), perUs(got.Records, wrote.Elapsed), got.Lost, wrote.Records)
	if got.Bad != 0 || got.Records+got.Lost != wrote.Records || got.Records == 0 {
		t.Errorf("%+v of %+v", got, wrote)
	}
}

func TestPaceAndLatencies(t *testing.T) {
	var ns []uint64
	var got Read
	wrote := across(t, "pace", 100_000, 200, func(r *ringbuf.Reader, stop func() bool) {
		got = Latencies(r, func(v uint64) { ns = append(ns, v) }, stop)
	})
	slices.Sort(ns)
	if len(ns) == 0 || uint64(len(ns))+got.Lost != wrote.Records || wrote.Records != 20_000 {
		t.Fatalf("%d measured, %+v of %+v", len(ns), got, wrote)
	}
	t.Logf("p50 %d ns, p90 %d ns, p99 %d ns, worst %d ns", ns[len(ns)/2], ns[len(ns)*9/10], ns[len(ns)*99/100], ns[len(ns)-1])
	if p50 := ns[len(ns)/2]; p50 == 0 || p50 > uint64(time.Second) {
		t.Error("the clocks of two processes do not agree")
	}
}

func perUs(n uint64, d time.Duration) float64 { return float64(n) / float64(d.Microseconds()) }

// BenchmarkAcrossProcesses is the rate between two processes: ns/op is of no use, the metrics are.
//
//	budget  20 M records/s written with the reader keeping up, none torn (DESIGN 10); aim 50
func BenchmarkAcrossProcesses(b *testing.B) {
	for _, run := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("run=%d", run), func(b *testing.B) {
			var got Read
			var wrote Written
			for b.Loop() {
				wrote = across(b, "flood", run, 500, func(r *ringbuf.Reader, stop func() bool) { got = Drain(r, 64, stop) })
			}
			if got.Bad != 0 {
				b.Fatalf("%d torn", got.Bad)
			}
			b.ReportMetric(perUs(wrote.Records, wrote.Elapsed), "written-M/s")
			b.ReportMetric(perUs(got.Records, wrote.Elapsed), "read-M/s")
			b.ReportMetric(100*float64(got.Lost)/float64(wrote.Records), "%lost")
		})
	}
}
