package ringbuf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// sideWorld is a ring with everything beside it. The k-th order is record k. The value of instrument 7 is of record k, its
// last word the sum of the others, each times its place; instrument 8 has k in each of its times and prices.
type sideWorld struct {
	t     *testing.T
	dir   string
	ring  *Writer
	inst  *InstWriter
	last  *LastWriter
	snap  *SnapWriter
	stats *StatsWriter
	stat  int
	from  uint64
	msft  tick.Definition
}

func newSideWorld(t *testing.T) *sideWorld {
	t.Helper()
	w := &sideWorld{t: t, dir: shmDir(t)}
	w.ring = mustCreate(t, filepath.Join(w.dir, "f.0.mbo.ring"), Options{Kind: KindMbo, Slots: 1 << 16})
	w.create(t)
	t.Cleanup(func() {
		if err := errors.Join(w.last.Close(), w.inst.Close(), w.snap.Close(), w.stats.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// create makes what lies beside the ring.
func (w *sideWorld) create(t *testing.T) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := func(name string) string { return filepath.Join(w.dir, name) }
	var err error
	w.inst, err = CreateInst(path("f.0.inst"), 1024, SideOptions{})
	must(err)
	w.last, err = CreateLast(path("f.0.last"), w.inst, 2, SideOptions{})
	must(err)
	w.snap, err = CreateSnap(path("f.0.snap"), 1<<12, SideOptions{})
	must(err)
	w.stats, err = CreateStats(path("f.stats"), 0, SideOptions{})
	must(err)
	w.stat, err = w.stats.Add("0.lane.messages", StatCounter)
	must(err)
	w.from = w.ring.Next()
	for id, symbol := range map[uint32]string{7: "AAPL", 8: "MSFT", 9: "QUIET"} {
		d := tick.UndefDefinition
		d.PublisherID, d.InstrumentID, d.MinLotSizeRoundLot = 2, id, 100
		copy(d.RawSymbol[:], symbol)
		must(w.inst.Put(&d, 0))
		if id == 8 {
			w.msft = d
			must(w.define(w.from))
		}
	}
	w.last.Put(5, &Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{Header: tick.Header{PublisherID: 2, InstrumentID: 7}}}}) // as a session in between would leave it
}

func (w *sideWorld) define(n uint64) error {
	w.msft.MinPriceIncrement, w.msft.StrikePrice, w.msft.Activation, w.msft.Expiration, w.msft.TsRecv = int64(n), int64(n), n, n, n
	return w.inst.Put(&w.msft, n)
}

func (w *sideWorld) write(count int) {
	for range count {
		n := w.ring.Next()
		rec := tick.Mbo{Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 2, InstrumentID: 7, TsEvent: n}, OrderID: n, Action: tick.ActionAdd, Side: tick.SideBid}
		w.ring.Publish(unsafe.Pointer(&rec), 1)
		slot := Mbp1Slot{Mbp1: tick.Mbp1{
			Trade: tick.Trade{
				Header: tick.Header{PublisherID: 2, InstrumentID: 7, TsEvent: n}, Price: int64(n), Size: uint32(n), TsRecv: n, Sequence: uint32(n),
			},
			Levels: [1]tick.BidAskPair{{BidPx: int64(n), AskPx: int64(n) + 1, AskSz: uint32(n), AskCt: uint32(n)}},
		}, TsPublish: n, Plugin: [4]uint64{n, ^n, n << 32}}
		words := unsafe.Slice((*uint64)(unsafe.Pointer(&slot)), 15)
		for i, v := range words[:14] {
			words[14] += v * uint64(2*i+1)
		}
		w.last.Put(7, &slot)
		if err := w.define(n); err != nil {
			w.t.Error(err)
		}
	}
	w.ring.PublishHint()
	w.ring.Beat(MonotonicNow())
	w.stats.Set(w.stat, w.ring.Next())
}

