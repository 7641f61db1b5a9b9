package mdp3_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/tick"
)

var _ pipeline.Decoder = (*mdp3.Decoder)(nil)

// onWire is for messages whose instruments have no definition.
var onWire = mdp3.Options{Prices: mdp3.PricesWire}

func newDecoder(tb testing.TB, o mdp3.Options) *mdp3.Decoder {
	tb.Helper()
	d, err := mdp3.NewDecoder(o)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func newBatch(tb testing.TB) *tick.Batch {
	tb.Helper()
	b, err := tick.NewBatch()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Free() })
	return b
}

// decode gives the rows of packets as text. They must be taken whole and without complaint.
func decode(tb testing.TB, o mdp3.Options, payloads ...[]byte) []string {
	tb.Helper()
	d, out := newDecoder(tb, o), newBatch(tb)
	for _, p := range payloads {
		feed(tb, d, out, p)
	}
	if d.Refused() != 0 {
		tb.Fatalf("refused: %+v", d.Counters)
	}
	return rowsOf(out)
}

// feed decodes one packet into what is left of a batch.
func feed(tb testing.TB, d *mdp3.Decoder, out *tick.Batch, payload []byte) {
	tb.Helper()
	h, body, err := mdp3.ParsePacket(payload)
	if err != nil {
		tb.Fatal(err)
	}
	if used, n := d.Append(body, uint64(h.Sequence), 1, out); used != len(body) || n != 1 {
		tb.Fatalf("Append used %d of %d bytes, %d messages", used, len(body), n)
	}
}

var kindNames = map[tick.Kind]string{tick.KindAdd: "add", tick.KindDelete: "delete", tick.KindModify: "modify", tick.KindTrade: "trade", tick.KindBreak: "break",
	tick.KindStatus: "status", tick.KindDefinition: "definition", tick.KindStatistics: "stat", tick.KindExt: "ext", tick.KindClear: "clear",
	tick.KindLevel: "level", tick.KindImplied: "implied", tick.KindFill: "fill"}

// rowsOf writes rows as text: kind, code, instrument, then what the kind has; a + at the end is FlagMore, an s FlagSnapshot.
func rowsOf(out *tick.Batch) []string {
	var rows []string
	for i := range out.N {
		rows = append(rows, rowOf(out, i))
	}
	return rows
}

func rowOf(out *tick.Batch, i int) string {
	var b strings.Builder
	fmt.Fprint(&b, kindNames[out.Kind[i]])
	if out.Sub[i] != 0 {
		fmt.Fprintf(&b, " %c", out.Sub[i])
	}
	fmt.Fprintf(&b, " %d", out.Instrument[i])
	first, n := tick.SplitSideRows(out.Aux[i])
	switch out.Kind[i] {
	case tick.KindLevel, tick.KindImplied:
		level, orders := tick.SplitLevelAt(out.Aux[i])
		fmt.Fprintf(&b, " %c%d %d @ %s, %d orders", out.Side[i], level, out.Size[i], tick.FormatPrice(out.Price[i]), orders)
	case tick.KindStatistics:
		for _, s := range out.Statistics[first : first+n] {
			fmt.Fprintf(&b, " type %d %s %d action %d flags %d", s.StatType, tick.FormatPrice(s.Price), s.Quantity, s.UpdateAction, s.StatFlags)
			if s.TsRef != tick.UndefTime {
				fmt.Fprintf(&b, " ref %d", s.TsRef/86_400_000_000_000)
			}
		}
	case tick.KindExt:
		for _, e := range out.Exts[first : first+n] {
			fmt.Fprintf(&b, " %c%c/%d=%d", byte(e.A), byte(e.A>>8), e.B, int64(e.C))
		}
	case tick.KindStatus:
		for _, s := range out.Statuses[first : first+n] {
			fmt.Fprintf(&b, " action %d reason %d event %d trading %c quoting %c", s.Action, s.Reason, s.TradingEvent, s.IsTrading, s.IsQuoting)
		}
	case tick.KindDefinition:
		for _, v := range out.Definitions[first : first+n] {
			fmt.Fprintf(&b, " %s class %c leg %d/%d", strings.TrimRight(string(v.RawSymbol[:]), "\x00"), v.InstrumentClass, v.LegIndex, v.LegCount)
		}
	case tick.KindBreak:
		fmt.Fprintf(&b, " of %d", out.Aux[i])
	case tick.KindClear:
	default:
		fmt.Fprintf(&b, " %d %c %d @ %s", out.OrderID[i], out.Side[i], out.Size[i], tick.FormatPrice(out.Price[i]))
		if out.Aux[i] != 0 {
			fmt.Fprintf(&b, " aux %d", out.Aux[i])
		}
	}
	if out.Flags[i]&tick.FlagSnapshot != 0 {
		b.WriteString(" s")
	}
	if follows(out, i) {
		b.WriteString(" +")
	}
	return b.String()
}

