package fix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

const header = "34=2|49=V|52=20261123-03:24:24.489|56=B|"

func batch(t testing.TB) *tick.Batch {
	t.Helper()
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Free() })
	return b
}

// show is a row as text: kind, instrument, and what its kind has.
func show(b *tick.Batch, i int) string {
	names := []string{"", "Add", "Exec", "ExecAt", "Reduce", "Delete", "Replace", "Trade", "Cross", "Break", "Status", "Imbalance", "Definition", "Statistics", "Ext",
		"System", "Clear", "Modify", "Level", "Implied", "Fill", "Quote"}
	s := fmt.Sprintf("%s %d", names[b.Kind[i]], b.Instrument[i])
	id := func(v uint64) string {
		if v>>63 != 0 && v<<1>>1 < 1<<32 {
			return fmt.Sprintf("#%d", v<<1>>1)
		}
		return fmt.Sprint(v)
	}
	price := func() string { return tick.FormatPrice(b.Price[i]) }
	first, _ := tick.SplitSideRows(b.Aux[i])
	switch b.Kind[i] {
	case tick.KindAdd, tick.KindModify:
		s += fmt.Sprintf(" %s %c %s x %d", id(b.OrderID[i]), b.Side[i], price(), b.Size[i])
	case tick.KindReplace:
		s += fmt.Sprintf(" %s -> %s %s x %d", id(b.OrderID[i]), id(b.Aux[i]), price(), b.Size[i])
	case tick.KindDelete:
		s += " " + id(b.OrderID[i])
	case tick.KindLevel:
		level, orders := tick.SplitLevelAt(b.Aux[i])
		s += fmt.Sprintf(" %c %c %s x %d at %d of %d", b.Sub[i], b.Side[i], price(), b.Size[i], level, orders)
	case tick.KindTrade:
		s += fmt.Sprintf(" %s x %d id %d", price(), b.Size[i], b.Aux[i])
	case tick.KindBreak:
		s += fmt.Sprintf(" id %d", b.Aux[i])
	case tick.KindDefinition:
		d := &b.Definitions[first]
		s += fmt.Sprintf(" %s %c", bytes.TrimRight(d.RawSymbol[:], "\x00"), d.SecurityUpdateAction)
	case tick.KindStatistics:
		x := &b.Statistics[first]
		s += fmt.Sprintf(" type %d %s", x.StatType, tick.FormatPrice(x.Price))
		if x.Quantity != tick.UndefQuantity {
			s += fmt.Sprintf(" quantity %d", x.Quantity)
		}
		if x.UpdateAction != 1 {
			s += fmt.Sprintf(" action %d", x.UpdateAction)
		}
	case tick.KindStatus:
		x := &b.Statuses[first]
		s += fmt.Sprintf(" action %d reason %d %c%c", x.Action, x.Reason, x.IsTrading, x.IsQuoting)
	case tick.KindImbalance:
		x := &b.Imbalances[first]
		s += fmt.Sprintf(" %c %s x %d", x.Side, tick.FormatPrice(x.RefPrice), b.OrderID[i])
		if x.TotalImbalanceQty == tick.UndefSize {
			s += " not told"
		}
	}
	if b.Flags[i]&tick.FlagSnapshot != 0 {
		s += " snapshot"
	}
	if b.Flags[i]&tick.FlagMore != 0 {
		s += " more"
	}
	return s
}

func rows(t *testing.T, d *Decoder, out *tick.Batch, messages ...string) (all []string) {
	t.Helper()
	for _, m := range messages {
		begin, rest, ok := strings.Cut(m, " ")
		if !ok {
			begin, rest = "FIX.4.4", m
		}
		typ, rest, _ := strings.Cut(rest, "|")
		raw := framed(begin, typ+"|"+header+rest)
		out.Reset()
		used, n := d.Append(raw, 7, 1, out)
		if used != len(raw) || n != 1 {
			t.Fatalf("%s: %d bytes of %d, %d messages", m, used, len(raw), n)
		}
		for i := range out.N {
			if out.Sequence[i] != 7 {
				t.Errorf("row has sequence %d", out.Sequence[i])
			}
			all = append(all, show(out, i))
		}
	}
	return all
}

func decoderOf(t testing.TB, o Options) *Decoder {
	t.Helper()
	d, err := NewDecoder(o)
	if err != nil {
		t.Fatal(err)
	}
	d.Start(0)
	return d
}

