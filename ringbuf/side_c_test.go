package ringbuf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// sideWorld is a ring with everything beside it. The k-th order is record k, and the value of instrument 7 says k in every
// field.
type sideWorld struct {
	dir   string
	ring  *Writer
	inst  *InstWriter
	last  *LastWriter
	snap  *SnapWriter
	stats *StatsWriter
	stat  int
	from  uint64
}

func newSideWorld(t *testing.T) *sideWorld {
	t.Helper()
	w := &sideWorld{dir: shmDir(t)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := func(name string) string { return filepath.Join(w.dir, name) }
	var err error
	w.ring = mustCreate(t, path("f.0.mbo.ring"), Options{Kind: KindMbo, Slots: 1 << 16})
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
	t.Cleanup(func() {
		must(errors.Join(w.last.Close(), w.inst.Close(), w.snap.Close(), w.stats.Close()))
	})
	for id, symbol := range map[uint32]string{7: "AAPL", 8: "MSFT", 9: "QUIET"} {
		d := tick.UndefDefinition
		d.PublisherID, d.InstrumentID, d.MinLotSizeRoundLot = 2, id, 100
		copy(d.RawSymbol[:], symbol)
		must(w.inst.Put(&d, 0))
	}
	w.from = w.ring.Next()
	return w
}

func (w *sideWorld) write(count int) {
	for range count {
		n := w.ring.Next()
		rec := tick.Mbo{Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 2, InstrumentID: 7, TsEvent: n}, OrderID: n, Action: tick.ActionAdd, Side: tick.SideBid}
		w.ring.Publish(unsafe.Pointer(&rec), 1)
		slot := Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{
			Header: tick.Header{InstrumentID: 7, TsEvent: n}, Price: int64(n), Size: uint32(n),
		}}, TsPublish: n}
		w.last.Put(7, &slot)
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
	w.snap.End(seq, w.ring.Epoch(), 1, seq-first+1)
}

// TestSideFilesInC: while Go writes, a C process reads values, joins books by snapshots and looks instruments up; nothing
// is ever torn, and the ring goes on right behind each snapshot.
func TestSideFilesInC(t *testing.T) {
	for _, compiler := range [][2]string{{"gcc", "c99"}, {"g++", "c++11"}} {
		prog := buildC(t, compiler[0], compiler[1], "testdata/sidecheck.c")
		w := newSideWorld(t)
		w.write(1000)
		w.snapshot(t)
		done := make(chan struct{})
		var out []byte
		var err error
		go func() {
			defer close(done)
			out, err = exec.Command(prog, w.dir, "1").CombinedOutput()
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
			t.Fatalf("%s: %v %v: %s", compiler[0], err, scan, out)
		}
		t.Logf("%s: %d values and %d joins, %d wrong, %d times busy", compiler[0], reads, joins, bad, busy)
		if bad != 0 || reads < 1000 || joins < 10 || messages < w.from {
			t.Errorf("%s: %d values and %d joins, %d wrong, counter %d", compiler[0], reads, joins, bad, messages)
		}
		_ = w.ring.Close()
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
		{"f.stats", func([]byte) []byte { return nil }, "stats: shorter"},
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

// TestSideOffsetsInC: the header's offsets are those of the Go side, and those that ABI.md draws.
func TestSideOffsetsInC(t *testing.T) {
	header, err := os.ReadFile("c/tickring.h")
	if err != nil {
		t.Fatal(err)
	}
	abi, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#define (TW_S\w+) (\d+)`).FindAllStringSubmatch(string(header), -1) {
		got[m[1]], _ = strconv.Atoi(m[2])
	}
	for name, want := range map[string]int{
		"TW_SIDE_HEADER": sideHeaderBytes, "TW_SIDE_OFF_ABI": sideABI, "TW_SIDE_OFF_BYTE_ORDER": sideByteOrder, "TW_SIDE_OFF_ENTRY_BYTES": sideEntryBytes,
		"TW_SIDE_OFF_CAPACITY": sideCapacity, "TW_SIDE_OFF_OFFSET": sideOffset, "TW_SIDE_OFF_FILE_BYTES": sideFileBytes, "TW_SIDE_OFF_GENERATION": sideGeneration,
		"TW_SIDE_OFF_STATE": sideState, "TW_SIDE_OFF_COUNT": sideCount, "TW_SIDE_OFF_ACTIVE": snapActive, "TW_SIDE_OFF_HEARTBEAT": sideHeartbeat,
		"TW_SNAP_CONTROL": snapControl, "TW_SNAP_LINE": snapLine,
	} {
		if got[name] != want {
			t.Errorf("%s is %d, Go has %d", name, got[name], want)
		}
		if !regexp.MustCompile(`\b` + strings.ReplaceAll(strconv.Itoa(want), ",", "") + `\b`).Match(abi) {
			t.Errorf("ABI.md nowhere says %d (%s)", want, name)
		}
	}
}

// TestJoinBook: the snapshot, then the records right behind it; a ring that no longer has them, and another epoch, are told.
func TestJoinBook(t *testing.T) {
	w := newSideWorld(t)
	r, err := Open(filepath.Join(w.dir, "f.0.mbo.ring"), ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := OpenSnap(filepath.Join(w.dir, "f.0.snap"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var snap Snapshot
	if err := JoinBook(r, s, &snap); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("no snapshot yet: %v", err)
	}
	w.write(500)
	w.snapshot(t)
	w.write(20)
	if err := JoinBook(r, s, &snap); err != nil {
		t.Fatal(err)
	}
	var recs [64]tick.Mbo
	n, first, _ := PollSlice(r, recs[:])
	if first != snap.Seq+1 || n != 20 || recs[0].OrderID != snap.Seq+1 || snap.Orders != 100 || len(snap.Records) != 101 {
		t.Errorf("%d records from %d, snapshot at %d with %d orders", n, first, snap.Seq, snap.Orders)
	}
	w.write(1 << 17)
	if err := JoinBook(r, s, &snap); !errors.Is(err, ErrTooOld) {
		t.Errorf("a ring that went on: %v", err)
	}
	w.snapshot(t)
	seq := w.ring.Next() - 1
	w.snap.Begin()
	w.snap.End(seq, w.ring.Epoch()+1, 1, 0)
	if err := JoinBook(r, s, &snap); !errors.Is(err, ErrSnapshotEpoch) {
		t.Errorf("another epoch: %v", err)
	}
	_ = w.ring.Close()
}
