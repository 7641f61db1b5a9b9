package process

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// withoutCounts leaves out how many orders a level has, which records of levels do not say.
func withoutCounts(p tick.BidAskPair) tick.BidAskPair {
	p.BidCt, p.AskCt = 0, 0
	return p
}

// booksCheck reads the rings of one run and holds them against each other.
type booksCheck struct {
	t          *testing.T
	f          *Offline
	levels     bool           // the venue has levels, not orders
	depth      map[uint32]int // levels a side that are shown of an instrument; 0: ten
	whole      bool           // an event is a message: one sequence
	sends      bool           // times of sending lie between those of events and of arrival
	readers    map[ringbuf.Kind]*ringbuf.Reader
	gates      map[ringbuf.Kind]*atomic.Uint64
	books      map[uint32]*readersBook // by the mbo ring
	shown      map[uint32]*readersBook // tops and tens by mbp1 and mbp10
	ten        map[uint32]*readersBook // events of mbp10
	faults     int
	trades     [3]map[[2]uint64]int // sequence and instrument: T in mbo, mbp1, trades
	records    map[byte]int
	statuses   int
	mismatches uint64
	mbo        []tick.Mbo
}

func (c *booksCheck) fault(format string, args ...any) {
	c.t.Helper()
	if c.faults++; c.faults <= 12 {
		c.t.Errorf(format, args...)
	}
}

func of(m map[uint32]*readersBook, id uint32) *readersBook {
	if m[id] == nil {
		m[id] = newReadersBook()
	}
	return m[id]
}

// ends checks F_LAST: nothing of an event comes behind it.
func (c *booksCheck) ends(ring string, b *readersBook, sequence uint32, ts uint64, action, flags uint8, id uint32) {
	now := [2]uint64{uint64(sequence), ts}
	if !c.whole {
		now[0] = 0
	}
	if b.ended && b.event == now && action != tick.ActionClear {
		c.fault("%s: instrument %d: %c of sequence %d comes behind F_LAST of its event", ring, id, action, sequence)
	}
	if !b.ended && b.event != now && b.event != [2]uint64{} {
		c.fault("%s: instrument %d: event %d ended without F_LAST before %c of sequence %d", ring, id, b.event[0], action, sequence)
	}
	b.event, b.ended = now, flags&tick.FlagLast != 0 && action != tick.ActionClear
	if action == tick.ActionClear && flags&tick.FlagLast != 0 {
		b.event = [2]uint64{}
	}
}

func (c *booksCheck) drain() {
	var mbo [512]tick.Mbo
	for {
		n, _, _ := ringbuf.PollSlice(c.readers[ringbuf.KindMbo], mbo[:])
		for i := range mbo[:n] {
			c.order(&mbo[i])
		}
		if n == 0 {
			break
		}
	}
	var mbp1 [512]ringbuf.Mbp1Slot
	for {
		n, _, _ := ringbuf.PollSlice(c.readers[ringbuf.KindMbp1], mbp1[:])
		for i := range mbp1[:n] {
			r := &mbp1[i]
			b := of(c.shown, r.InstrumentID)
			c.ends("mbp1", b, r.Sequence, r.TsEvent, r.Action, r.Flags, r.InstrumentID)
			if r.Action == tick.ActionTrade {
				c.trades[1][[2]uint64{uint64(r.Sequence), uint64(r.InstrumentID)}]++
			}
			if r.Flags&tick.FlagLast != 0 {
				if p := r.Levels[0]; p != b.tops[len(b.tops)-1] {
					b.tops = append(b.tops, p)
				}
			}
		}
		if n == 0 {
			break
		}
	}
	var mbp10 [128]ringbuf.Mbp10Slot
	for {
		n, _, _ := ringbuf.PollSlice(c.readers[ringbuf.KindMbp10], mbp10[:])
		for i := range mbp10[:n] {
			r := &mbp10[i]
			b := of(c.shown, r.InstrumentID)
			c.ends("mbp10", of(c.ten, r.InstrumentID), r.Sequence, r.TsEvent, r.Action, r.Flags, r.InstrumentID)
			if r.Flags&tick.FlagLast != 0 && r.Levels != b.tens[len(b.tens)-1] {
				b.tens = append(b.tens, r.Levels)
			}
		}
		if n == 0 {
			break
		}
	}
	var trades [512]ringbuf.TradeSlot
	for {
		n, _, _ := ringbuf.PollSlice(c.readers[ringbuf.KindTrades], trades[:])
		for i := range trades[:n] {
			c.trades[2][[2]uint64{uint64(trades[i].Sequence), uint64(trades[i].InstrumentID)}]++
		}
		if n == 0 {
			break
		}
	}
	for k, r := range c.readers {
		c.gates[k].Store(r.Next())
	}
}

