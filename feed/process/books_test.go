package process

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/iex"
	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/fixgen"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/sim/xdpgen"
	"github.com/tickwire/tickwire/tick"
)

// A reader's book, as plainly as can be: it knows nothing of venues, only what DBN's conventions say of records. A adds, C takes off, M sets, R empties, T, F
// and N change nothing; a quote replaces its side, a level adds to what stands at its price.
type readersBook struct {
	orders map[uint64]*readersOrder
	sides  [2]map[int64]*readersLevel
	tops   []tick.BidAskPair     // behind each record with F_LAST, where it differs from the one before
	tens   [][10]tick.BidAskPair // the same, ten levels
	event  [2]uint64             // sequence and time of the latest record …
	ended  bool                  // … which had F_LAST
	quotes bool
}

type readersOrder struct {
	side  int
	price int64
	size  uint64
}

type readersLevel struct {
	size   uint64
	orders uint32
}

func newReadersBook() *readersBook {
	b := &readersBook{tops: []tick.BidAskPair{tick.EmptyPair}, tens: [][10]tick.BidAskPair{{}}}
	for i := range b.tens[0] {
		b.tens[0][i] = tick.EmptyPair
	}
	b.clear()
	return b
}

func (b *readersBook) clear() {
	b.orders, b.sides = map[uint64]*readersOrder{}, [2]map[int64]*readersLevel{{}, {}}
}

// at adds to a level, or takes from it.
func (b *readersBook) at(side int, price int64, size uint64, orders int) error {
	l := b.sides[side][price]
	if l == nil {
		l = &readersLevel{}
		b.sides[side][price] = l
	}
	l.size, l.orders = l.size+size, uint32(int(l.orders)+orders)
	if int64(l.size) < 0 || int32(l.orders) < 0 {
		return fmt.Errorf("less than nothing at %d", price)
	}
	if l.size == 0 {
		delete(b.sides[side], price)
	}
	return nil
}

// ten are the levels, best first. A level's orders are told where records say them.
func (b *readersBook) ten(levels bool, depth int) (ten [10]tick.BidAskPair) {
	for i := range ten {
		ten[i] = tick.EmptyPair
	}
	for side := range 2 {
		prices := make([]int64, 0, len(b.sides[side]))
		for p := range b.sides[side] {
			prices = append(prices, p)
		}
		slices.Sort(prices)
		if side == 0 {
			slices.Reverse(prices)
		}
		for i, p := range prices[:min(depth, len(prices))] {
			l := b.sides[side][p]
			if side == 0 {
				ten[i].BidPx, ten[i].BidSz, ten[i].BidCt = p, tick.Size32(l.size), l.orders
			} else {
				ten[i].AskPx, ten[i].AskSz, ten[i].AskCt = p, tick.Size32(l.size), l.orders
			}
			if levels {
				ten[i].BidCt, ten[i].AskCt = 0, 0
			}
		}
	}
	return ten
}

// take applies a record. An error is a record that a reader cannot follow.
func (b *readersBook) take(r *tick.Mbo) error {
	side := 0
	switch r.Side {
	case tick.SideAsk:
		side = 1
	case tick.SideBid:
	default:
		if r.Action != tick.ActionClear && r.Action != tick.ActionTrade && r.Action != tick.ActionNone && r.Action != tick.ActionFill {
			return fmt.Errorf("%c without a side", r.Action)
		}
	}
	price, size := r.Price, uint64(r.Size)
	aggregated := r.Flags&(tick.FlagMBP|tick.FlagTOB) != 0
	switch r.Action {
	case tick.ActionTrade, tick.ActionFill:
		if price == tick.UndefPrice || size == 0 {
			return fmt.Errorf("%c of %d at %d", r.Action, size, price)
		}
		return nil
	case tick.ActionNone:
		return nil
	case tick.ActionClear:
		b.clear()
		return nil
	}
	if r.Flags&tick.FlagTOB != 0 {
		b.quotes = true
		clear(b.sides[side])
		if price == tick.UndefPrice {
			return nil
		}
		return b.at(side, price, size, 0)
	}
	if price == tick.UndefPrice || size == 0 {
		return fmt.Errorf("%c of %d at %d", r.Action, size, price)
	}
	o := b.orders[r.OrderID]
	switch {
	case aggregated && r.Action == tick.ActionAdd:
		return b.at(side, price, size, 0)
	case aggregated && r.Action == tick.ActionCancel:
		return b.at(side, price, -size, 0)
	case aggregated:
		if b.sides[side][price] == nil {
			return fmt.Errorf("M of no level")
		}
		b.sides[side][price].size = size
		return nil
	case r.Action == tick.ActionAdd:
		if o != nil {
			return fmt.Errorf("A of an order that rests")
		}
		b.orders[r.OrderID] = &readersOrder{side, price, size}
		return b.at(side, price, size, 1)
	case o == nil:
		return fmt.Errorf("%c of no order", r.Action)
	case o.side != side:
		return fmt.Errorf("%c of another side", r.Action)
	case r.Action == tick.ActionCancel:
		if o.price != price || o.size < size {
			return fmt.Errorf("C of %d at %d, it had %d at %d", size, price, o.size, o.price)
		}
		gone := 0
		if o.size -= size; o.size == 0 {
			gone = -1
			delete(b.orders, r.OrderID)
		}
		return b.at(side, price, -size, gone)
	case r.Action == tick.ActionModify:
		if err := b.at(side, o.price, -o.size, -1); err != nil {
			return err
		}
		o.price, o.size = price, size
		return b.at(side, price, size, 1)
	}
	return fmt.Errorf("action %c", r.Action)
}

