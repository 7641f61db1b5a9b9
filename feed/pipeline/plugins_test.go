package pipeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/internal/testguest"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// guestBench is a bench with a seat, and a host for its plugins.
type guestBench struct {
	*bench
	host *plugins.Host
	seat plugins.Seat
	ids  []uint64
}

func newGuestBench(t testing.TB, change func(*Config)) *guestBench {
	t.Helper()
	g := &guestBench{}
	var err error
	g.host, err = plugins.New(plugins.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	must(t, err)
	t.Cleanup(func() { must(t, g.host.Close()) })
	g.bench = newBench(t, func(c *Config) {
		c.Plugins = &g.seat
		if change != nil {
			change(c)
		}
	})
	return g
}

// load makes these modules the lane's chain.
func (g *guestBench) load(t testing.TB, stop manifest.OnTrap, modules ...[]byte) *plugins.Chain {
	t.Helper()
	var stages []plugins.Stage
	for _, m := range modules {
		p, err := g.host.Compile(m)
		must(t, err)
		t.Cleanup(func() { must(t, p.Close()) })
		stages = append(stages, plugins.Stage{Plugin: p, OnTrap: stop})
		g.ids = append(g.ids, ringbuf.PluginID(p.Digest()))
	}
	c, err := g.host.NewChain(stages, plugins.Env{Directory: g.lane.Directory(), Publisher: 2})
	must(t, err)
	g.seat.Set(c)
	t.Cleanup(func() {
		g.seat.Set(nil)
		g.seat.Take()
		<-c.Closed()
	})
	return c
}

// exts gives what the ext ring has of plugins, as text.
func (g *guestBench) exts(t testing.TB) (lines []string) {
	t.Helper()
	for {
		var recs [64]tick.Ext
		n, _, st := ringbuf.PollSlice(g.readers[ringbuf.KindExt], recs[:])
		if n == 0 {
			if st != ringbuf.None {
				t.Fatalf("ext ring: %v", st)
			}
			return lines
		}
		for _, e := range recs[:n] {
			if e.Kind == tick.ExtPlugin {
				lines = append(lines, fmt.Sprintf("seq%d plugin%d ring%d +%d reason%d.%d verdict%d place%d", e.Seq32, slices.Index(g.ids, e.A), e.Ring, e.RefSeq&(1<<14-1),
					e.B>>8, e.B&0xff, e.C&0xff, e.C>>8))
			}
		}
	}
}

// events are the messages that the tests below feed: adds around 100, a trade in the middle of each size.
func events() [][]byte {
	return [][]byte{
		add(10, 7, 'B', 300, 1_000_000), add(11, 7, 'S', 50, 1_010_000),
		msg('E', 7, 12, uint64(10), uint32(120), uint64(501)),
		msg('P', 7, 13, uint64(0), "B", uint32(5), "TEST    ", uint32(1_005_000), uint64(504)),
		msg('P', 7, 14, uint64(0), "B", uint32(500), "TEST    ", uint32(1_005_000), uint64(505)),
		msg('U', 7, 16, uint64(11), uint64(12), uint32(80), uint32(1_009_000)),
		msg('D', 7, 17, uint64(12)),
		msg('D', 7, 18, uint64(99)), // unknown: nothing of it is published, whatever a plugin says
	}
}

// TestPluginsChangeWhatIsPublished: a transform's prices and flags are those of the records, each flagged row has a record that says who flagged it, and the
// books are those of the same feed without a plugin.
func TestPluginsChangeWhatIsPublished(t *testing.T) {
	plain := newBench(t, nil)
	plain.feed(1, events()...)
	plain.lane.EndPass()
	g := newGuestBench(t, nil)
	c := g.load(t, "", wasmtest.Kernel()) // price × 100, flags sizes from 100
	g.feed(1, events()...)
	g.lane.EndPass()
	if c.Stats()[0].Failures != 0 {
		t.Fatalf("%+v", c.Stats())
	}
	check(t, g.mbo(t), []string{
		"A 7 B 10 300@10000 f82 seq1",
		"A 7 A 11 50@10100 f80 seq2",
		"T 7 A 0 120@10000 f02 seq3", "F 7 B 10 120@10000 f02 seq3", "C 7 B 10 120@10000 f82 seq3",
		"T 7 N 0 5@10050 f80 seq4",
		"T 7 N 0 500@10050 f82 seq5",
		"C 7 A 11 50@101 f00 seq6", "A 7 A 12 80@10090 f80 seq6",
		"C 7 A 12 80@10090 f80 seq7",
	})
	check(t, g.exts(t), []string{
		"seq1 plugin0 ring1 +0 reason0.0 verdict2 place0",
		"seq3 plugin0 ring1 +2 reason0.0 verdict2 place0",
		"seq5 plugin0 ring1 +6 reason0.0 verdict2 place0",
	})
	plainTops, tops := plain.mbp1(t), g.mbp1(t)
	if len(plainTops) != len(tops) || len(tops) == 0 {
		t.Fatalf("%d tops, without plugin %d", len(tops), len(plainTops))
	}
	for i := range tops { // the levels, behind the record's own price
		if a, b := tops[i][strings.LastIndex(tops[i], " "):], plainTops[i][strings.LastIndex(plainTops[i], " "):]; a != b {
			t.Errorf("best prices %d are %s, without plugin %s", i, a, b)
		}
		if tops[i][0] != plainTops[i][0] {
			t.Errorf("action of %s, without plugin %s", tops[i], plainTops[i])
		}
	}
	if a, b := g.books.Top(7), plain.books.Top(7); a != b {
		t.Errorf("the book has %+v, without plugin %+v", a, b)
	}
	if n := g.lane.Counters(); n.PluginFlagged != 3 || n.PluginDropped != 0 || n.PluginSwaps != 1 {
		t.Errorf("%+v", n)
	}
}

// TestPluginsRefuse: what changed a book is published with the verdict, a trade that touches no order is dropped, with a record in its place.
func TestPluginsRefuse(t *testing.T) {
	g := newGuestBench(t, nil)
	g.load(t, "", testguest.Refuse("limit", "1.0.0", 100, 0, "pass"))
	g.feed(1, events()...)
	g.lane.EndPass()
	check(t, g.mbo(t), []string{
		"A 7 B 10 300@100 f82 seq1",
		"A 7 A 11 50@101 f80 seq2",
		"T 7 A 0 120@100 f02 seq3", "F 7 B 10 120@100 f02 seq3", "C 7 B 10 120@100 f82 seq3",
		"T 7 N 0 5@100.5 f80 seq4",
		"C 7 A 11 50@101 f00 seq6", "A 7 A 12 80@100.9 f80 seq6",
		"C 7 A 12 80@100.9 f80 seq7",
	})
	check(t, g.exts(t), []string{
		"seq1 plugin0 ring1 +0 reason1.0 verdict1 place0",
		"seq3 plugin0 ring1 +2 reason1.0 verdict1 place0",
		"seq5 plugin0 ring0 +0 reason1.0 verdict4 place0",
	})
	if n := g.lane.Counters(); n.PluginFlagged != 2 || n.PluginDropped != 1 || n.Trades != 2 {
		t.Errorf("%+v", n)
	}
}

// TestPluginColumns: custom columns are in the records of best prices and in the latest value, by place; without a plugin they are zeros.
func TestPluginColumns(t *testing.T) {
	g := newGuestBench(t, nil)
	g.feed(1, add(9, 7, 'B', 1, 900_000))
	g.lane.EndPass()
	g.load(t, "", testguest.MarkColumn("a", "1.0.0", "x", 77, 0), testguest.MarkColumn("b", "1.0.0", "y", -3, 0))
	g.feed(1, events()...)
	g.lane.EndPass()
	g.seat.Set(nil)
	g.lane.EndPass()
	g.feed(1, add(20, 7, 'B', 1, 1_002_000))
	g.lane.EndPass()
	var recs [64]ringbuf.Mbp1Slot
	n, _, _ := ringbuf.PollSlice(g.readers[ringbuf.KindMbp1], recs[:])
	if n < 5 {
		t.Fatalf("%d records", n)
	}
	for i := range recs[:n] {
		want := [4]uint64{77, 1<<64 - 3, 0, 0}
		if i == 0 || i == n-1 {
			want = [4]uint64{}
		}
		if recs[i].Plugin != want {
			t.Errorf("record %d has %v, want %v", i, recs[i].Plugin, want)
		}
	}
}

// TestPluginFails: the batch of a call that failed is as it was, each row carries the flag and a reason, and the next batch is handled by a spare; after three
// failures in a row the plugin is out, and the feed goes on.
func TestPluginFails(t *testing.T) {
	g := newGuestBench(t, nil)
	c := g.load(t, "", testguest.Mark("mark", "1.0.0", 5, 13))
	pass := func(size uint32) (rows, reasons []string) {
		g.feed(1, add(g.next*2, 7, 'B', size, 1_000_000), add(g.next*2+1, 7, 'B', 1, 1_000_000))
		g.lane.EndPass()
		return g.mbo(t), g.exts(t)
	}
	for n := range 3 {
		for failed := false; !failed; { // until the spare is there it passes by
			rows, reasons := pass(13)
			if len(rows) != 2 || !strings.Contains(rows[0], " 13@100 f82") || !strings.Contains(rows[1], "f82") || len(reasons) != 2 {
				t.Fatalf("failure %d: %v, %v", n, rows, reasons)
			}
			if failed = strings.Contains(reasons[0], "reason2.0 verdict3"); !failed && !strings.Contains(reasons[0], "reason2.1 verdict3") {
				t.Fatalf("failure %d: %v", n, reasons)
			}
		}
	}
	rows, reasons := pass(1)
	if !strings.Contains(rows[0], "f82") || len(reasons) != 2 || !strings.Contains(reasons[0], "reason2.2 verdict3") {
		t.Errorf("taken out: %v %v", rows, reasons)
	}
	if st := c.Stats()[0]; !st.Out || st.Traps != 3 {
		t.Errorf("%+v", st)
	}
	g.lane.ShowCounters()
	info, err := ringbuf.Look(g.lane.out.Mbp1.Path())
	must(t, err)
	if n := g.lane.Counters().PluginBypass; info.Counters.PluginBypass != n || n < 4 {
		t.Errorf("the ring's header shows %d passes without a plugin, the lane counted %d", info.Counters.PluginBypass, n)
	}
}

// TestPluginStopsFeed: with on_trap stop_feed nothing of the batch that was not judged is published, nor of later ones, and the lane's error names the plugin.
func TestPluginStopsFeed(t *testing.T) {
	g := newGuestBench(t, nil)
	g.load(t, manifest.StopFeed, testguest.Refuse("limit", "1.2.3", 1000, 13, "pass"))
	g.feed(1, add(1, 7, 'B', 1, 1_000_000))
	g.lane.EndPass()
	if got := g.mbo(t); len(got) != 1 || g.lane.Err() != nil {
		t.Fatalf("%v, %v", got, g.lane.Err())
	}
	g.feed(1, add(2, 7, 'B', 1, 1_000_000), add(3, 7, 'B', 13, 1_000_000))
	g.lane.EndPass()
	g.feed(1, add(4, 7, 'B', 1, 1_000_000))
	g.lane.EndPass()
	if err := g.lane.Err(); err == nil || !errors.Is(err, plugins.ErrStopped) || !strings.Contains(err.Error(), "limit 1.2.3") {
		t.Errorf("error %v", err)
	}
	if got := append(g.mbo(t), g.mbp1(t)[1:]...); len(got) != 0 {
		t.Errorf("published all the same: %v", got)
	}
}

// TestPluginSymbols: a plugin's symbol is in the definition that readers get, with the first row that names the instrument as well as later; the plugin itself
// goes on seeing the venue's. Without it the venue's symbols are told again.
func TestPluginSymbols(t *testing.T) {
	define := func(locate uint16, symbol string) []byte {
		return msg('R', locate, 5, symbol, "Q", "N", uint32(100), "N", "C", "Z ", "P", "N", "N", "1", "N", uint32(0), "N")
	}
	g := newGuestBench(t, nil)
	symbol := func(id uint32) string {
		in, ok := g.inst.Lookup(2, id)
		if !ok {
			return "none"
		}
		if in.RoundLot != 100 {
			t.Errorf("instrument %d: round lot %d is not what the venue said", id, in.RoundLot)
		}
		return in.Symbol()
	}
	g.feed(1, define(7, "AAPL    "))
	g.lane.EndPass()
	g.load(t, "", testguest.Rename("x", "1.0.0", 'X'))
	g.feed(1, define(8, "MSFT    "), add(1, 8, 'B', 1, 1_000_000)) // its R must come all the same
	g.lane.EndPass()
	if got := symbol(7) + " " + symbol(8); got != "AAPL XMSFT" {
		t.Errorf("symbols %s", got)
	}
	if got := g.mbo(t); len(got) != 3 || !strings.HasPrefix(got[1], "R 8") {
		t.Errorf("an instrument's first record: %v", got)
	}
	g.feed(1, add(2, 7, 'B', 1, 1_000_000), define(8, "MSFT    "), add(3, 8, 'B', 1, 1_000_000))
	g.lane.EndPass()
	if got := symbol(7) + " " + symbol(8); got != "XAAPL XMSFT" {
		t.Errorf("symbols %s", got)
	}
	if n := g.lane.Counters().Renamed; n != 2 {
		t.Errorf("%d symbols were changed", n)
	}
	g.lane.SessionStart([10]byte{1})
	g.feed(1, define(7, "IBM     "))
	g.lane.EndPass()
	if got := symbol(7) + " " + symbol(8); got != "XIBM none" {
		t.Errorf("symbols of another session %s", got)
	}
	g.seat.Set(nil)
	g.lane.EndPass()
	if got := symbol(7); got != "IBM" {
		t.Errorf("without the plugin the symbol is %s", got)
	}
}

// TestPluginsAndDepth: records of ten levels carry what plugins made of their row, though they are made before.
func TestPluginsAndDepth(t *testing.T) {
	g := newGuestBench(t, func(c *Config) { c.Depth = []string{"TEST"} })
	g.feed(1, msg('R', 7, 5, "TEST    ", "Q", "N", uint32(100), "N", "C", "Z ", "P", "N", "N", "1", "N", uint32(0), "N"))
	g.lane.EndPass()
	g.load(t, "", wasmtest.Kernel(), testguest.Refuse("limit", "1.0.0", 500, 0, "pass"))
	g.feed(1, events()...)
	g.lane.EndPass()
	var recs [64]ringbuf.Mbp10Slot
	n, _, _ := ringbuf.PollSlice(g.readers[ringbuf.KindMbp10], recs[:])
	var lines []string
	for i := range recs[:n] {
		r := &recs[i]
		lines = append(lines, fmt.Sprintf("%c %c %d@%s f%02x seq%d %d@%s", r.Action, r.Side, r.Size, price(r.Price), r.Flags, r.Sequence, r.Levels[0].BidSz, price(r.Levels[0].BidPx)))
	}
	check(t, lines, []string{
		"A B 300@10000 f82 seq2 300@100",
		"A A 50@10100 f80 seq3 300@100",
		"T A 120@10000 f02 seq4 300@100", "C B 120@10000 f82 seq4 180@100",
		"T N 5@10050 f80 seq5 180@100",
		"A A 80@10090 f80 seq7 180@100",
		"C A 80@10090 f80 seq8 180@100",
	})
}

// TestPluginsAndPassSize: what comes out does not hang on how rows are cut into batches, for plugins that do not.
func TestPluginsAndPassSize(t *testing.T) {
	run := func(size int) string {
		g := newGuestBench(t, func(c *Config) { c.MaxPass = size })
		g.load(t, "", wasmtest.Kernel(), testguest.Refuse("limit", "1.0.0", 500, 0, "pass"), testguest.Rename("x", "1.0.0", 'X'))
		for range 20 {
			g.feed(1, events()...)
		}
		g.lane.EndPass()
		return strings.Join(slices.Concat(g.mbo(t), g.mbp1(t), g.exts(t)), "\n")
	}
	want := run(64)
	for _, size := range []int{1, 7, 2048} {
		if got := run(size); got != want {
			t.Errorf("%d messages a pass: other records than with 64", size)
		}
	}
}

// TestPluginsAllocateNothing: nor do plugins on the lane, once warm.
func TestPluginsAllocateNothing(t *testing.T) {
	kept, err := NewKept()
	must(t, err)
	defer kept.Close()
	g := newGuestBench(t, func(c *Config) { c.Kept = kept })
	c := g.load(t, "", wasmtest.Kernel(), testguest.MarkColumn("b", "1.0.0", "y", -3, 0), testguest.Refuse("limit", "1.0.0", 500, 0, "pass"))
	all := events()
	var blocks []byte
	for _, m := range all {
		blocks = binary.BigEndian.AppendUint16(blocks, uint16(len(m)))
		blocks = append(blocks, m...)
	}
	n := uint64(0)
	pass := func() {
		n += 100_000_000
		g.lane.SetNow(testMidnight + n)
		g.lane.Messages(blocks, 1, len(all), session.Arrival{TsRecv: 1})
		g.lane.EndPass()
	}
	pass()
	if n := testing.AllocsPerRun(1000, pass); n != 0 {
		t.Errorf("%g allocations a pass", n)
	}
	if st := c.Stats()[0]; st.Failures != 0 || st.Rows == 0 {
		t.Errorf("%+v", st)
	}
	b, err := tick.NewBatch()
	must(t, err)
	defer b.Free()
	seen := 0
	must(t, kept.Each(b, func() error { seen += b.N; return nil }))
	if seen != keptBatches*len(all) || b.Price[0] != 100_000_000_000 {
		t.Errorf("%d rows are kept, the first with price %d: as books completed them, before plugins", seen, b.Price[0])
	}
}
