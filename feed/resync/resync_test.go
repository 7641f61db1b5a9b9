package resync

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/tick"
)

const midnight = uint64(1_767_589_200_000_000_000)

// message builds an ITCH message of instrument 7 from its type, time and the bytes behind.
func message(typ byte, ns uint64, rest ...any) []byte {
	b := append([]byte{typ, 0, 7, 0, 0}, binary.BigEndian.AppendUint64(nil, ns)[2:]...)
	for _, v := range rest {
		switch v := v.(type) {
		case uint32:
			b = binary.BigEndian.AppendUint32(b, v)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, v)
		case string:
			b = append(b, v...)
		}
	}
	return b
}

func add(ref, ns uint64, price uint32) []byte {
	return message('A', ns, ref, "B", uint32(100), "TEST    ", price)
}

func del(ref uint64) []byte { return message('D', 1, ref) }

func framed(messages ...[]byte) (blocks []byte) {
	for _, m := range messages {
		blocks = append(binary.BigEndian.AppendUint16(blocks, uint16(len(m))), m...)
	}
	return blocks
}

// pair is a lane's half and a worker, stepped by hand.
type pair struct {
	t    *testing.T
	r    *Resync
	lane *Lane
	work *Worker
	next uint64 // number of the message that the lane delivers next
	own  *book.Books
}

func newPair(t *testing.T) *pair { return newPairLog(t, minLogBytes) }

func newPairLog(t *testing.T, logBytes int) *pair {
	own, err := book.New(book.Options{MaxInstruments: 64, MaxOrders: 1 << 14, MaxReference: 1 << 20})
	must(t, err)
	r, err := New(Options{Books: own, LogBytes: logBytes, Patience: 1000, Fetch: func(context.Context, string, func([]byte, int) error) (uint64, error) {
		return 0, errors.New("stepped by hand")
	}})
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()); must(t, r.Close()); must(t, own.Close()) })
	p := &pair{t: t, r: r, lane: r.Lane(), work: r.Worker(), next: 10, own: own}
	if !p.lane.Fits(own) {
		t.Fatal("the lane's own books do not fit")
	}
	return p
}

// deliver is what the lane does with a packet.
func (p *pair) deliver(messages ...[]byte) {
	p.lane.Messages(framed(messages...), p.next, len(messages))
	p.next += uint64(len(messages))
}

// fetched has the worker take a snapshot that goes on from next.
func (p *pair) fetched(next uint64, messages ...[]byte) {
	p.t.Helper()
	if !p.work.Begin() {
		p.t.Fatal("nothing is wanted")
	}
	must(p.t, p.work.Snapshot(framed(messages...), len(messages)))
	must(p.t, p.work.End(next))
}

// step wants a state and an error.
func (p *pair) step(want State, reason error) {
	p.t.Helper()
	if st, err := p.work.Step(1); st != want || !errors.Is(err, reason) {
		p.t.Fatalf("state %d, %v; want %d, %v", st, err, want, reason)
	}
}

// taken wants books to be offered, with these orders in queue order.
func (p *pair) taken(orders ...uint64) {
	p.t.Helper()
	s := p.lane.Offered(p.next)
	if s == nil {
		p.t.Fatal("no books")
	}
	var got []uint64
	s.Books.Walk(7, func(o book.Order) bool { got = append(got, o.ID); return true })
	if len(got) != len(orders) {
		p.t.Fatalf("orders %v, want %v", got, orders)
	}
	for i := range got {
		if got[i] != orders[i] {
			p.t.Fatalf("orders %v, want %v", got, orders)
		}
	}
	must(p.t, p.own.Swap(s.Books))
	p.lane.Forget()
	p.lane.Return(s)
	p.step(Done, nil)
	if p.work.Wanted() {
		p.t.Fatal("still wanted")
	}
}

func (p *pair) counters() Counters {
	p.lane.Refresh()
	return p.lane.Counters
}