func TestDecoder(t *testing.T) {
	for _, tc := range []struct {
		name     string
		options  Options
		messages []string
		want     string
	}{
		{"W by price, seen on the wire", Options{}, []string{"FIX.4.2 35=W|55=ESZ4|262=R1|268=2|269=0|270=100.25|271=5|269=1|270=100.5|271=7|"}, `
			Definition 1 ESZ4 A snapshot
			Clear 1 snapshot more
			Level 1 N B 100.25 x 5 at 0 of 0 snapshot more
			Level 1 N A 100.50 x 7 at 0 of 0 snapshot`},
		{"W of an empty book", Options{}, []string{"35=W|55=A|268=0|", "FIXT.1.1 35=W|55=A|268=1|269=J|"}, `
			Definition 1 A A
			Clear 1 snapshot
			Clear 1 snapshot`},
		{"W of trades only leaves the book of another subscription", Options{}, []string{
			"35=W|262=book|55=A|268=1|269=0|270=1|271=5|", "35=W|262=trades|55=A|268=1|269=2|270=1|271=5|", "35=W|262=book|55=A|268=1|269=7|270=2|"}, `
			Definition 1 A A
			Clear 1 snapshot more
			Level 1 N B 1.00 x 5 at 0 of 0 snapshot
			Trade 1 1.00 x 5 id 0 snapshot
			Clear 1 snapshot more
			Statistics 1 type 5 2.00 snapshot`},
		{"W with numbers, in turn and not", Options{}, []string{
			"35=W|55=A|268=3|269=0|270=2|271=5|290=1|269=1|270=3|271=5|290=1|269=0|270=1|271=5|346=3|290=2|",
			"35=W|55=A|268=3|269=0|270=1|271=5|290=2|269=0|270=2|271=5|290=1|269=0|270=3|271=0|290=3|"}, `
			Definition 1 A A
			Clear 1 snapshot more
			Level 1 N B 2.00 x 5 at 1 of 0 snapshot more
			Level 1 N A 3.00 x 5 at 1 of 0 snapshot more
			Level 1 N B 1.00 x 5 at 2 of 3 snapshot
			Clear 1 snapshot more
			Level 1 N B 1.00 x 5 at 0 of 0 snapshot more
			Level 1 N B 2.00 x 5 at 0 of 0 snapshot`},
		{"size 0", Options{}, []string{"35=X|268=3|279=1|269=0|55=A|270=1|271=0|279=1|269=0|270=1|271=0|290=3|279=0|269=0|270=1|271=0|290=3|"}, `
			Definition 1 A A
			Level 1 D B 1.00 x 0 at 0 of 0 more
			Level 1 C B 1.00 x 0 at 3 of 0 more
			Level 1 N B 1.00 x 0 at 3 of 0`},
		{"X by level, instrument inherited, two instruments", Options{}, []string{
			"35=X|268=4|279=0|269=0|55=A|270=1.5|271=10|346=2|290=1|279=1|269=1|270=1.75|271=3|290=2|279=2|269=0|55=B|290=5|279=2|269=1|55=A|270=2|"}, `
			Definition 1 A A
			Level 1 N B 1.50 x 10 at 1 of 2 more
			Level 1 C A 1.75 x 3 at 2 of 0 more
			Definition 2 B A
			Level 2 D B - x 0 at 5 of 0
			Level 1 D A 2.00 x 0 at 0 of 0`},
		{"X of 5.0 SP2, thru, from and overlay", Options{}, []string{
			"FIXT.1.1 35=X|1021=2|268=3|279=3|269=0|278=id|55=A|1023=3|83=1|279=4|269=1|1023=2|83=2|279=5|269=1|270=-0.5|271=7|1023=1|83=3|"}, `
			Definition 1 A A
			Level 1 T B - x 0 at 3 of 0 more
			Level 1 F A - x 0 at 2 of 0 more
			Level 1 O A -0.50 x 7 at 1 of 0`},
		{"by price, whatever the number", Options{Identity: ByPrice}, []string{
			"35=X|268=3|279=0|269=0|278=a|55=A|270=1|271=2|290=4|279=1|269=0|278=a|270=1|271=0|290=4|279=0|269=0|278=a|270=1|271=0|290=4|"}, `
			Definition 1 A A
			Level 1 N B 1.00 x 2 at 0 of 0 more
			Level 1 D B 1.00 x 0 at 0 of 0 more
			Level 1 D B 1.00 x 0 at 0 of 0`},
		{"orders by id: parts of a change, type left out, new id, deletion", Options{}, []string{
			"35=X|268=2|279=0|269=0|278=ab|55=A|270=1|271=2|279=0|269=1|278=77|270=3|271=4|",
			"35=X|268=3|279=1|278=ab|55=A|271=9|279=1|269=1|278=c|280=77|270=3.5|279=1|269=0|278=ab|270=1.25|",
			"35=X|268=2|279=2|278=ab|55=A|279=2|269=1|278=c|",
			"35=X|268=1|279=0|269=0|278=ab|55=A|270=1|271=2|"}, `
			Definition 1 A A
			Add 1 #1 B 1.00 x 2 more
			Add 1 77 A 3.00 x 4
			Modify 1 #1 B 1.00 x 9 more
			Replace 1 77 -> #2 3.50 x 4 more
			Modify 1 #1 B 1.25 x 9
			Delete 1 #1 more
			Delete 1 #2
			Add 1 #3 B 1.00 x 2`},
		{"W forgets ids", Options{}, []string{
			"35=W|55=A|268=2|269=0|270=1|271=2|278=x|269=1|270=2|271=3|278=y|", "35=W|55=A|268=1|269=0|270=1|271=2|278=y|", "35=X|268=1|279=2|269=0|278=x|55=A|"}, `
			Definition 1 A A
			Clear 1 snapshot more
			Add 1 #1 B 1.00 x 2 snapshot more
			Add 1 #2 A 2.00 x 3 snapshot
			Clear 1 snapshot more
			Add 1 #3 B 1.00 x 2 snapshot`},
		{"a book that came without ids stays so", Options{}, []string{
			"35=W|55=A|268=1|269=0|270=1|271=2|", "35=X|268=1|279=2|269=0|278=x|55=A|270=1|"}, `
			Definition 1 A A
			Clear 1 snapshot more
			Level 1 N B 1.00 x 2 at 0 of 0 snapshot
			Level 1 D B 1.00 x 0 at 0 of 0`},
		{"same id twice, size 0", Options{}, []string{"35=X|268=4|279=0|269=0|278=a|55=A|270=1|271=2|279=0|269=0|278=a|270=2|271=3|279=1|269=0|278=a|271=0|279=0|269=0|278=b|270=2|271=0|"}, `
			Definition 1 A A
			Add 1 #1 B 1.00 x 2 more
			Add 1 #1 B 2.00 x 3 more
			Delete 1 #1`},
		{"trades, their change and their deletion", Options{}, []string{
			"35=X|268=3|279=0|269=2|278=501|55=A|270=1|271=2|279=1|269=2|278=501|270=1|271=3|279=2|269=2|278=501|"}, `
			Definition 1 A A
			Trade 1 1.00 x 2 id 501 more
			Break 1 id 501 more
			Trade 1 1.00 x 3 id 501 more
			Break 1 id 501`},
		{"figures, imbalance, and types that have no row", Options{}, []string{
			"35=X|268=8|279=0|269=4|55=A|270=1|279=0|269=6|270=2|279=1|269=B|271=900|279=0|269=C|271=12|279=2|269=9|279=0|269=A|270=5|271=100|277=P|279=0|269=3|270=1|279=0|269=0|270=1|271=1|"}, `
			Definition 1 A A
			Statistics 1 type 1 1.00 more
			Statistics 1 type 3 2.00 more
			Statistics 1 type 10001 - quantity 900 more
			Statistics 1 type 9 - quantity 12 more
			Statistics 1 type 13 - action 2 more
			Imbalance 1 B 5.00 x 100 more
			Level 1 N B 1.00 x 1 at 0 of 0`},
		{"an imbalance without a size", Options{}, []string{"35=X|268=1|279=0|269=A|55=A|277=Q|"}, `
			Definition 1 A A
			Imbalance 1 A - x 0 not told`},
		{"empty book in X", Options{}, []string{"FIXT.1.1 35=X|1021=3|268=2|279=0|269=0|278=a|55=A|270=1|271=1|279=0|269=J|", "FIXT.1.1 35=X|1021=3|268=1|279=0|269=0|278=a|55=A|270=1|271=1|"}, `
			Definition 1 A A
			Add 1 #1 B 1.00 x 1 more
			Clear 1
			Add 1 #2 B 1.00 x 1`},
		{"definitions, then a status", Options{}, []string{
			"35=y|320=Q|322=R|560=0|146=2|55=A|167=FUT|200=202412|207=X|561=10|15=USD|55=B|",
			"FIX.4.2 35=d|320=Q|322=R|393=1|55=A|200=202412|202=5|", "FIX.4.2 35=f|55=A|326=2|327=P|", "FIXT.1.1 35=f|55=C|326=17|327=4|"}, `
			Definition 1 A A
			Definition 2 B A
			Definition 1 A M
			Status 1 action 8 reason 30 NN
			Definition 3 C A
			Status 3 action 7 reason 30 YY`},
		{"reports of what has become of instruments", Options{}, []string{
			"FIXT.1.1 35=BK|320=Q|560=0|393=3|980=M|893=Y|146=3|55=A|15=USD|1324=A|55=B|15=EUR|55=C|1324=D|", "FIXT.1.1 35=BP|980=D|55=A|15=USD|",
			"FIXT.1.1 35=BP|980=A|55=A|", "FIXT.1.1 35=BP|980=M|55=A|", "FIXT.1.1 35=BP|55=D|"}, `
			Definition 1 A A
			Definition 2 B A
			Definition 3 C D
			Definition 1 A D
			Definition 1 A A
			Definition 1 A M
			Definition 4 D A`},
		{"same symbol, several instruments", Options{}, []string{
			"35=W|55=ES|200=202412|268=0|", "35=W|55=ES|200=202503|268=0|", "35=W|55=ES|200=202412|207=X|268=0|", "35=W|55=ES|268=0|", "35=W|55=[N/A]|48=777|268=0|"}, `
			Definition 1 ES A
			Clear 1 snapshot
			Definition 2 ES  202503 A
			Clear 2 snapshot
			Clear 1 snapshot
			Definition 3 777 A
			Clear 3 snapshot`},
		{"no symbol, but ids", Options{}, []string{"35=X|268=3|279=0|269=0|55=[N/A]|48=1|270=1|271=2|279=0|269=0|55=[N/A]|48=2|270=1|271=2|279=0|269=0|48=1|270=1|271=2|"}, `
			Definition 1 1 A
			Level 1 N B 1.00 x 2 at 0 of 0 more
			Definition 2 2 A
			Level 2 N B 1.00 x 2 at 0 of 0
			Level 1 N B 1.00 x 2 at 0 of 0`},
		{"sizes with decimals", Options{SizeDecimals: 2}, []string{"35=W|55=A|268=1|269=0|270=1|271=2.5|"}, `
			Definition 1 A A
			Clear 1 snapshot more
			Level 1 N B 1.00 x 250 at 0 of 0 snapshot`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := decoderOf(t, tc.options)
			got := strings.Join(rows(t, d, batch(t), tc.messages...), "\n")
			want := strings.ReplaceAll(strings.TrimSpace(tc.want), "\t", "")
			want = strings.ReplaceAll(want, "A A snapshot", "A A")
			if strings.Contains(tc.name, "seen") {
				want = strings.ReplaceAll(want, "ESZ4 A snapshot", "ESZ4 A")
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s\n%+v", got, want, d.Counters)
			}
		})
	}
}