// snapshot writes one that has the last hundred orders.
func (w *sideWorld) snapshot(t *testing.T) {
	seq := w.ring.Next() - 1
	w.snap.Begin()
	first := max(w.from, seq-99)
	rec := tick.Mbo{Header: tick.Header{InstrumentID: 7, TsEvent: seq}, Action: tick.ActionClear}
	for id := first - 1; id <= seq; id++ {
		rec.OrderID = id
		if err := w.snap.Put(&rec); err != nil {
			t.Error(err)
		}
		rec.Action = tick.ActionAdd
	}
	w.snap.End(seq, w.ring.Epoch(), seq, seq-first+1)
}

// TestSideFilesInC: while Go writes, a C process reads values and entries, joins books by snapshots and looks instruments
// up; nothing is ever torn, and the ring goes on right behind each snapshot.
func TestSideFilesInC(t *testing.T) {
	for _, compiler := range [][2]string{{"gcc", "c99"}, {"g++", "c++11"}, {"clang", "c99"}, {"clang++", "c++11"}} {
		t.Run(compiler[0], func(t *testing.T) {
			if _, err := exec.LookPath(compiler[0]); err != nil && strings.HasPrefix(compiler[0], "clang") {
				t.Skipf("no %s on this machine", compiler[0])
			}
			prog := buildC(t, compiler[0], compiler[1], "testdata/sidecheck.c")
			w := newSideWorld(t)
			mustCreate(t, filepath.Join(w.dir, "f.0.trades.ring"), Options{Kind: KindTrades, Slots: 1024})
			w.write(1000)
			w.snapshot(t)
			done := make(chan struct{})
			var out []byte
			var err error
			go func() {
				defer close(done)
				out, err = exec.Command(prog, w.dir, "0.7").CombinedOutput()
			}()
			for running, turn := true, 0; running; turn++ {
				select {
				case <-done:
					running = false
				default:
					w.write(10)
					if turn%20 == 0 {
						w.snapshot(t)
					}
					if turn%100 == 0 {
						time.Sleep(100 * time.Microsecond) // others have work on this machine too
					}
				}
			}
			var reads, joins, bad, busy, messages uint64
			if _, scan := fmt.Sscan(string(out), &reads, &joins, &bad, &busy, &messages); scan != nil || err != nil {
				t.Fatalf("%v %v: %s", err, scan, out)
			}
			t.Logf("%d values and %d joins, %d wrong, %d times busy", reads, joins, bad, busy)
			if bad != 0 || reads < 1000 || joins < 10 || messages < w.from {
				t.Errorf("%d values and %d joins, %d wrong, counter %d", reads, joins, bad, messages)
			}
		})
	}
}