// TestRebuild: a snapshot in the middle of the stream, orders of a level in the order of their times, then what was logged, then the last
// messages by the lane itself.
func TestRebuild(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)                                               // 10
	p.deliver(add(1, 1, 1000), add(2, 2, 1000))                                 // 10, 11
	p.fetched(12, add(2, 2, 1000), add(9, 1, 1000), add(1, 1, 1000), del(1)[:]) // a delete has no place in a snapshot
	p.deliver(add(3, 3, 1000), del(1))                                          // 12, 13
	p.step(Waiting, nil)
	p.deliver(add(4, 4, 1000)) // behind the offer
	p.taken(9, 2, 3, 4)
	if c := p.counters(); c.Superseded != 2 || c.Replayed != 3 || c.Strange != 1 || c.Orders != 3 || c.Attempts != 1 || c.Logged != 5 {
		t.Errorf("%+v", c)
	}
	// And again, with the old memory.
	p.lane.Want(midnight, p.next)
	p.fetched(p.next)
	p.step(Waiting, nil)
	p.taken()
}

// TestTooOld: a snapshot from before the log, and losses behind and before a snapshot's number.
func TestTooOld(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)
	p.deliver(add(1, 1, 1000))
	p.fetched(9)
	p.step(Void, ErrTooOld)
	p.fetched(10) // the log was kept
	p.step(Waiting, nil)
	p.next = 20 // 11 to 19 are lost, with the offer out
	p.lane.Want(midnight, p.next)
	p.deliver(add(2, 2, 1000))
	if p.lane.Offered(p.next) != nil {
		t.Fatal("books with a hole")
	}
	p.step(Working, nil)
	p.step(Void, ErrTooOld)
	p.fetched(19, add(1, 1, 1000))
	p.step(Void, ErrTooOld)
	p.fetched(20, add(1, 1, 1000))
	p.step(Waiting, nil)
	p.taken(1, 2)
	if c := p.counters(); c.TooOld != 3 || c.Declined != 1 {
		t.Errorf("%+v", c)
	}
	p.lane.Want(midnight, p.next)
	p.deliver(add(3, 3, 1000)) // 21
	p.next = 30                // lost, but the snapshot has it all
	p.lane.Want(midnight, p.next)
	p.fetched(31, add(8, 1, 1000))
	p.step(Waiting, nil)
	if p.lane.Offered(p.next) != nil {
		t.Fatal("books of the future")
	}
	p.deliver(add(4, 4, 1000), add(5, 5, 1000)) // 30, 31
	p.step(Waiting, nil)
	p.taken(8, 5)
}

// TestOverrun: a log that has no room makes the attempt void; the next one begins behind the hole, even when nothing more comes.
func TestOverrun(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)
	if !p.work.Begin() {
		t.Fatal()
	}
	for range 3000 {
		p.deliver(add(1, 1, 1000))
	}
	if err := p.work.Snapshot(nil, 0); !errors.Is(err, ErrLogFull) {
		t.Fatal(err)
	}
	p.work.Fail(ErrLogFull)
	if c := p.counters(); c.LogFull != 1 || c.NotLogged == 0 || c.Failed != 0 {
		t.Errorf("%+v", c)
	}
	p.fetched(p.next, add(5, 1, 1000))
	if p.lane.Offered(p.next) != nil { // says where the log goes on
		t.Fatal("books that nobody offered")
	}
	p.step(Waiting, nil)
	p.taken(5)
}

// TestFuture: a snapshot that the stream does not reach.
func TestFuture(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)
	p.fetched(p.next + 5)
	p.step(Waiting, nil)
	if st, err := p.work.Step(2000); st != Void || !errors.Is(err, ErrFuture) {
		t.Errorf("state %d, %v", st, err)
	}
	p.fetched(1 << 63)
	p.step(Void, ErrFuture)
	p.fetched(p.next)
	p.step(Waiting, nil)
	p.taken()
	if c := p.counters(); c.Future != 2 {
		t.Errorf("%+v", c)
	}
}