// What is refused gives no row, is counted once under its cause, and leaves its neighbours alone.
func TestDecoderRefuses(t *testing.T) {
	const good = "35=W|55=A|268=1|269=0|270=1|271=2|"
	for _, tc := range []struct {
		message string
		counter func(c *Counters) uint64
	}{
		{"35=W|55=A|268=1|269=0|270=1.0000000001|271=2|", func(c *Counters) uint64 { return c.Digits }},
		{"35=W|55=A|268=1|269=0|270=1e5|271=2|", func(c *Counters) uint64 { return c.Numbers }},
		{"35=W|55=A|268=1|269=0|270=+1|271=2|", func(c *Counters) uint64 { return c.Numbers }},
		{"35=W|55=A|268=1|269=0|270=9999999999999|271=2|", func(c *Counters) uint64 { return c.Numbers }},
		{"35=W|55=A|268=1|269=0|270=1|271=-2|", func(c *Counters) uint64 { return c.Numbers }},
		{"35=W|55=A|268=1|269=0|270=1|271=99999999999999999999|", func(c *Counters) uint64 { return c.Numbers }},
		{"35=W|55=A|268=1|269=0|270=1|271=2.5|", func(c *Counters) uint64 { return c.Fractions }},
		{"35=W|55=A|268=1|269=0|270=|271=2|", func(c *Counters) uint64 { return c.Numbers }},
		{"35=W|55=A|268=1|269=0|270=1|270=2|271=2|", func(c *Counters) uint64 { return c.Fields }},
		{"35=W|55=A|55=B|268=1|269=0|270=1|271=2|", func(c *Counters) uint64 { return c.Fields }},
		{"35=W|55=A|268=1|269=0|270=1|271=2|273=25:00:00|", func(c *Counters) uint64 { return c.Fields }},
		{"35=W|55=A|268=1|269=0|270=1|", func(c *Counters) uint64 { return c.Fields }},
		{"35=W|55=A|268=1|269=0|271=1|", func(c *Counters) uint64 { return c.Fields }},
		{"35=W|55=A|", func(c *Counters) uint64 { return c.Fields }},
		{"35=W|268=1|269=0|270=1|271=2|", func(c *Counters) uint64 { return c.Unnamed }},
		{"35=X|268=1|279=0|269=0|270=1|271=2|", func(c *Counters) uint64 { return c.Unnamed }},
		{"35=X|268=2|279=0|269=0|55=A|270=1|271=2|279=0|269=0|200=202412|270=1|271=2|", func(c *Counters) uint64 { return c.Unnamed }},
		{"35=X|268=1|279=9|269=0|55=A|270=1|271=2|", func(c *Counters) uint64 { return c.Fields }},
		{"35=X|268=1|279=0|55=A|270=1|271=2|", func(c *Counters) uint64 { return c.Fields }},
		{"35=X|268=1|279=1|269=0|55=A|271=2|", func(c *Counters) uint64 { return c.Fields }},
		{"35=X|268=1|279=2|269=2|55=A|", func(c *Counters) uint64 { return c.Fields }},
		{"35=W|55=A|268=2|269=0|270=1|271=2|", func(c *Counters) uint64 { return c.Groups }},
		{"35=W|55=A|268=1|269=0|270=1|271=2|269=0|270=1|271=2|", func(c *Counters) uint64 { return c.Groups }},
		{"35=W|55=A|268=999999999|269=0|270=1|271=2|", func(c *Counters) uint64 { return c.Groups }},
		{"35=W|55=A|268=-1|269=0|270=1|271=2|", func(c *Counters) uint64 { return c.Groups }},
		{"35=W|55=A|268=1|269=0|270=1|271=2|50=X|", func(c *Counters) uint64 { return 1 }},
		{"35=W|55=A|93=1|89=x|268=1|269=0|270=1|271=2|", func(c *Counters) uint64 { return c.Groups }},
		{"35=W|55=A|x=1|268=1|269=0|270=1|271=2|", func(c *Counters) uint64 { return c.Groups }},
		{"35=X|268=1|279=0|269=0|278=" + strings.Repeat("x", 49) + "|55=NEW|270=1|271=2|", func(c *Counters) uint64 { return c.Full }},
		{"FIX.9.9 35=W|55=A|268=0|", func(c *Counters) uint64 { return c.Versions }},
		{"FIXT.1.1 35=W|1128=1|55=A|268=0|", func(c *Counters) uint64 { return c.Versions }},
		{"35=f|326=2|", func(c *Counters) uint64 { return c.Unnamed }},
		{"35=f|55=A|326=x|", func(c *Counters) uint64 { return c.Fields }},
		{"FIXT.1.1 35=BP|980=Q|55=A|", func(c *Counters) uint64 { return c.Fields }},
		{"FIXT.1.1 35=BK|980=A|146=1|55=A|1324=Q|", func(c *Counters) uint64 { return c.Fields }},
		{"35=y|320=Q|322=R|560=0|146=1|48=|", func(c *Counters) uint64 { return 1 }},
	} {
		d := decoderOf(t, Options{})
		out := batch(t)
		got := rows(t, d, out, good, tc.message, good)
		if strings.Contains(tc.message, "50=X") {
			continue // a field of the header in the body changes nothing of what it says
		}
		if len(got) != 5 || d.Counters.Refused != 1 || tc.counter(&d.Counters) != 1 || d.Refused() != 1 {
			t.Errorf("%s: %d rows, %+v", tc.message, len(got), d.Counters)
		}
	}
}