// follows says whether another row of one of a row's chains is said to follow.
func follows(out *tick.Batch, i int) bool {
	orders, levels := tick.More(out.Flags[i])
	kind, sub := out.Kind[i], out.Sub[i]
	switch {
	case kind == tick.KindTrade, kind == tick.KindClear && sub == mdp3.BookBoth:
		return orders || levels
	case kind == tick.KindLevel, sub == mdp3.BookLevels && (kind == tick.KindClear || kind == tick.KindExt):
		return levels
	case kind == tick.KindAdd, kind == tick.KindModify, kind == tick.KindDelete, kind == tick.KindFill, kind == tick.KindClear, kind == tick.KindExt && sub == mdp3.BookOrders:
		return orders
	}
	return false
}

// naiveRow is a row by hand.
type naiveRow struct {
	text       string
	instrument int64
	chain      int // bits: 1 orders, 2 levels
	event      int
}

func number(v any) int64 {
	n, _ := v.(json.Number).Int64()
	return n
}

func (o object) int(name string) int64 {
	if o[name] == nil {
		return 0
	}
	if e, ok := o[name].(map[string]any); ok {
		return number(e["value"])
	}
	return number(o[name])
}

func (o object) char(name string) string { return o[name].(map[string]any)["value"].(string) }

func (o object) price() string {
	p := o["MDEntryPx"].(map[string]any)
	m := number(p["mantissa"])
	if number(p["exponent"]) == -7 {
		m *= 100
	}
	return tick.FormatPrice(m)
}

