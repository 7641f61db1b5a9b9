package book

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/tick"
)

// expectedReplay is the "replay" object of ex20101224.expected.json.
type expectedReplay struct {
	UnknownReference  map[string]uint64 `json:"unknown_reference"`
	DuplicateAdd      uint64            `json:"duplicate_add"`
	OverReduction     uint64            `json:"over_reduction"`
	LocateMismatch    uint64            `json:"locate_mismatch"`
	OrdersEmptiedBy   map[string]uint64 `json:"orders_emptied_by"`
	MaxLiveOrders     uint64            `json:"max_live_orders"`
	LiveOrdersAtEnd   uint64            `json:"live_orders_at_end"`
	LiveOrdersSHA256  string            `json:"live_orders_sha256"`
	LevelsFIFOSHA256  string            `json:"levels_fifo_sha256"`
	Tape              map[string]uint64 `json:"tape"`
	BooksAtEnd        map[string]bookAtEnd
	BooksAtEndEncoded json.RawMessage `json:"books_at_end"`
}

type bookAtEnd struct {
	StockLocate uint32    `json:"stock_locate"`
	BidLevels   int       `json:"bid_levels"`
	AskLevels   int       `json:"ask_levels"`
	BidOrders   uint32    `json:"bid_orders"`
	AskOrders   uint32    `json:"ask_orders"`
	BidShares   uint64    `json:"bid_shares"`
	AskShares   uint64    `json:"ask_shares"`
	BestBid     bestPrice `json:"best_bid"`
	BestAsk     bestPrice `json:"best_ask"`
}

type bestPrice struct {
	Price  int64  `json:"price"`
	Shares uint64 `json:"shares"`
	Orders uint32 `json:"orders"`
}

const wireScale = 100_000 // 1e-4 to 1e-9

// putMessage fills a row from the wire, for the types that this test needs, as the ITCH 5.0 specification lays them out: the book
// is tested apart from the parser.
func putMessage(b *tick.Batch, m []byte) {
	u32 := func(at int) uint64 { return uint64(binary.BigEndian.Uint32(m[at:])) }
	u64 := func(at int) uint64 { return binary.BigEndian.Uint64(m[at:]) }
	w := row{instrument: uint32(binary.BigEndian.Uint16(m[1:]))}
	switch m[0] {
	case 'A', 'F':
		w.kind, w.id, w.size, w.price = tick.KindAdd, u64(11), u32(20), int64(u32(32))*wireScale
		if w.side = tick.SideBid; m[19] == 'S' {
			w.side = tick.SideAsk
		}
	case 'E':
		w.kind, w.id, w.size = tick.KindExec, u64(11), u32(19)
	case 'X':
		w.kind, w.id, w.size = tick.KindReduce, u64(11), u32(19)
	case 'D':
		w.kind, w.id = tick.KindDelete, u64(11)
	case 'U':
		w.kind, w.id, w.aux, w.size, w.price = tick.KindReplace, u64(11), u64(19), u32(27), int64(u32(31))*wireScale
	case 'P':
		w.kind, w.size, w.price = tick.KindTrade, u32(20), int64(u32(32))*wireScale
	default:
		w.kind = tick.KindSystem
	}
	w.put(b)
}

