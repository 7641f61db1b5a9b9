package process

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
		t: t, f: f, levels: f.kept.Levels, whole: whole, depth: depth, readers: map[ringbuf.Kind]*ringbuf.Reader{}, gates: map[ringbuf.Kind]*atomic.Uint64{},
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

func create(t *testing.T, name string, write func(*os.File) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	must(t, err)
	must(t, write(f))
	must(t, f.Close())
	return path
}

// cut leaves a capture's first packets, so many of a hundred: books are full then, while those of a whole day are empty.
func cut(t *testing.T, path string, percent int) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	const head, each = 24, 16
	for at := head; ; at += each + int(binary.LittleEndian.Uint32(b[at+8:])) {
		if at >= len(b)/100*percent {
			must(t, os.Truncate(path, int64(at)))
			return path
		}
	}
}

func TestReadersBookITCH(t *testing.T) {
	path := create(t, "20260105.pcap", func(f *os.File) error {
		g, err := itchgen.New(itchgen.Options{Messages: 30_000, Symbols: 40, Seed: 3})
		must(t, err)
		return itchgen.WritePcap(f, g, itchgen.Lines{}, nil)
	})
	checkBooks(t, path, "itch", "", true, nil)
	checkBooks(t, cut(t, path, 60), "itch", "", true, nil)
}