func TestDecoderBounds(t *testing.T) {
	out := batch(t)
	d := decoderOf(t, Options{MaxInstruments: 2, MaxEntries: 3})
	rows(t, d, out, "35=W|55=A|268=0|", "35=W|55=B|268=0|", "35=W|55=C|268=0|", "35=W|55=A|268=0|")
	if d.Counters.Full != 1 || d.Counters.Refused != 1 {
		t.Errorf("instruments: %+v", d.Counters)
	}
	x := "35=X|268=1|279=0|269=0|278=%c|55=A|270=1|271=2|"
	for i := range 5 {
		rows(t, d, out, fmt.Sprintf(x, 'a'+i))
	}
	if d.Counters.Full != 3 {
		t.Errorf("ids: %+v", d.Counters)
	}
	rows(t, d, out, "35=X|268=1|279=2|269=0|278=a|55=A|")
	if got := rows(t, d, out, fmt.Sprintf(x, 'z')); len(got) != 1 {
		t.Errorf("an id that was freed is not to be had: %q", got)
	}
	// A message that does not fit behind another one is left, whole, and comes next.
	small := framed("FIX.4.4", "35=W|"+header+"55=A|268=1|269=0|270=1|271=2|")
	large := framed("FIX.4.4", "35=W|"+header+"55=A|268=4094|"+strings.Repeat("269=0|270=1|271=2|", 4094))
	out.Reset()
	used, n := d.Append(append(bytes.Clone(small), large...), 1, 10, out)
	if used != len(small) || n != 1 || out.N != 2 {
		t.Errorf("%d bytes, %d messages, %d rows", used, n, out.N)
	}
	out.Reset()
	if used, n = d.Append(large, 2, 10, out); used != len(large) || n != 1 || out.N != 4095 {
		t.Errorf("%d bytes, %d messages, %d rows", used, n, out.N)
	}
	out.Reset()
	if used, n = d.Append(bytes.Repeat(small, 5), 3, 3, out); n != 3 || used != 3*len(small) {
		t.Errorf("%d messages, asked for 3", n)
	}
}