// naive makes the rows of a capture from its expectations, one message after the other, by names: the slow obvious way.
func naive(v *vector) []string {
	var rows []naiveRow
	event := 0
	top := map[int64]int64{}
	for _, m := range v.Messages {
		add := func(instrument int64, chain int, format string, args ...any) {
			rows = append(rows, naiveRow{fmt.Sprintf(format, args...), instrument, chain, event})
		}
		order := func(action int64, o object, px, side string, size int64, instrument int64) {
			tail, aux := "", ""
			if priority := o.int("MDOrderPriority"); priority > top[instrument] {
				if top[instrument] != 0 {
					tail = " T"
				}
				top[instrument] = priority
			}
			if action == 1 {
				aux = fmt.Sprintf(" aux %d", o.int("MDOrderPriority"))
			} else {
				tail = ""
			}
			add(instrument, 1, "%s%s %d %d %s %d @ %s%s", [...]string{"add", "modify", "delete"}[action], tail, instrument, o.int("OrderID"), side, size, px, aux)
		}
		sides := map[string]string{"0": "B", "1": "A", "E": "B", "F": "A"}
		entries := m.Groups["NoMDEntries"].Entries
		orders := m.Groups["NoOrderIDEntries"].Entries
		switch m.Template {
		case 46, 32:
			for _, e := range entries {
				name, chain := "level", 2
				if e.char("MDEntryType") > "9" {
					name, chain = "implied", 0
				}
				add(e.int("SecurityID"), chain, "%s %c %d %s%d %d @ %s, %d orders", name, "NCD"[e.int("MDUpdateAction")], e.int("SecurityID"),
					sides[e.char("MDEntryType")], e.int("MDPriceLevel"), e.int("MDEntrySize"), e.price(), e.int("NumberOfOrders"))
			}
			for _, o := range orders {
				e := entries[o.int("ReferenceID")-1]
				order(o.int("OrderUpdateAction"), o, e.price(), sides[e.char("MDEntryType")], o.int("MDDisplayQty"), e.int("SecurityID"))
			}
		case 47:
			for _, o := range entries {
				order(o.int("MDUpdateAction"), o, o.price(), sides[o.char("MDEntryType")], o.int("MDDisplayQty"), o.int("SecurityID"))
			}
		case 48, 42:
			for _, e := range entries {
				id, aggressor, aux := e.int("SecurityID"), orders[0], ""
				if e["MDTradeEntryID"] != nil {
					aux = fmt.Sprintf(" aux %d", e.int("MDTradeEntryID"))
				}
				add(id, 3, "trade %d %d %c %d @ %s%s", id, aggressor.int("OrderID"), "NBA"[e.int("AggressorSide")], e.int("MDEntrySize"), e.price(), aux)
				for _, o := range orders[1:e.int("NumberOfOrders")] {
					add(id, 1, "fill %d %d %c %d @ %s%s", id, o.int("OrderID"), "NAB"[e.int("AggressorSide")], o.int("LastQty"), e.price(), aux)
				}
				orders = orders[e.int("NumberOfOrders"):]
			}
		case 37:
			for _, e := range entries {
				add(e.int("SecurityID"), 0, "stat %d type 10001 - %d action 1 flags 0", e.int("SecurityID"), e.int("MDEntrySize"))
			}
		}
		if m.Fields.int("MatchEventIndicator")&0x80 != 0 {
			event++
		}
	}
	var out []string
	for i, r := range rows {
		if slices.ContainsFunc(rows[i+1:], func(o naiveRow) bool {
			return o.instrument == r.instrument && o.chain&r.chain != 0 && o.event == r.event
		}) {
			r.text += " +"
		}
		out = append(out, r.text)
	}
	return out
}

func same(tb testing.TB, what string, got, want []string) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("%s: rows are\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestVectorRows compares the rows of the captures with those made by hand from their expectations.
func TestVectorRows(t *testing.T) {
	for _, v := range vectors(t) {
		want := naive(&v)
		if len(want) == 0 {
			t.Fatal("nothing is expected")
		}
		same(t, v.name, decode(t, onWire, v.payload), want)
		only := func(kinds ...string) (out []string) {
			for _, r := range want {
				if !slices.ContainsFunc(kinds, func(k string) bool { return strings.HasPrefix(r, k) }) {
					out = append(out, r)
				}
			}
			return out
		}
		same(t, v.name+" orders", decode(t, mdp3.Options{Prices: mdp3.PricesWire, Feed: mdp3.FeedMBO}, v.payload), only("level", "implied"))
		got := decode(t, mdp3.Options{Prices: mdp3.PricesWire, Feed: mdp3.FeedMBP}, v.payload)
		for i := range got { // trades and levels are one chain here
			got[i] = strings.TrimSuffix(got[i], " +")
		}
		levels := only("add", "modify", "delete")
		for i := range levels {
			levels[i] = strings.TrimSuffix(levels[i], " +")
		}
		same(t, v.name+" levels", got, levels)
	}
}

// TestVectorColumns: what is the same for all rows of a packet.
func TestVectorColumns(t *testing.T) {
	for _, v := range vectors(t) {
		d, out := newDecoder(t, onWire), newBatch(t)
		feed(t, d, out, v.payload)
		for i := range out.N {
			if out.Sequence[i] != v.Header.Sequence || out.TsEvent[i] != uint64(v.Messages[0].Fields.int("TransactTime")) || out.Flags[i]&^(tick.FlagMore|tick.FlagMoreElse) != 0 {
				t.Errorf("%s: row %d: sequence %d, time %d, flags %#x", v.name, i, out.Sequence[i], out.TsEvent[i], out.Flags[i])
			}
		}
		if d.Counters.RptSeqGaps != 0 || d.Counters.RptSeqBack != 0 {
			t.Errorf("%s: %+v", v.name, d.Counters)
		}
	}
}