// Goal: the replay of a public sample ends as two independent programs say: counters, tape, all live orders, all queues.
// Method: frames walked here, one message a batch row, 1,000 rows a pass.
func TestReplayOfSample(t *testing.T) {
	dir := testvec.Dir(t, "nasdaq")
	var want struct{ Replay expectedReplay }
	text, err := os.ReadFile(filepath.Join(dir, "ex20101224.expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want.Replay.BooksAtEndEncoded, &want.Replay.BooksAtEnd); err != nil {
		t.Fatal(err)
	}
	data := readGzip(t, filepath.Join(dir, "ex20101224.TEST_ITCH_50.framed.gz"))

	b, batch := newBooks(t, Options{}), newBatch(t)
	tape, emptied := map[string]uint64{}, map[string]uint64{"E": 0, "X": 0}
	for len(data) > 0 {
		batch.Reset()
		for batch.N < 1000 && len(data) > 0 {
			n := int(binary.BigEndian.Uint16(data))
			putMessage(batch, data[2:2+n])
			data = data[2+n:]
		}
		b.Apply(batch, 0, batch.N)
		for i := range batch.N {
			w := rowOf(batch, i)
			kind := map[tick.Kind]string{tick.KindExec: "E", tick.KindReduce: "X", tick.KindTrade: "P"}[w.kind]
			if w.state&tick.StateApplied == 0 || kind == "" {
				continue
			}
			if w.state&tick.StateGone != 0 {
				emptied[kind]++
			}
			if kind != "X" {
				tape[kind+"_prints"]++
				tape[kind+"_shares"] += w.size
				tape[kind+"_notional_1e-4"] += w.size * uint64(w.price/wireScale)
			}
		}
	}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	checkReplay(t, b, &want.Replay, tape, emptied)
}

func checkReplay(t *testing.T, b *Books, want *expectedReplay, tape, emptied map[string]uint64) {
	t.Helper()
	c := b.Counters()
	for _, tc := range []struct {
		name      string
		got, want any
	}{
		{"unknown E", c.Unknown[tick.KindExec], want.UnknownReference["E"]},
		{"unknown X", c.Unknown[tick.KindReduce], want.UnknownReference["X"]},
		{"unknown D", c.Unknown[tick.KindDelete], want.UnknownReference["D"]},
		{"unknown U", c.Unknown[tick.KindReplace], want.UnknownReference["U"]},
		{"duplicates", c.Duplicate, want.DuplicateAdd},
		{"over-reductions", c.Clamped, want.OverReduction},
		{"locate mismatches", c.LocateMismatch, want.LocateMismatch},
		{"live orders, maximum", c.MaxOrders, want.MaxLiveOrders},
		{"live orders", c.Orders, want.LiveOrdersAtEnd},
		{"tape", fmt.Sprint(tape), fmt.Sprint(want.Tape)},
		{"emptied", fmt.Sprint(emptied), fmt.Sprint(want.OrdersEmptiedBy)},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, tc.got, tc.want)
		}
	}
	var all []Order
	var queues strings.Builder
	b.Instruments(func(n uint32) bool {
		all = append(all, writeQueues(b, n, &queues)...)
		return true
	})
	slices.SortFunc(all, func(x, y Order) int { return cmp.Compare(x.ID, y.ID) })
	var orders strings.Builder
	for _, o := range all {
		fmt.Fprintf(&orders, "%d,%d,%c,%d,%d\n", o.ID, o.Instrument, wireSide(o.Side), o.Size, o.Price/wireScale)
	}
	if got := hash(orders.String()); got != want.LiveOrdersSHA256 {
		t.Errorf("live orders hash to %s, want %s", got, want.LiveOrdersSHA256)
	}
	if got := hash(queues.String()); got != want.LevelsFIFOSHA256 {
		t.Errorf("queues hash to %s, want %s", got, want.LevelsFIFOSHA256)
	}
	if len(want.BooksAtEnd) == 0 {
		t.Error("no books expected at the end: is this the right file?")
	}
	for name, w := range want.BooksAtEnd {
		got := bookAtEnd{StockLocate: w.StockLocate}
		got.BidLevels, got.BidOrders, got.BidShares, got.BestBid = sum(b, w.StockLocate, tick.SideBid)
		got.AskLevels, got.AskOrders, got.AskShares, got.BestAsk = sum(b, w.StockLocate, tick.SideAsk)
		if got != w {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, w)
		}
	}
}

// writeQueues writes the queues of an instrument as the vectors' README has them, and returns its orders.
func writeQueues(b *Books, n uint32, out *strings.Builder) (all []Order) {
	b.Walk(n, func(o Order) bool { all = append(all, o); return true })
	byPrice := slices.Clone(all) // levels ascending for both sides; stable, so queues keep their order
	slices.SortStableFunc(byPrice, func(x, y Order) int {
		return cmp.Or(-cmp.Compare(x.Side, y.Side), cmp.Compare(x.Price, y.Price))
	})
	for i, o := range byPrice {
		if i == 0 || o.Price != byPrice[i-1].Price || o.Side != byPrice[i-1].Side {
			if i > 0 {
				out.WriteByte('\n')
			}
			fmt.Fprintf(out, "%d,%c,%d:%d", n, wireSide(o.Side), o.Price/wireScale, o.ID)
		} else {
			fmt.Fprintf(out, " %d", o.ID)
		}
	}
	if len(all) > 0 {
		out.WriteByte('\n')
	}
	return all
}

func sum(b *Books, n uint32, side byte) (levels int, orders uint32, shares uint64, best bestPrice) {
	all := make([]Level, 10_000)
	levels = b.Levels(n, side, all)
	for _, l := range all[:levels] {
		orders += l.Orders
		shares += l.Size
	}
	if levels > 0 {
		best = bestPrice{all[0].Price / wireScale, all[0].Size, all[0].Orders}
	}
	return
}

func wireSide(side byte) byte {
	if side == tick.SideAsk {
		return 'S'
	}
	return side
}

func hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func readGzip(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