// TestUnreadable: what the parser refuses makes a snapshot void, and an attempt unless the snapshot is from behind it.
func TestUnreadable(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)
	p.deliver(add(1, 1, 1000), add(2, 2, 1000)[:30], add(3, 3, 1000)) // 10, 11, 12
	if !p.work.Begin() {
		t.Fatal()
	}
	err := p.work.Snapshot(framed(add(1, 1, 1000)[:35]), 1)
	if !errors.Is(err, ErrUnreadable) {
		t.Fatal(err)
	}
	p.work.Fail(err)
	p.fetched(11)
	p.step(Void, ErrUnreadable)
	p.fetched(12, add(1, 1, 1000)) // what was logged of it is gone with the attempt before
	p.step(Void, ErrTooOld)
	p.fetched(13, add(1, 1, 1000), add(3, 3, 1000))
	p.step(Waiting, nil)
	p.taken(1, 3)
	if c := p.counters(); c.Failed != 1 || c.Unreadable != 1 {
		t.Errorf("%+v", c)
	}
}

// TestTooMany: a snapshot of more orders than the books hold is none.
func TestTooMany(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)
	if !p.work.Begin() {
		t.Fatal()
	}
	var err error
	for n := uint64(0); err == nil && n < 1<<15; n += 1 << 10 {
		var chunk [][]byte
		for ref := n; ref < n+1<<10; ref++ {
			chunk = append(chunk, add(ref, 1, 1000))
		}
		err = p.work.Snapshot(framed(chunk...), len(chunk))
	}
	if !errors.Is(err, ErrTooMany) {
		t.Fatal(err)
	}
	p.work.Fail(err)
	if c := p.counters(); c.Failed != 1 || c.Snapshots > 1<<14+1<<10 {
		t.Errorf("%+v", c)
	}
}

// TestForget: a session that ends takes its attempt along, at each stage, and the next one is not touched by what it left in the log.
func TestForget(t *testing.T) {
	p := newPair(t)
	again := func() {
		p.lane.Forget()
		p.next = 1
		p.lane.Want(midnight, p.next)
	}
	p.lane.Want(midnight, p.next)
	p.deliver(add(1, 1, 1000))
	if !p.work.Begin() {
		t.Fatal()
	}
	again() // while it fetches
	if err := p.work.Snapshot(nil, 0); !errors.Is(err, ErrOver) {
		t.Fatal(err)
	}
	p.work.Fail(ErrOver)
	p.deliver(add(2, 2, 1000))
	p.fetched(1)
	p.step(Waiting, nil)
	again() // while books are offered
	p.step(Over, nil)
	p.fetched(1)
	again() // before they are
	p.step(Over, ErrOver)
	p.deliver(add(3, 3, 1000))
	p.fetched(1)
	p.step(Waiting, nil)
	p.taken(3)
	if c := p.counters(); c.Abandoned != 3 || c.Failed != 0 {
		t.Errorf("%+v", c)
	}
	if p.work.Begin() {
		t.Error("an attempt that nobody wants")
	}
}

// TestDeclined: more than the lane may apply in one go goes back to the worker.
func TestDeclined(t *testing.T) {
	p := newPairLog(t, 1<<20)
	p.lane.Want(midnight, p.next)
	p.fetched(p.next)
	p.step(Waiting, nil)
	var want []uint64
	for ref := uint64(100); p.r.log.pending() <= takeMost; ref++ {
		p.deliver(add(ref, ref, 1000))
		want = append(want, ref)
	}
	if p.lane.Offered(p.next) != nil {
		t.Fatal("all of that in one go")
	}
	p.step(Working, nil)
	p.step(Waiting, nil)
	p.taken(want...)
	if c := p.counters(); c.Declined != 1 {
		t.Errorf("%+v", c)
	}
}