func TestReadersBookXDP(t *testing.T) {
	for _, v := range []xdp.Version{xdp.V25, xdp.V21} {
		path := create(t, "20260105.pcap", func(f *os.File) error {
			g, err := xdpgen.New(xdpgen.Options{Messages: 30_000, Symbols: 40, Seed: 3, Version: v})
			must(t, err)
			return xdpgen.WritePcap(f, g, itchgen.Lines{}, nil)
		})
		checkBooks(t, path, "xdp", "", true, nil)
		checkBooks(t, cut(t, path, 60), "xdp", "", true, nil)
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

// Best prices alone, and prints alone, of NYSE, by hand.
func TestReadersBookXDPQuotes(t *testing.T) {
	le := binary.LittleEndian
	r := rand.New(rand.NewPCG(3, 1))
	seconds := uint32(time.Date(2026, 1, 5, 15, 0, 0, 0, time.UTC).Unix())
	path := create(t, "20260105.pcap", func(f *os.File) error {
		w := pcap.NewWriter(f)
		sequence := uint32(1)
		put := func(messages int, blocks []byte) {
			p := xdp.AppendPacket(nil, 11, uint8(messages), sequence, seconds, 5, blocks)
			must(t, w.WriteUDP(uint64(seconds)*1e9+uint64(sequence), netip.MustParseAddrPort("192.0.2.1:9"), netip.MustParseAddrPort("224.0.59.76:11076"), 0, p))
			sequence += uint32(messages)
		}
		blocks := xdp.AppendTimeReference(nil, 1, seconds)
		for n := range uint32(4) {
			blocks = xdp.AppendMapping(blocks, &xdp.Mapping{Index: n + 1, Symbol: fmt.Sprint("SYM", n), Market: 1, System: 1, Scale: 4})
		}
		put(5, blocks)
		var number [5]uint32
		for range 4000 {
			index := 1 + r.Uint32N(4)
			number[index]++
			m := make([]byte, 34)
			le.PutUint16(m, 34)
			le.PutUint16(m[2:], xdp.TypeQuote)
			for i, v := range []uint32{7, index, number[index]} {
				le.PutUint32(m[4+4*i:], v)
			}
			for s := range 2 { // ask, bid
				if r.IntN(6) > 0 {
					le.PutUint32(m[16+8*s:], 1_000_000+uint32(1-s)*5_000+100*r.Uint32N(12))
					le.PutUint32(m[20+8*s:], 1+r.Uint32N(500))
				}
			}
			m[32], m[33] = 'R', "  AB"[r.IntN(4)]
			put(1, m)
		}
		return w.Flush()
	})
	if c := checkBooks(t, path, "xdp", "bbo", true, nil); c.records[tick.ActionAdd] != 8000 {
		t.Errorf("%v", c.records)
	}
}

// A session of orders in FIX, by hand: each has an id, under which it is changed, replaced and taken away, several of them in a message.
func TestReadersBookFIXOrders(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	sequence := 0
	message := func(typ, body string) string {
		sequence++
		head := fmt.Sprintf("35=%s|49=V|56=C|34=%d|52=20261125-14:30:%02d.%03d|", typ, sequence, sequence/1000, sequence%1000)
		m := strings.ReplaceAll(fmt.Sprintf("8=FIX.4.4|9=%d|%s%s", len(head)+len(body), head, body), "|", "\x01")
		sum := 0
		for _, c := range []byte(m) {
			sum += int(c)
		}
		return fmt.Sprintf("%s10=%03d\x01", m, sum%256)
	}
	side := map[string]int{}
	price := func(s int) float64 { return 100 + float64(2*s-1)*(0.5+float64(r.IntN(12))/4) }
	path := create(t, "20261125.fix", func(f *os.File) error {
		fmt.Fprint(f, message("W", "55=A|268=0|"))
		for range 4000 {
			body, n := "", 1+r.IntN(4)
			for k := range n {
				ids := slices.Sorted(maps.Keys(side))
				what := r.IntN(5)
				if len(ids) == 0 || what < 2 && len(ids) < 60 {
					id := fmt.Sprint("o", sequence, "-", k)
					side[id] = r.IntN(2)
					body += fmt.Sprintf("279=0|269=%d|278=%s|55=A|270=%.2f|271=%d|", side[id], id, price(side[id]), 1+r.IntN(50))
					continue
				}
				id := ids[r.IntN(len(ids))]
				switch s := side[id]; what {
				case 2:
					body += fmt.Sprintf("279=1|269=%d|278=%s|55=A|270=%.2f|271=%d|", s, id, price(s), 1+r.IntN(50))
				case 3:
					again := fmt.Sprint("r", sequence, "-", k)
					delete(side, id)
					side[again] = s
					body += fmt.Sprintf("279=1|269=%d|278=%s|280=%s|55=A|270=%.2f|271=%d|", s, again, id, price(s), 1+r.IntN(50))
				default:
					delete(side, id)
					body += fmt.Sprintf("279=2|269=%d|278=%s|55=A|", s, id)
				}
			}
			if r.IntN(10) == 0 {
				n++
				body += fmt.Sprintf("279=0|269=2|278=t%d|55=A|270=100|271=3|", sequence)
			}
			fmt.Fprint(f, message("X", fmt.Sprintf("268=%d|%s", n, body)))
		}
		return nil
	})
	c := checkBooks(t, path, "fix", "orders", true, nil)
	if b := c.books[1]; len(b.orders) != len(side) {
		t.Errorf("%d orders, want %d", len(b.orders), len(side))
	}
}

// A session of IEX, by hand.
func TestReadersBookIEX(t *testing.T) {
	le := binary.LittleEndian
	r := rand.New(rand.NewPCG(2, 1))
	ts := uint64(time.Date(2026, 1, 5, 15, 0, 0, 0, time.UTC).UnixNano())
	message := func(size int, typ, code byte, symbol int) []byte {
		m := make([]byte, size)
		m[0], m[1] = typ, code
		le.PutUint64(m[2:], ts)
		copy(m[10:18], fmt.Sprintf("SYM%d     ", symbol))
		return m
	}
	price := func(s int) uint64 { return uint64(1_000_000 + (2*s-1)*(50+100*r.IntN(12))) }
	type resting struct {
		symbol, side int
		size         uint32
	}
	orders := map[uint64]resting{}
	deep := func(n int) []byte {
		id, symbol, s := uint64(n+1), r.IntN(5), r.IntN(2)
		if ids := slices.Sorted(maps.Keys(orders)); len(ids) > 0 && (r.IntN(5) > 1 || len(ids) > 200) {
			id = ids[r.IntN(len(ids))]
			o := orders[id]
			switch r.IntN(4) {
			case 0:
				delete(orders, id)
				m := message(26, 'R', 0, o.symbol)
				le.PutUint64(m[18:], id)
				return m
			case 1:
				m := message(46, 'L', 0, o.symbol)
				took := 1 + r.Uint32N(o.size)
				if o.size -= took; o.size == 0 {
					delete(orders, id)
				} else {
					orders[id] = o
				}
				le.PutUint64(m[18:], id)
				le.PutUint32(m[26:], took)
				le.PutUint64(m[30:], price(o.side))
				le.PutUint64(m[38:], uint64(n))
				return m
			default:
				m := message(38, 'M', byte(r.IntN(2)), o.symbol)
				o.size = 1 + r.Uint32N(500)
				orders[id] = o
				le.PutUint64(m[18:], id)
				le.PutUint32(m[26:], o.size)
				le.PutUint64(m[30:], price(o.side))
				return m
			}
		}
		if r.IntN(12) == 0 {
			m := message(38, 'T', 0, symbol)
			le.PutUint32(m[18:], 7)
			le.PutUint64(m[22:], price(s))
			le.PutUint64(m[30:], uint64(n))
			return m
		}
		if r.IntN(200) == 0 {
			maps.DeleteFunc(orders, func(_ uint64, o resting) bool { return o.symbol == symbol })
			return message(iex.Length(iex.ProtocolDEEPPlus, 'C'), 'C', 0, symbol)
		}
		m := message(38, 'a', "85"[s], symbol)
		orders[id] = resting{symbol, s, 1 + r.Uint32N(500)}
		le.PutUint64(m[18:], id)
		le.PutUint32(m[26:], orders[id].size)
		le.PutUint64(m[30:], price(s))
		return m
	}
	tops := func(n int) []byte {
		symbol := r.IntN(5)
		if r.IntN(8) == 0 {
			m := message(38, 'T', 0, symbol)
			le.PutUint32(m[18:], 7)
			le.PutUint64(m[22:], price(1))
			le.PutUint64(m[30:], uint64(n))
			return m
		}
		m := message(42, 'Q', 0, symbol)
		for s, at := range [2][2]int{{18, 22}, {38, 30}} {
			if r.IntN(6) > 0 {
				le.PutUint32(m[at[0]:], 1+r.Uint32N(500))
				le.PutUint64(m[at[1]:], price(s))
			}
		}
		return m
	}
	for _, tc := range []struct {
		proto  string
		number uint16
		next   func(n int) []byte
	}{{"iex", iex.ProtocolDEEPPlus, deep}, {"iex-tops", iex.ProtocolTOPS, tops}} {
		path := create(t, "20260105.pcap", func(f *os.File) error {
			w := pcap.NewWriter(f)
			offset := uint64(0)
			for n := 0; n < 12_000; n += 4 {
				ts += 1_000_000
				p := iex.AppendHeader(nil, &iex.Header{Protocol: tc.number, Channel: 1, Session: 7, Count: 4, Offset: offset, Sequence: uint64(n + 1), Sent: ts})
				for k := range 4 {
					m := tc.next(n + k)
					p = append(le.AppendUint16(p, uint16(len(m))), m...)
				}
				iex.Finish(p)
				offset += uint64(len(p) - iex.HeaderBytes)
				must(t, w.WriteUDP(ts, netip.MustParseAddrPort("192.0.2.1:9"), netip.MustParseAddrPort("233.215.21.4:10378"), 0, p))
			}
			return w.Flush()
		})
		c := checkBooks(t, path, tc.proto, "", true, nil)
		if tc.proto == "iex" {
			n := 0
			for _, b := range c.books {
				n += len(b.orders)
			}
			if n != len(orders) {
				t.Errorf("%d orders, want %d", n, len(orders))
			}
		}
	}
}