// TestSnapshotsInCAreWhole: a writer that never pauses takes the buffer from under its readers again and again, a large
// snapshot in one, a small one in the other; neither C nor Go takes a mixture for a snapshot.
func TestSnapshotsInCAreWhole(t *testing.T) {
	prog := buildC(t, "gcc", "c99", "testdata/sidecheck.c")
	w := newSideWorld(t)
	seq := uint64(0)
	next := func() {
		seq++
		records := 1 + seq%2*4000
		w.snap.Begin()
		rec := tick.Mbo{Header: tick.Header{TsEvent: seq}, OrderID: seq, TsRecv: seq}
		for range records {
			if err := w.snap.Put(&rec); err != nil {
				t.Fatal(err)
			}
		}
		w.snap.End(seq, seq, seq, records)
	}
	next()
	s, err := OpenSnap(filepath.Join(w.dir, "f.0.snap"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out []byte
	inC, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(inC)
		out, err = exec.Command(prog, w.dir, "snapshots").CombinedOutput()
	}()
	var reads, bad int
	go func() { // until the C process ends
		defer close(done)
		var got Snapshot
		for {
			select {
			case <-inC:
				return
			default:
			}
			if s.Read(&got) != nil {
				continue
			}
			reads++
			mixed := got.Ts != got.Seq || got.Epoch != got.Seq || got.Orders != uint64(len(got.Records))
			for i := range got.Records {
				mixed = mixed || got.Records[i].OrderID != got.Seq || got.Records[i].TsRecv != got.Seq
			}
			if mixed {
				bad++
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			next()
		}
	}
	var readsC, badC, busyC int
	if _, scan := fmt.Sscan(string(out), &readsC, &badC, &busyC); scan != nil || err != nil {
		t.Fatalf("%v %v: %s", err, scan, out)
	}
	t.Logf("%d written, %d read in C (%d times busy), %d in Go", seq, readsC, busyC, reads)
	if readsC < 10 || badC != 0 || reads < 10 || bad != 0 {
		t.Errorf("%d in C and %d in Go are mixtures, of %d and %d", badC, bad, readsC, reads)
	}
}

// TestSideFilesReplacedInC: a reader of files that others have taken the place of is told so by every call, and finds the
// new ones by the name. New values beside an old directory give no value.
func TestSideFilesReplacedInC(t *testing.T) {
	prog := buildC(t, "gcc", "c99", "testdata/sidecheck.c")
	w := newSideWorld(t)
	w.write(10)
	w.snapshot(t)
	cmd := exec.Command(prog, w.dir, "replaced")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, cmd)
	line := func() string {
		text, err := p.out.ReadString('\n')
		if err != nil {
			t.Fatalf("%q, %v", text, err)
		}
		return strings.TrimSpace(text)
	}
	if got := line(); got != "open" {
		t.Fatal(got)
	}
	if err := errors.Join(w.last.Close(), w.inst.Close(), w.snap.Close(), w.stats.Close()); err != nil {
		t.Fatal(err)
	}
	w.create(t)
	w.write(10)
	w.snapshot(t)
	if _, err := stdin.Write([]byte("go on\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := line(), "-3 -3 -3 -3 -3 1"; got != want {
		t.Errorf("the old files say %q, want %q", got, want)
	}
	if got, want := line(), "-3"; got != want {
		t.Errorf("the old directory with new values says %q, want %q", got, want)
	}
	if got, want := line(), "0 0 -118"; got != want {
		t.Errorf("the new files say %q, want %q", got, want)
	}
}

// TestSideFilesRefusedInC: a file that is none of ours, or another kind, is refused for its reason.
func TestSideFilesRefusedInC(t *testing.T) {
	prog := buildC(t, "gcc", "c99", "testdata/sidecheck.c")
	for _, tc := range []struct {
		file   string
		change func([]byte) []byte
		want   string
	}{
		{"f.0.inst", func(b []byte) []byte { return b[:4095] }, "inst: shorter than"},
		{"f.0.inst", func(b []byte) []byte { b[0] = 'X'; return b }, "inst: not a tickwire"},
		{"f.0.inst", func(b []byte) []byte { b[sideABI] = 2; return b }, "inst: another major"},
		{"f.0.inst", func(b []byte) []byte { b[sideByteOrder] = 9; return b }, "inst: written by a host"},
		{"f.0.last", func(b []byte) []byte { b[sideEntryBytes] = 9; return b }, "last: slot size"},
		{"f.0.snap", func(b []byte) []byte { return b[:len(b)/2] }, "snap: file size"},
		{"f.0.inst", func(b []byte) []byte { b[sideCapacity]++; return b[:len(b):len(b)] }, "inst: file size"},
		{"f.0.inst", func(b []byte) []byte { b[sideCapacity+1] = 3; return b }, "inst: capacity is not"},
		{"f.0.inst", func(b []byte) []byte { b[sideHeaderLen] = 1; return b }, "inst: header size"},
		{"f.0.inst", func(b []byte) []byte { b[sideOffset] = 8; return b }, "inst: slots begin"},
		{"f.0.snap", func(b []byte) []byte { b[sideCapacity]++; return b }, "snap: file size"},
		{"f.stats", func([]byte) []byte { return nil }, "stats: shorter"},
		{"f.stats", func(b []byte) []byte { copy(b, lastMagic); return b }, "stats: not a tickwire"},
	} {
		w := newSideWorld(t)
		path := filepath.Join(w.dir, tc.file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, tc.change(good), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(prog, w.dir, "0").CombinedOutput()
		if err == nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("%s: %v, %q; want %q", tc.file, err, out, tc.want)
		}
		_ = w.ring.Close()
	}
}