// TestOverrunWhileOffered: messages that found no room are missing from the books that are offered.
func TestOverrunWhileOffered(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)
	p.fetched(p.next)
	p.step(Waiting, nil)
	for !p.lane.behind {
		p.deliver(add(1, 1, 1000))
	}
	if p.lane.Offered(p.next) != nil {
		t.Fatal("books with a hole")
	}
	p.step(Working, nil)
	p.step(Void, ErrLogFull)
	p.fetched(p.next, add(1, 1, 1000))
	if p.lane.Offered(p.next) != nil {
		t.Fatal("books that nobody offered")
	}
	p.step(Waiting, nil)
	p.taken(1)
	if c := p.counters(); c.LogFull != 1 {
		t.Errorf("%+v", c)
	}
}

// TestGuard: a number that is one too low or too high shows, and has the next snapshot taken, twice; an order that the snapshot has keeps its
// place.
func TestGuard(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)
	p.deliver(add(1, 1, 1000), add(2, 2, 1000), del(5))                                    // 10, 11, 12
	low := func() { p.fetched(p.next-3, add(5, 0, 1000), add(1, 1, 1000), add(3, 3, 10)) } // has 10 already: 11 would be right
	low()
	p.step(Void, ErrDoubtful)
	p.deliver(del(7)) // an order that the next snapshot lacks
	p.fetched(p.next - 1)
	p.step(Void, ErrDoubtful)
	p.deliver(add(1, 1, 1000), add(2, 2, 1000), del(5))
	low()
	p.step(Waiting, nil)
	p.taken(1, 2, 3)
	if c := p.counters(); c.AlreadyThere != 2 || c.UnknownAfter != 1 || c.Doubtful != 2 {
		t.Errorf("%+v", c)
	}
	p.lane.Want(midnight, p.next)
	p.deliver(add(6, 6, 1000), del(6))
	p.fetched(p.next - 1) // lacks the add: one less would be right
	p.step(Void, ErrDoubtful)
	p.deliver(add(6, 6, 1000), del(6))
	p.fetched(p.next - 2) // a better one
	p.step(Waiting, nil)
	p.taken()
	if c := p.counters(); c.UnknownAfter != 2 || c.Doubtful != 3 {
		t.Errorf("%+v", c)
	}
}

// TestGuardOfTheLane: when nothing came between snapshot and offer, the messages that the lane applies itself are the first to show a wrong number.
func TestGuardOfTheLane(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)
	p.deliver(add(1, 1, 1000))
	p.fetched(p.next) // lacks the add
	p.step(Waiting, nil)
	p.deliver(del(1))
	if p.lane.Offered(p.next) != nil {
		t.Fatal("books that do not fit the stream")
	}
	p.step(Working, nil)
	p.step(Void, ErrDoubtful)
	p.deliver(add(2, 1, 1000))
	p.fetched(p.next, add(2, 1, 1000))
	p.step(Waiting, nil)
	p.taken(2)
	if c := p.counters(); c.Doubtful != 1 || c.Declined != 1 {
		t.Errorf("%+v", c)
	}
}

// TestStates: directory and states come along; of two trading states the later one holds, in whatever order they come.
func TestStates(t *testing.T) {
	p := newPair(t)
	p.lane.Want(midnight, p.next)
	p.deliver(message('Y', 50, "TEST    ", "1"))
	p.fetched(p.next-1, message('S', 5, "Q"), message('R', 1, "TEST    ", "QN", uint32(100), "NCZ PNN1N", uint32(0), "N"),
		message('H', 40, "TEST    ", "H", " ", "T1  "), message('Y', 3, "TEST    ", "0"), message('h', 20, "TEST    ", "Q", "T"),
		message('N', 1, "TEST    ", "N"))
	p.step(Waiting, nil)
	s := p.lane.Offered(p.next)
	if s == nil {
		t.Fatal("no books")
	}
	a := s.About(7)
	if a == nil || !a.Defined || a.Definition.MinLotSizeRoundLot != 100 || a.Trading.Action != tick.StatusHalt || a.Trading.TsEvent != midnight+40 ||
		a.ShortSale.IsShortSellRestricted != 'Y' || s.System != 'Q' || s.SystemAt != midnight+5 {
		t.Errorf("%+v %c", a, s.System)
	}
	if s.About(8) != nil || s.About(1<<20) != nil {
		t.Error("something is known of instruments that nobody spoke of")
	}
	if c := p.counters(); c.Strange != 0 {
		t.Errorf("%+v", c)
	}
}