// A message of more rows than a batch has comes in several batches: the same rows as in small messages, and of one step, as flags say.
func TestMoreThanABatch(t *testing.T) {
	out := batch(t)
	for _, tc := range []struct {
		name, head string
		entry      func(i int) string
		n, rows    int
		chained    tick.Kind
	}{
		{"W", "35=W|" + header + "55=A|268=%d|", func(i int) string { return fmt.Sprintf("269=0|270=%d|271=2|278=x%d|", i, i) }, 10_000, 10_002, tick.KindAdd},
		{"W of figures", "35=W|" + header + "55=A|268=%d|", func(i int) string { return fmt.Sprintf("269=4|270=%d|271=2|", i) }, 5000, 5001, 0},
		{"X", "35=X|" + header + "268=%d|", func(i int) string { return fmt.Sprintf("279=0|269=1|55=A%d|270=%d|271=2|290=1|", i%2500, i) }, 10_000, 12_500, tick.KindLevel},
		{"y", "35=y|" + header + "320=Q|322=R|560=0|146=%d|", func(i int) string { return fmt.Sprintf("55=A%d|", i) }, 3000, 3000, 0},
	} {
		d := decoderOf(t, Options{})
		var rest strings.Builder
		fmt.Fprintf(&rest, tc.head, tc.n)
		for i := range tc.n {
			rest.WriteString(tc.entry(i))
		}
		raw := framed("FIX.4.4", rest.String())
		last := map[uint32]uint8{}
		total, batches := 0, 0
		for used := 0; used < len(raw); batches++ {
			out.Reset()
			used, _ = d.Append(raw, 5, 10, out)
			if out.N == 0 {
				t.Fatalf("%s: no rows in batch %d", tc.name, batches)
			}
			for i := range out.N {
				if total++; out.Kind[i] == tc.chained {
					if more, again := last[out.Instrument[i]]; again && more&tick.FlagMore == 0 {
						t.Fatalf("%s: row %d is behind the last one of its instrument", tc.name, total)
					}
					last[out.Instrument[i]] = out.Flags[i]
				}
			}
		}
		for id, flags := range last {
			if flags&tick.FlagMore != 0 {
				t.Errorf("%s: instrument %d has no last row", tc.name, id)
			}
		}
		if total != tc.rows || batches < 3 || d.Counters.Messages != 1 || d.Refused() != 0 {
			t.Errorf("%s: %d rows in %d batches, want %d, %+v", tc.name, total, batches, tc.rows, d.Counters)
		}
		// The next message starts from its own begin.
		out.Reset()
		if used, n := d.Append(framed("FIX.4.4", "35=W|"+header+"55=A|268=1|269=0|270=1|271=2|"), 6, 1, out); used == 0 || n != 1 || out.N < 2 {
			t.Errorf("%s: %d rows of the next message", tc.name, out.N)
		}
	}
}

