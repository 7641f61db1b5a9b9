package mdp3_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/tick"
)

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
	if out.Flags[i]&tick.FlagMore != 0 {
		b.WriteString(" +")
	}
	return b.String()
}

func TestDump(t *testing.T) {
	for _, v := range vectors(t) {
		fmt.Println(v.name)
		fmt.Println(strings.Join(decode(t, mdp3.Options{}, v.payload), "\n"))
	}
}
