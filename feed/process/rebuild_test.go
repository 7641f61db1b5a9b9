package process

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

// TestSnapshotAfterRebuild: the reader that keeps .snap follows a lane through a loss and the rebuilding of its books, told in many passes
// between live rows: afterwards its books are the lane's.
func TestSnapshotAfterRebuild(t *testing.T) {
	path := func(dir, name string) string { return filepath.Join(dir, name) }
	dir := t.TempDir()
	w, err := ringbuf.Create(path(dir, "f.0.mbo.ring"), ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1 << 17})
	must(t, err)
	defer w.Close()
	inst, err := ringbuf.CreateInst(path(dir, "f.0.inst"), 256, ringbuf.SideOptions{})
	must(t, err)
	defer inst.Close()
	last, err := ringbuf.CreateLast(path(dir, "f.0.last"), inst, 2, ringbuf.SideOptions{})
	must(t, err)
	defer last.Close()
	s, err := newSnapshotter(path(dir, "f.0.mbo.ring"), path(dir, "f.0.snap"), path(dir, "f.0.inst"), path(dir, "f.0.last"), 1024, 0, 2, book.Options{}, ringbuf.SideOptions{})
	must(t, err)
	defer s.close()

	books, err := book.New(book.Options{})
	must(t, err)
	defer books.Close()
	rs, err := resync.New(resync.Options{Books: books, LogBytes: 1 << 20, Fetch: func(context.Context, string, func([]byte, int) error) (uint64, error) {
		return 0, errors.New("stepped by hand")
	}})
	must(t, err)
	defer rs.Close()
	directory, err := symbols.New(0)
	must(t, err)
	now := uint64(1_767_589_200_000_000_000)
	lane, err := pipeline.New(pipeline.Config{
		Publisher: 2, Books: books, Symbols: directory, Out: pipeline.Outputs{Mbo: w, Instruments: inst, Last: last}, Resync: rs,
		Midnight: func(uint64) (uint64, error) { return now, nil }, Clock: func() uint64 { return now },
	})
	must(t, err)
	defer lane.Close()

	g, err := itchgen.New(itchgen.Options{Messages: 20_000, Symbols: 40, Seed: 12})
	must(t, err)
	var venue glimpse.State
	number, buf := uint64(0), []byte(nil)
	give := func(n int, lost bool) { // a packet, or the loss of one
		first := number + 1
		var blocks []byte
		for range n {
			buf, _ = g.Next(buf[:0])
			blocks = append(binary.BigEndian.AppendUint16(blocks, uint16(len(buf))), buf...)
			venue.Apply(buf)
			number++
		}
		now += 10_000
		lane.SetNow(now)
		if lost {
			lane.Gap(session.Gap{First: first, Last: number, State: tick.GapLost})
		} else {
			lane.Messages(blocks, first, n, session.Arrival{TsRecv: now})
		}
		lane.EndPass()
		s.follow(1 << 16)
	}
	lane.SetNow(now)
	lane.SessionStart([10]byte{1})
	for number < 10_000 {
		give(20, false)
	}
	marked := func() (yes, no int) { // instruments of .snap, by whether their records say that they may be wrong
		t.Helper()
		s.next = time.Time{}
		must(t, s.write(time.Now()))
		r, err := ringbuf.OpenSnap(path(dir, "f.0.snap"))
		must(t, err)
		defer r.Close()
		var snap ringbuf.Snapshot
		must(t, r.Read(&snap))
		for i := range snap.Records {
			switch rec := &snap.Records[i]; {
			case rec.Action != tick.ActionClear:
			case rec.Flags&tick.FlagMaybeBadBook != 0:
				yes++
			default:
				no++
			}
		}
		return yes, no
	}
	if yes, no := marked(); yes != 0 || no == 0 {
		t.Errorf("before the loss %d instruments are marked, %d are not", yes, no)
	}
	give(500, true)
	if yes, no := marked(); yes == 0 || no != 0 {
		t.Errorf("after the loss %d instruments are marked, %d are not", yes, no)
	}
	give(20, false)
	if yes, no := marked(); yes == 0 || no != 0 {
		t.Errorf("with rows behind the loss %d instruments are marked, %d are not", yes, no)
	}
	worker := rs.Worker()
	if !worker.Begin() {
		t.Fatal("nothing is wanted")
	}
	blocks, next := venue.Snapshot(nil)
	n := 0
	for rest := blocks; len(rest) > 0; n++ {
		rest = rest[2+int(binary.BigEndian.Uint16(rest)):]
	}
	must(t, worker.Snapshot(blocks, n))
	must(t, worker.End(next))
	passes, halfway := 0, false
	for ; lane.Resync().Counters.LiveState != 0; passes++ {
		if lane.Resync().Counters.LiveState == 1 {
			_, err := worker.Step(1)
			must(t, err)
		}
		give(1, false)
		if yes, no := marked(); yes != 0 && no != 0 {
			halfway = true
		}
		if passes > 5000 {
			t.Fatalf("not rebuilt: %+v", lane.Resync().Counters)
		}
	}
	if passes < 20 {
		t.Errorf("told in %d passes: no live row came between", passes)
	}
	for s.follow(1 << 16) {
	}
	if yes, no := marked(); yes != 0 || no == 0 || !halfway {
		t.Errorf("after the rebuild %d instruments are marked, %d are not; while it was told, some of both: %v", yes, no, halfway)
	}
	orders := func(b *book.Books, id uint32) (all []book.Order) {
		b.Walk(id, func(o book.Order) bool { o.MPID = 0; all = append(all, o); return true })
		return all
	}
	books.Instruments(func(id uint32) bool {
		if want, got := orders(books, id), orders(s.books, id); !slices.Equal(want, got) {
			t.Errorf("instrument %d: %d orders, want %d", id, len(got), len(want))
		}
		return true
	})
	if a, b := books.Counters().Orders, s.books.Counters().Orders; a != b || int(a) != venue.Orders() || a == 0 {
		t.Errorf("%d orders in the lane, %d at the reader, %d at the venue", a, b, venue.Orders())
	}
}
