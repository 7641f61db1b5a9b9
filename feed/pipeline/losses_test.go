package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

func fixMessage(fields string) []byte {
	body := strings.ReplaceAll("35="+fields[:1]+"|34=1|49=V|52=20260105-14:30:00|56=ME|"+fields[2:], "|", "\x01")
	b := fmt.Appendf(nil, "8=FIXT.1.1\x019=%d\x01%s", len(body), body)
	return fmt.Appendf(b, "10=%03d\x01", fix.Sum(b))
}

// TestLossOfOne: a loss that the decoder knows the instrument of is a record that names it, and makes its book alone suspect: also when its whole state came in the
// same pass, before the loss; and a whole state in the same pass behind it mends it. One that a message cannot tell is everybody's.
func TestLossOfOne(t *testing.T) {
	d, err := fix.NewDecoder(fix.Options{Identity: fix.ByLevel})
	must(t, err)
	sparse, err := book.New(book.Options{Sparse: true, MaxInstruments: 1 << 10, MaxOrders: 1 << 10})
	must(t, err)
	prices, err := pricebook.New(pricebook.Options{})
	must(t, err)
	b := newBench(t, func(c *Config) { c.Decoder, c.Books, c.Prices, c.Levels, c.Mends = d, sparse, prices, true, true })
	must(t, b.books.Close())
	b.books = sparse
	seq := uint64(0)
	send := func(messages ...string) {
		for _, m := range messages {
			seq++
			b.lane.Messages(fixMessage(m), seq, 1, session.Arrival{TsRecv: testMidnight + 50_000_000_000_000 + seq})
		}
		b.lane.EndPass()
	}
	tape := func() (all []string) {
		var recs [64]tick.Mbo
		n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindMbo], recs[:])
		for i := range recs[:n] {
			r := &recs[i]
			if g := ringbuf.GapOfMbo(r); g != nil {
				all = append(all, fmt.Sprintf("gap %d in %d", g.First, g.InstrumentID))
				continue
			}
			suspect := ""
			if r.Flags&tick.FlagMaybeBadBook != 0 {
				suspect = " suspect"
			}
			all = append(all, fmt.Sprintf("%c %d%s", r.Action, r.InstrumentID, suspect))
		}
		return all
	}
	w := func(symbol string, rpt int) string {
		return fmt.Sprintf("W|55=%s|268=1|269=0|270=1|271=2|290=1|83=%d|", symbol, rpt)
	}
	x := func(symbol string, rpt int) string {
		return fmt.Sprintf("X|268=1|279=1|269=0|55=%s|270=1|271=%d|290=1|83=%d|", symbol, rpt, rpt)
	}
	for _, step := range []struct {
		messages []string
		want     []string
	}{
		{[]string{w("A", 5), w("B", 5), x("A", 6), x("A", 8), x("B", 6), x("A", 9)},
			[]string{"R 1", "R 1", "A 1", "R 2", "R 2", "A 2", "M 1", "M 1 suspect", "gap 4 in 1", "M 2", "M 1 suspect"}},
		{[]string{x("A", 11), x("B", 7)}, []string{"M 1 suspect", "M 2"}}, // lost already
		{[]string{w("A", 20), x("A", 21)}, []string{"R 1", "A 1", "M 1"}},
		{[]string{x("A", 30), w("A", 40), x("A", 41)}, []string{"M 1 suspect", "gap 11 in 1", "R 1", "A 1", "M 1"}},
		{[]string{x("A", 42), "X|268=1|279=1|269=0|55=A|270=one|271=1|290=1|", x("A", 43), x("B", 8), w("A", 50), x("A", 51), x("B", 9)},
			[]string{"M 1", "gap 15 in 0", "M 1 suspect", "M 2 suspect", "R 1", "A 1", "M 1", "M 2 suspect"}},
	} {
		send(step.messages...)
		if got := tape(); fmt.Sprint(got) != fmt.Sprint(step.want) {
			t.Errorf("%q:\n got %q\nwant %q", step.messages, got, step.want)
		}
	}
	if rec, ok := b.last.Last(2, 2); !ok || rec.Flags&tick.FlagMaybeBadBook == 0 {
		t.Errorf("the latest value of B is trusted: %v %#x", ok, rec.Flags)
	}
	if rec, ok := b.last.Last(2, 1); !ok || rec.Flags&tick.FlagMaybeBadBook != 0 {
		t.Errorf("the latest value of A is not trusted: %v %#x", ok, rec.Flags)
	}
}