// TestLaneAllocatesNothing: neither copying nor looking for books.
func TestLaneAllocatesNothing(t *testing.T) {
	p := newPair(t)
	blocks := framed(add(1, 1, 1000), del(1))
	p.lane.Want(midnight, 1)
	if n := testing.AllocsPerRun(500, func() {
		p.lane.Messages(blocks, 1, 2)
		p.lane.Offered(1)
		p.lane.Refresh()
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
	if p.lane.Counters.Logged == 0 {
		t.Error("nothing was logged")
	}
}

func TestOptions(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("no source, no books")
	}
	p := newPair(t)
	if _, err := New(Options{Books: p.own, Fetch: p.r.o.Fetch, LogBytes: 3}); err == nil {
		t.Error("a log of 3 bytes")
	}
	w := Worker{r: &Resync{o: Options{Retry: 10, MaxRetry: 100}}}
	if w.backOff(0) != 10 || w.backOff(3) != 80 || w.backOff(4) != 100 || w.backOff(1000) != 100 {
		t.Error("backing off")
	}
}

// FuzzRebuild makes a snapshot and a stream of arbitrary messages: no panic, whole books, and an attempt that ends.
func FuzzRebuild(f *testing.F) {
	f.Add(framed(add(1, 1, 1000), add(2, 2, 1000), del(1), add(1, 1, 1000)), uint8(2), int16(0))
	f.Add(framed(add(1, 1, 1000), add(1, 2, 2000)[:30], message('H', 1, "TEST    ", "H", " ", "T1  "), nil), uint8(1), int16(3))
	f.Add(framed(message('U', 1, uint64(1), uint64(2), uint32(5), uint32(7)), message('R', 1, "TEST    ", "QN", uint32(100), "NCZ PNN1N", uint32(0), "N")), uint8(0), int16(-1))
	own, err := book.New(book.Options{MaxInstruments: 1 << 8, MaxOrders: 64, MaxPages: 16, MaxReference: 1 << 16})
	must(f, err)
	f.Cleanup(func() { must(f, own.Close()) })
	r, err := New(Options{Books: own, LogBytes: minLogBytes, Patience: 1, Fetch: func(context.Context, string, func([]byte, int) error) (uint64, error) { return 0, nil }})
	must(f, err)
	f.Cleanup(func() { must(f, r.Close()) })
	f.Fuzz(func(t *testing.T, b []byte, cut uint8, shift int16) {
		var messages [][]byte
		for len(b) >= 2 && len(messages) < 200 {
			n := min(len(b), 2+int(binary.BigEndian.Uint16(b))%64)
			messages, b = append(messages, b[2:n]), b[n:]
		}
		at := min(int(cut), len(messages))
		lane, worker := r.Lane(), r.Worker()
		lane.Want(midnight, 1)
		defer lane.Forget()
		worker.Begin()
		if err := worker.Snapshot(framed(messages[:at]...), at); err != nil {
			worker.Fail(err)
			return
		}
		lane.Messages(framed(messages[at:]...), 1, len(messages)-at)
		must(t, worker.End(uint64(1+int64(shift))))
		for now := uint64(1); now < 100; now++ {
			switch st, _ := worker.Step(now); st {
			case Void:
				must(t, worker.shadow.Books.Validate())
				return
			case Waiting:
				if s := lane.Offered(uint64(1 + len(messages) - at)); s != nil {
					must(t, s.Books.Validate())
					lane.Return(s)
					if st, err := worker.Step(now); st != Done || err != nil {
						t.Fatal(st, err)
					}
					return
				}
			}
		}
		t.Fatal("the attempt does not end")
	})
}