func (c *booksCheck) order(r *tick.Mbo) {
	if r.RType != tick.RTypeMbo {
		c.statuses++
		return
	}
	c.mbo = append(c.mbo, *r)
	c.records[r.Action]++
	if sent := r.TsRecv - uint64(r.TsInDelta); c.sends && r.Action != tick.ActionClear && (sent < r.TsEvent || sent > r.TsRecv) {
		c.fault("instrument %d, sequence %d: event at %d, sent at %d, received at %d", r.InstrumentID, r.Sequence, r.TsEvent, sent, r.TsRecv)
	}
	b := of(c.books, r.InstrumentID)
	c.ends("mbo", b, r.Sequence, r.TsEvent, r.Action, r.Flags, r.InstrumentID)
	if err := b.take(r); err != nil {
		c.fault("instrument %d, sequence %d: %v", r.InstrumentID, r.Sequence, err)
	}
	if r.Action == tick.ActionTrade {
		c.trades[0][[2]uint64{uint64(r.Sequence), uint64(r.InstrumentID)}]++
	}
	if r.Flags&tick.FlagLast == 0 {
		return
	}
	depth := 10
	if d := c.depth[r.InstrumentID]; d != 0 {
		depth = min(d, depth)
	}
	ten := b.ten(c.levels, depth)
	if ten[0] != b.tops[len(b.tops)-1] {
		b.tops = append(b.tops, ten[0])
	}
	if ten != b.tens[len(b.tens)-1] {
		b.tens = append(b.tens, ten)
	}
}

// same compares what a reader of orders saw at the end of each event with what was shown.
func (c *booksCheck) same() {
	for id, b := range c.books {
		s := of(c.shown, id)
		tops, tens := s.tops, s.tens
		if c.levels {
			tops = nil
			for _, p := range s.tops {
				if p = withoutCounts(p); len(tops) == 0 || tops[len(tops)-1] != p {
					tops = append(tops, p)
				}
			}
			tens = nil
			for _, ten := range s.tens {
				for k := range ten {
					ten[k] = withoutCounts(ten[k])
				}
				if len(tens) == 0 || tens[len(tens)-1] != ten {
					tens = append(tens, ten)
				}
			}
		}
		for k := range max(len(b.tops), len(tops)) {
			if k >= len(b.tops) || k >= len(tops) || b.tops[k] != tops[k] {
				c.fault("instrument %d, top %d of %d and %d: a reader's %v, mbp1 says %v", id, k, len(b.tops), len(tops), from(b.tops, k), from(tops, k))
				break
			}
		}
		for k := range max(len(b.tens), len(tens)) {
			if k >= len(b.tens) || k >= len(tens) || b.tens[k] != tens[k] {
				c.fault("instrument %d, ten levels %d of %d and %d: a reader's %v, mbp10 says %v", id, k, len(b.tens), len(tens), from(b.tens, k), from(tens, k))
				break
			}
		}
	}
	for ring, name := range []string{1: "mbp1", 2: "trades"} {
		if ring > 0 && !equal(c.trades[0], c.trades[ring]) {
			c.fault("trades of mbo and %s differ: %d and %d", name, len(c.trades[0]), len(c.trades[ring]))
		}
	}
}

func equal(a, b map[[2]uint64]int) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

func from[T any](list []T, k int) any {
	if k < len(list) {
		return list[k : k+1]
	}
	return "nothing"
}