// Bytes that are no message are counted, whatever stands around them.
func TestDecoderGarbled(t *testing.T) {
	d := decoderOf(t, Options{})
	out := batch(t)
	if rows(t, d, out, "35=W|43=Y|55=A|268=0|"); d.Counters.PossDups != 1 {
		t.Errorf("%+v", d.Counters)
	}
	d = decoderOf(t, Options{})
	out.Reset()
	good := framed("FIX.4.4", "35=W|"+header+"55=A|268=0|")
	bad := bytes.Clone(good)
	bad[len(bad)-2] ^= 1
	all := bytes.Join([][]byte{good, bad, good, []byte("junk"), good, bad[:20]}, nil)
	used, n := d.Append(all, 1, 100, out)
	if used != len(all) || n != 3 || out.N != 4 || d.Counters.Garbled != 4 {
		t.Errorf("%d bytes of %d, %d messages, %d rows, %+v", used, len(all), n, out.N, d.Counters)
	}
}

func TestTimes(t *testing.T) {
	d := decoderOf(t, Options{})
	out := batch(t)
	at := func(s string) uint64 {
		ns, ok := Timestamp([]byte(s))
		if !ok {
			t.Fatal(s)
		}
		return ns
	}
	for _, tc := range []struct{ sending, body, entry, want string }{
		{"20261123-03:24:24.489", "", "", "20261123-03:24:24.489"},
		{"20261123-03:24:24.489", "60=20261123-03:24:24.123456789|", "", "20261123-03:24:24.123456789"},
		{"20261123-03:24:24.489", "60=20261123-03:24:24.1|", "272=20261122|273=23:00:00.5|", "20261122-23:00:00.5"},
		{"20261123-03:24:24.489", "", "273=03:24:24.4|", "20261123-03:24:24.4"},
		{"20261123-00:00:00.001", "", "273=23:59:59.999999|", "20261122-23:59:59.999999"},
		{"20261122-23:59:59.999", "", "273=00:00:00|", "20261123-00:00:00"},
		{"20261123-03:24:24", "", "60=20261123-03:24:23.000001|", "20261123-03:24:23.000001"},
		{"20161231-23:59:60", "", "", "20170101-00:00:00"},
	} {
		raw := framed("FIXT.1.1", "35=X|34=2|49=V|52="+tc.sending+"|56=B|"+tc.body+"268=1|279=0|269=0|55=A|270=1|271=2|"+tc.entry)
		out.Reset()
		d.Append(raw, 1, 1, out)
		if out.N == 0 || out.TsEvent[out.N-1] != at(tc.want) {
			t.Errorf("%+v: %d rows, %+v", tc, out.N, d.Counters)
		}
	}
}

// RptSeq that jumps, and ids that are not there: the instrument is lost until its next W.
func TestLost(t *testing.T) {
	d := decoderOf(t, Options{})
	out := batch(t)
	lost := func() (all []string) {
		d.Lost(func(id uint32, symbol string) bool {
			all = append(all, symbol)
			return true
		})
		return all
	}
	x := "FIXT.1.1 35=X|268=1|279=0|269=0|55=%s|270=1|271=2|83=%d|"
	rows(t, d, out, "FIXT.1.1 35=W|55=A|268=1|269=0|270=1|271=2|83=5|", fmt.Sprintf(x, "A", 6), fmt.Sprintf(x, "B", 1), fmt.Sprintf(x, "B", 2))
	if lost() != nil || d.Refused() != 0 {
		t.Errorf("%v %+v", lost(), d.Counters)
	}
	rows(t, d, out, fmt.Sprintf(x, "B", 4), fmt.Sprintf(x, "A", 7))
	if !reflect.DeepEqual(lost(), []string{"B"}) || d.Counters.SeqGaps != 1 || d.Losses() != 1 || d.Refused() != 0 {
		t.Errorf("%v %+v", lost(), d.Counters)
	}
	rows(t, d, out, "35=X|268=1|279=2|278=no|55=C|")
	if !reflect.DeepEqual(lost(), []string{"B", "C"}) || d.Counters.UnknownIDs != 1 || d.Losses() != 2 {
		t.Errorf("%v %+v", lost(), d.Counters)
	}
	rows(t, d, out, "FIXT.1.1 35=W|55=B|268=1|269=0|270=1|271=2|83=5|", "35=W|55=C|268=0|", fmt.Sprintf(x, "B", 6))
	if lost() != nil || d.Counters.SeqGaps != 1 {
		t.Errorf("%v %+v", lost(), d.Counters)
	}
}