// counts are orders of levels, which records of levels do not say.
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
	readers    map[ringbuf.Kind]*ringbuf.Reader
	gates      map[ringbuf.Kind]*atomic.Uint64
	books      map[uint32]*readersBook // by the mbo ring
	shown      map[uint32]*readersBook // tops and tens by mbp1 and mbp10
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
		t: t, f: f, levels: f.kept.Levels, whole: whole, depth: depth, readers: map[ringbuf.Kind]*ringbuf.Reader{}, gates: map[ringbuf.Kind]*atomic.Uint64{},
		books: map[uint32]*readersBook{}, shown: map[uint32]*readersBook{}, records: map[byte]int{},
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
	if p := f.kept.Prices; p != nil {
		c.mismatches = p.Counters().TopMismatch
	}
	t.Logf("%s %s: %d instruments, %v, %d inline", proto, product, len(c.books), c.records, c.statuses)
	return c
}

func create(t *testing.T, name string, write func(*os.File) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	must(t, err)
	must(t, write(f))
	must(t, f.Close())
	return path
}

func TestReadersBookITCH(t *testing.T) {
	path := create(t, "20260105.pcap", func(f *os.File) error {
		g, err := itchgen.New(itchgen.Options{Messages: 30_000, Symbols: 40, Seed: 3})
		must(t, err)
		return itchgen.WritePcap(f, g, itchgen.Lines{}, nil)
	})
	checkBooks(t, path, "itch", "", true, nil)
}

func TestReadersBookXDP(t *testing.T) {
	for _, v := range []xdp.Version{xdp.V25, xdp.V21} {
		path := create(t, "20260105.pcap", func(f *os.File) error {
			g, err := xdpgen.New(xdpgen.Options{Messages: 30_000, Symbols: 40, Seed: 3, Version: v})
			must(t, err)
			return xdpgen.WritePcap(f, g, itchgen.Lines{}, nil)
		})
		checkBooks(t, path, "xdp", "", true, nil)
	}
}

func TestReadersBookMDP3(t *testing.T) {
	for _, product := range []string{"both", "mbp", "mbo"} {
		for _, long := range []bool{false, true} {
			var g *mdp3gen.Gen
			path := create(t, "20260105.pcap", func(f *os.File) (err error) {
				g, err = mdp3gen.New(mdp3gen.Options{Messages: 20_000, Instruments: 20, Seed: 3, LongQty: long})
				must(t, err)
				return mdp3gen.WritePcap(f, g, mdp3gen.Lines{}, nil)
			})
			depth := map[uint32]int{}
			if product == "both" {
				for i := range g.Instruments() {
					depth[uint32(g.Security(i))], _ = g.Depth(i)
				}
			}
			c := checkBooks(t, path, "mdp3", product, false, depth)
			if c.mismatches != 0 {
				c.fault("%d times orders and levels did not agree", c.mismatches)
			}
			for i := range g.Instruments() { // what is left is what the market has
				b := of(c.books, uint32(g.Security(i)))
				if product != "mbp" {
					n := 0
					for side := range 2 {
						for _, o := range g.Orders(i, side) {
							n++
							if r := b.orders[o.ID]; r == nil || *r != (readersOrder{side, o.Price, o.Size}) {
								c.fault("%s: order %d is %v, want %v", g.Symbol(i), o.ID, r, o)
							}
						}
					}
					if n != len(b.orders) {
						c.fault("%s: %d orders, want %d", g.Symbol(i), len(b.orders), n)
					}
					continue
				}
				for side := range 2 {
					levels := g.Levels(i, side)
					if len(levels) != len(b.sides[side]) {
						c.fault("%s: %d levels, want %d", g.Symbol(i), len(b.sides[side]), len(levels))
					}
					for _, l := range levels {
						if r := b.sides[side][l.Price]; r == nil || r.size != l.Size {
							c.fault("%s: level %v is %v", g.Symbol(i), l, r)
						}
					}
				}
			}
		}
	}
}

func TestReadersBookFIX(t *testing.T) {
	for _, v := range []fixsession.Version{fixsession.V44, fixsession.V50SP2} {
		path := create(t, "20261125.fix", func(f *os.File) error {
			_, err := fixgen.Write(f, fixgen.Options{Seed: 4}, v, 10_000)
			return err
		})
		for _, product := range []string{"levels", "prices"} {
			checkBooks(t, path, "fix", product, true, nil)
		}
	}
}

var (
	_ = bytes.NewReader
	_ = binary.LittleEndian
	_ = netip.AddrPort{}
	_ = book.Options{}
	_ = pcap.NewWriter
	_ = iex.HeaderBytes
	_ = time.Now
)