// joins checks what .snap is made of: books that follow the mbo ring's records are the lane's, each queue in the lane's order; and who takes them as of a
// record between two events and the records from there on has the book of a reader that had all of them.
func (c *booksCheck) joins(product string) {
	t := c.t
	books, err := book.New(c.f.Capture.Protocol().BookOptions(product))
	must(t, err)
	defer books.Close()
	batch, err := tick.NewBatch()
	must(t, err)
	defer batch.Free()
	s := &snapshotter{books: books, batch: batch}
	half := len(c.mbo) / 2
	var joined map[uint32]*readersBook
	for from := 0; from < len(c.mbo); {
		to := min(from+1024, len(c.mbo))
		if from < half {
			to = min(to, half)
		}
		s.take(c.mbo[from:to], uint64(from))
		if from = to; from != half {
			continue
		}
		joined = map[uint32]*readersBook{}
		books.Instruments(func(id uint32) bool {
			books.Walk(id, func(o book.Order) bool {
				must(t, of(joined, id).take(&tick.Mbo{Action: tick.ActionAdd, Side: o.Side, OrderID: o.ID, Price: o.Price, Size: uint32(o.Size)}))
				return true
			})
			return true
		})
	}
	for i := range c.mbo[half:] {
		r := &c.mbo[half+i]
		if err := of(joined, r.InstrumentID).take(r); err != nil {
			c.fault("joined late: instrument %d, sequence %d: %v", r.InstrumentID, r.Sequence, err)
		}
	}
	queue := func(b *book.Books, id uint32) (q []book.Order) {
		b.Walk(id, func(o book.Order) bool { o.MPID = 0; q = append(q, o); return true })
		return q
	}
	for id, b := range c.books {
		if j := of(joined, id); j.ten(false, 10) != b.ten(false, 10) || len(j.orders) != len(b.orders) {
			c.fault("instrument %d: who joined late has another book: %v, want %v", id, j.ten(false, 10), b.ten(false, 10))
		}
		if got, want := queue(books, id), queue(c.f.kept.Orders, id); !slices.Equal(got, want) {
			c.fault("instrument %d: by records orders are %v, by rows %v", id, got[:min(6, len(got))], want[:min(6, len(want))])
		}
	}
}

// checkBooks plays a file and checks what its readers see.
func checkBooks(t *testing.T, path, proto, product string, whole bool, depth map[uint32]int) *booksCheck {
	t.Helper()
	capture := CaptureOptions{Protocol: proto, Product: product}
	kinds := []ringbuf.Kind{ringbuf.KindMbo, ringbuf.KindMbp1, ringbuf.KindMbp10, ringbuf.KindTrades}
	names := func() (names []string) {
		f, err := OpenOffline(path, OfflineOptions{Capture: capture})
		must(t, err)
		defer f.Close()
		must(t, f.Run(nil))
		inst, err := ringbuf.OpenInst(ringbuf.SidePath(f.Dir, OfflineInstance, OfflineFeed, OfflineLane, ringbuf.ExtInst))
		must(t, err)
		defer inst.Close()
		inst.Each(func(_ uint64, e *ringbuf.Inst) { names = append(names, e.Symbol()) })
		return names
	}()
	f, err := OpenOffline(path, OfflineOptions{Kinds: kinds, Capture: capture, Depth: names, Slots: 1 << 16})
	must(t, err)
	defer f.Close()
	c := &booksCheck{
		t: t, f: f, levels: f.kept.Levels, whole: whole, depth: depth, sends: proto != "fix", readers: map[ringbuf.Kind]*ringbuf.Reader{}, gates: map[ringbuf.Kind]*atomic.Uint64{},
		books: map[uint32]*readersBook{}, shown: map[uint32]*readersBook{}, ten: map[uint32]*readersBook{}, records: map[byte]int{},
	}
	for i := range c.trades {
		c.trades[i] = map[[2]uint64]int{}
	}
	for _, k := range kinds {
		r, err := ringbuf.Open(f.Writers[k].Path(), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
		must(t, err)
		defer r.Close()
		c.readers[k], c.gates[k] = r, &atomic.Uint64{}
		c.gates[k].Store(r.Next())
		f.Writers[k].Gate(c.gates[k])
	}
	ran := make(chan error, 1)
	var ended atomic.Bool
	go func() { ran <- f.Run(nil); ended.Store(true) }()
	for done := false; !done; {
		done = ended.Load()
		c.drain()
	}
	must(t, <-ran)
	c.same()
	if !c.levels {
		c.joins(product)
	}
	if p := f.kept.Prices; p != nil {
		c.mismatches = p.Counters().TopMismatch
	}
	t.Logf("%s %s: %d instruments, %v, %d inline", proto, product, len(c.books), c.records, c.statuses)
	return c
}