func TestStartForgets(t *testing.T) {
	d := decoderOf(t, Options{})
	out := batch(t)
	message := "35=X|268=1|279=0|269=0|278=a|55=%s|270=1|271=2|"
	first := rows(t, d, out, fmt.Sprintf(message, "A"), fmt.Sprintf(message, "B"))
	d.Start(0)
	n := 0
	d.Instruments(func(uint32) bool { n++; return true })
	if n != 0 {
		t.Errorf("%d instruments after Start", n)
	}
	if again := rows(t, d, out, fmt.Sprintf(message, "A"), fmt.Sprintf(message, "B")); !reflect.DeepEqual(first, again) {
		t.Errorf("%q\nfirst %q", again, first)
	}
	d.Instruments(func(id uint32) bool { n += int(id); return true })
	if n != 3 {
		t.Errorf("instruments sum up to %d", n)
	}
}

// The ids' table against a map, with deletions in the middle of runs.
func TestIDsAgainstMap(t *testing.T) {
	table := newIDs(1000)
	heads := map[uint32]*uint32{}
	for i := range uint32(5) {
		heads[i] = new(uint32)
	}
	want := map[string]uint64{}
	rnd := uint64(1)
	next := func(n uint64) uint64 {
		rnd = rnd*6364136223846793005 + 1442695040888963407
		return rnd >> 33 % n
	}
	for step := range 200_000 {
		instrument, text := uint32(next(5)), fmt.Sprintf("id-%d", next(600))
		key := fmt.Sprint(instrument, text)
		k := table.find(instrument, []byte(text))
		number, known := want[key]
		if known != (k != 0) || known && table.nodes[k].number != number {
			t.Fatalf("step %d: %s is node %d, want known %v", step, key, k, known)
		}
		switch {
		case next(2000) == 0:
			table.forget(heads[instrument])
			for k := range want {
				if k[0] == key[0] {
					delete(want, k)
				}
			}
		case known:
			table.remove(k, heads[instrument])
			delete(want, key)
		default:
			k = table.add(instrument, []byte(text), heads[instrument])
			if (k == 0) != (len(want) == 1000) {
				t.Fatalf("step %d: no room with %d", step, len(want))
			}
			if k != 0 {
				want[key] = table.nodes[k].number
			}
		}
		if table.count != len(want) {
			t.Fatalf("step %d: %d ids, want %d", step, table.count, len(want))
		}
	}
	if len(table.nodes) > 1001 {
		t.Errorf("%d nodes for 1000 ids", len(table.nodes))
	}
}

// Once warm, nothing is allocated.
func TestSteadyState(t *testing.T) {
	_, each := benchMessages(200)
	var orders [][]byte
	for i := range 200 {
		orders = append(orders, framed("FIX.4.4", fmt.Sprintf("35=X|%s268=2|279=0|269=0|278=order-%d|55=A|200=202412|270=1.25|271=2|279=%d|269=0|278=order-%d|271=3|",
			header, i, 1+i%2, i/2)))
		orders = append(orders, framed("FIX.4.4", fmt.Sprintf("35=W|%s55=A|200=202412|268=1|269=0|270=1|271=2|278=order-%d|", header, i)))
	}
	d := decoderOf(t, Options{})
	out := batch(t)
	all := append(bytes.Join(each, nil), bytes.Join(orders, nil)...)
	run := func() {
		for rest := all; len(rest) > 0; {
			out.Reset()
			used, _ := d.Append(rest, 1, 100, out)
			rest = rest[used:]
		}
	}
	run()
	if n := testing.AllocsPerRun(10, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if d.Refused() != 0 || d.Counters.UnknownTypes != 0 {
		t.Errorf("%+v", d.Counters)
	}
}

func TestEachMessage(t *testing.T) {
	stream := bytes.Join([][]byte{
		wire(seen[3]), []byte("junk"),
		framed("FIXT.1.1", "35=X|34=9|49=V|52=20261123-03:24:24|56=B|268=2|279=0|269=0|278=a\"\x80|55=A|270=-1.50|271=02|5001=u|453=1|448=P|447=D|452=1|279=2|269=0|278=b|"),
		wire("8=FIX.4.2|9=5|35=0|10=000|"),
		framed("FIX.4.2", "35=W|34=10|268=3|269=0|"),
		framed("FIX.1.0", "35=W|34=10|268=3|269=0|"),
	}, nil)
	var got []string
	err := EachMessage(stream, "", func(sequence uint64, typ string, raw, fields []byte, err error) bool {
		if !json.Valid(fields) {
			t.Errorf("%s", fields)
		}
		got = append(got, fmt.Sprintf("%d %s %s %v", sequence, typ, fields, err))
		return true
	})
	want := []string{
		`3 W {"BeginString":"FIX.4.2","BodyLength":115,"MsgType":"W","MsgSeqNum":3,"SenderCompID":"PEER","SendingTime":"20261123-03:24:24.489","TargetCompID":"GO","Symbol":"ESZ4","MDReqID":"R1","NoMDEntries":[{"MDEntryType":"0","MDEntryPx":100.25,"MDEntrySize":5},{"MDEntryType":"1","MDEntryPx":100.5,"MDEntrySize":7}],"CheckSum":"045"} <nil>`,
		`9 X {"BeginString":"FIXT.1.1","BodyLength":138,"MsgType":"X","MsgSeqNum":9,"SenderCompID":"V","SendingTime":"20261123-03:24:24","TargetCompID":"B","NoMDEntries":[{"MDUpdateAction":"0","MDEntryType":"0","MDEntryID":"a\"\u0080","Symbol":"A","MDEntryPx":-1.50,"MDEntrySize":"02","5001":"u","NoPartyIDs":[{"PartyID":"P","PartyIDSource":"D","PartyRole":1}]},{"MDUpdateAction":"2","MDEntryType":"0","MDEntryID":"b"}],"CheckSum":"139"} <nil>`,
		`0  {} fix: CheckSum is wrong`,
		`10 W {"BeginString":"FIX.4.2","BodyLength":23,"MsgType":"W","MsgSeqNum":10,"NoMDEntries":3,"MDEntryType":"0","CheckSum":"030"} fix: tag 268: incorrect NumInGroup count for repeating group`,
		`0  {} fix: version of the message is not known`,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := EachMessage(stream[:len(stream)-3], "", func(uint64, string, []byte, []byte, error) bool { return true }); err == nil {
		t.Error("no error of a stream that ends within a message")
	}
}

func TestLooks(t *testing.T) {
	for s, want := range map[string]int{seen[0]: 100, "10=1|" + seen[0]: 60, "8=FIX": 0, "": 0, "GET / HTTP/1.1": 0, "8=FIX.4.2|35=A|": 0} {
		if got := Looks(wire(s)); got != want {
			t.Errorf("%s: %d, want %d", s, got, want)
		}
	}
}

func TestDictionaryFromFolder(t *testing.T) {
	d, err := NewDecoder(Options{Dir: os.DirFS("dict")})
	if err != nil {
		t.Fatal(err)
	}
	out := batch(t)
	if got := rows(t, d, out, "35=W|55=A|268=0|"); len(got) != 2 {
		t.Error(got)
	}
	if _, err := NewDecoder(Options{Dir: os.DirFS("asm")}); err == nil {
		t.Error("no error without dictionaries")
	}
	if _, err := NewDecoder(Options{Version: "FIX.3"}); err == nil {
		t.Error("no error of a version that is not known")
	}
	if _, err := NewDecoder(Options{SizeDecimals: 19}); err == nil {
		t.Error("no error of 19 decimals")
	}
}

// FuzzDecoder feeds three messages, the middle one anything: no panic, rows well-formed, neighbours whole.
func FuzzDecoder(f *testing.F) {
	f.Add("35=X|"+header+"268=2|279=0|269=0|278=ab|55=A|270=1|271=2|279=1|278=c|280=ab|271=4|", uint8(1))
	f.Add("35=X|"+header+"268=2|279=2|278=ab|55=A|200=202412|279=5|269=1|278=c|270=2|271=1|", uint8(6))
	f.Add("35=W|"+header+"55=A|262=R|268=3|269=0|270=1|271=2|269=J|269=2|270=1|", uint8(2))
	f.Add("FIXT.1.1 35=BK|"+header+"320=Q|980=M|146=2|55=A|15=USD|1324=D|55=B|", uint8(2))
	f.Add("35=y|"+header+"320=Q|322=R|560=0|146=2|55=A|167=FUT|200=202412|207=X|561=10|15=USD|55=B|", uint8(1))
	f.Add("35=d|"+header+"320=Q|55=A|541=20241220|202=5|231=50|1310=1|1301=X|1205=1|1208=0.25|", uint8(2))
	f.Add("35=f|"+header+"55=A|326=2|327=P|", uint8(0))
	out, err := tick.NewBatch()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, rest string, how uint8) {
		d := decoderOf(t, Options{Identity: Identity(how / 3 % 4), MaxInstruments: 3, MaxEntries: 3})
		begin := []string{"FIX.4.2", "FIX.4.4", "FIXT.1.1"}[how%3]
		good := framed(begin, "35=W|"+header+"55=GOOD|268=1|269=0|270=1|271=2|278=g|")
		all := bytes.Join([][]byte{good, framed(begin, rest), framed(begin, rest), good}, nil)
		out.Reset()
		used, _ := d.Append(all, 1, 100, out)
		for used < len(all) { // full: half a turn
			out.Reset()
			more, _ := d.Append(all[used:], 1, 100, out)
			if more == 0 {
				t.Fatal("nothing taken with an empty batch")
			}
			used += more
		}
		if out.N < 2 || out.Kind[out.N-2] != tick.KindClear && !strings.Contains(rest, "GOOD") {
			t.Fatalf("the last message has no rows: %d, %+v", out.N, d.Counters)
		}
		for i := range out.N {
			if out.Kind[i] == 0 || out.Kind[i] >= tick.KindCount || out.Instrument[i] == 0 || int(out.Instrument[i]) >= len(d.in.all) {
				t.Fatalf("row %d: kind %d of %d", i, out.Kind[i], out.Instrument[i])
			}
			switch out.Kind[i] {
			case tick.KindAdd, tick.KindModify:
				if out.Price[i] == tick.UndefPrice || out.OrderID[i] == 0 || out.Side[i] == tick.SideNone {
					t.Fatal(show(out, i))
				}
			case tick.KindLevel:
				if level, _ := tick.SplitLevelAt(out.Aux[i]); level == 0 && out.Price[i] == tick.UndefPrice {
					t.Fatal(show(out, i))
				}
			}
		}
	})
}
