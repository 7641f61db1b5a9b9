package mdp3_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/tick"
)

func bookOf(tb testing.TB, time, indicator int, rpt map[int]int, ids ...int) []byte {
	var levels []f
	for _, id := range ids {
		rpt[id]++
		levels = append(levels, f{"MDEntryPx": px(1), "MDEntrySize": rpt[id], "SecurityID": id, "RptSeq": rpt[id], "MDPriceLevel": 1, "MDUpdateAction": 1, "MDEntryType": int('0')})
	}
	return msg(tb, 46, at(time, indicator), groups{"NoMDEntries": levels})
}

// short writes rows as instrument, size and flag only.
func short(out *tick.Batch, from int) string {
	var b strings.Builder
	for i := from; i < out.N; i++ {
		switch out.Kind[i] {
		case tick.KindExt:
			fmt.Fprintf(&b, "%d end%c", out.Instrument[i], max(out.Sub[i], ' '))
		default:
			fmt.Fprintf(&b, "%d #%d", out.Instrument[i], out.Size[i])
		}
		if follows(out, i) {
			b.WriteByte('+')
		}
		b.WriteString(", ")
	}
	return b.String()
}

// TestEvents: FlagMore over messages, packets, and events without an end.
func TestEvents(t *testing.T) {
	rpt := map[int]int{}
	b := func(time, indicator int, ids ...int) []byte { return bookOf(t, time, indicator, rpt, ids...) }
	for _, tc := range []struct {
		name    string
		packets [][][]byte
		want    string
	}{
		{"one message", [][][]byte{{b(1, 0x84, 1, 1, 2)}}, "1 #1+, 1 #2, 2 #1, "},
		{"two messages", [][][]byte{{b(2, 4, 1, 2), b(2, 0x84, 1)}}, "1 #3+, 2 #2, 1 #4, "},
		{"two events at one time", [][][]byte{{b(3, 0x84, 1), b(3, 0x84, 1)}}, "1 #5, 1 #6, "},
		{"an empty message closes", [][][]byte{{b(4, 4, 1), b(4, 0x80)}}, "1 #7, "},
		{"another packet closes", [][][]byte{{b(5, 4, 1, 2)}, {b(5, 0x84, 1)}}, "1 #8+, 2 #3+, 1 #9, 2 endL, "},
		{"an empty message in another packet closes", [][][]byte{{b(6, 4, 1, 2)}, {b(6, 4, 1)}, {b(6, 0x80)}}, "1 #10+, 2 #4+, 1 #11+, 1 endL, 2 endL, "},
		{"no end, another time", [][][]byte{{b(7, 4, 1), b(8, 0x84, 1)}}, "1 #12, 1 #13, "},
		{"no end, another time in another packet", [][][]byte{{b(9, 4, 1)}, {b(10, 0x84, 2)}}, "1 #14+, 2 #5, 1 endL, "},
		{"and its own next rows are not of that event", [][][]byte{{b(11, 4, 1)}, {b(11, 0x80), b(12, 0x84, 1)}}, "1 #15+, 1 endL, 1 #16, "},
	} {
		d := newDecoder(t, onWire)
		for _, flush := range []bool{false, true} { // whether the batch is emptied between packets
			out := newBatch(t)
			got := ""
			d.Start(0)
			for i, ms := range tc.packets {
				from := out.N
				feed(t, d, out, packet(uint32(i+1), ms...))
				if flush {
					got += short(out, from)
					out.Reset()
				}
			}
			if !flush {
				got = short(out, 0)
			}
			if got != tc.want {
				t.Errorf("%s, flush %v: %s\nwant %s", tc.name, flush, got, tc.want)
			}
		}
		if d.Refused() != 0 {
			t.Errorf("%s: %+v", tc.name, d.Counters)
		}
	}
}

// TestLossClosesEvent: the packet with the end was lost.
func TestLossClosesEvent(t *testing.T) {
	rpt := map[int]int{}
	d, out := newDecoder(t, onWire), newBatch(t)
	feed(t, d, out, packet(1, bookOf(t, 1, 4, rpt, 1)))
	rpt[2] = 3
	feed(t, d, out, packet(3, bookOf(t, 1, 0x84, rpt, 1, 2)))
	if got, want := short(out, 0), "1 #1+, 1 endL, 1 #2, 2 #4, "; got != want || d.Counters.Interrupted != 1 {
		t.Errorf("%s, want %s; %+v", got, want, d.Counters)
	}
}

func TestRptSeq(t *testing.T) {
	rpt := map[int]int{1: 10, 2: 20}
	d, out := newDecoder(t, onWire), newBatch(t)
	feed(t, d, out, packet(1, bookOf(t, 1, 0x84, rpt, 1, 2)))
	rpt[1] += 3
	feed(t, d, out, packet(2, bookOf(t, 2, 0x84, rpt, 1, 2)))
	rpt[2] -= 2
	feed(t, d, out, packet(3, bookOf(t, 3, 0x84, rpt, 1, 2)))
	if c := d.Counters; c.RptSeqGaps != 1 || c.RptSeqBack != 1 || d.RptSeq(1) != 16 || d.RptSeq(2) != 21 || d.RptSeq(99) != 0 || out.N != 6 {
		t.Errorf("%+v, %d, %d, %d rows", c, d.RptSeq(1), d.RptSeq(2), out.N)
	}
	var jumps []string
	d.Jumped(func(id, missing uint32) bool { jumps = append(jumps, fmt.Sprint(id, " ", missing)); return true })
	if !slices.Equal(jumps, []string{"1 3"}) {
		t.Errorf("jumps are %v", jumps)
	}
	d.Jumped(func(id, _ uint32) bool { t.Errorf("%d told again", id); return true })
	// A snapshot says what comes next.
	m, _ := mdp3.Next(msg(t, 52, f{"SecurityID": 1, "RptSeq": 50, "LastMsgSeqNumProcessed": 3, "TransactTime": 3}, nil))
	if err := d.SnapshotBook(m, 3, out); err != nil || d.RptSeq(1) != 50 {
		t.Errorf("%v, %d", err, d.RptSeq(1))
	}
	if s, ok := mdp3.ParseSnapshot(m); !ok || s != (mdp3.Snapshot{Instrument: 1, Last: 3, RptSeq: 50, Time: 3, Chunk: 1, Chunks: 1}) {
		t.Errorf("%+v, %v", s, ok)
	}
	rpt[1] = 50
	feed(t, d, out, packet(4, bookOf(t, 4, 0x84, rpt, 1)))
	if d.Counters.RptSeqGaps != 1 {
		t.Errorf("%+v", d.Counters)
	}
}

// many makes a decoder that knows so many instruments, of group ES, products A and B in turns.
func many(tb testing.TB, n int) (*mdp3.Decoder, *tick.Batch) {
	d, out := newDecoder(tb, onWire), newBatch(tb)
	for i := range n {
		feed(tb, d, out, packet(uint32(i+1), msg(tb, 54, future(1000+i, fmt.Sprint("F", i), "ES", []string{"A", "B"}[i%2]), nil)))
		out.Reset()
	}
	return d, out
}

// take feeds a packet and empties the batch as often as that takes; it gives all rows.
func take(tb testing.TB, d *mdp3.Decoder, out *tick.Batch, payload []byte) (rows []string, calls int) {
	tb.Helper()
	h, body, err := mdp3.ParsePacket(payload)
	if err != nil {
		tb.Fatal(err)
	}
	for {
		calls++
		used, n := d.Append(body, uint64(h.Sequence), 1, out)
		rows = append(rows, rowsOf(out)...)
		body = body[used:]
		if n == 1 {
			out.Reset()
			return rows, calls
		}
		if out.N == 0 {
			tb.Fatalf("an empty batch took nothing of %d bytes", len(body))
		}
		out.Reset()
	}
}

// TestChannelReset: more instruments than a batch has rows; what follows the reset in its packet comes behind it.
func TestChannelReset(t *testing.T) {
	const n = 9000
	d, out := many(t, n)
	rpt := map[int]int{1000: 40}
	feed(t, d, out, packet(n+1, bookOf(t, 1, 0x84, rpt, 1000)))
	out.Reset()
	rpt[1000] = 0
	p := packet(n+2, msg(t, 4, at(2, 0x80), groups{"NoMDEntries": {{"ApplID": 310}}}), bookOf(t, 3, 0x84, rpt, 1000))
	if h, _, _ := mdp3.ParsePacket(p); h.Reset != 2 || h.Next() != n+3 || h.Heartbeat {
		t.Errorf("header is %+v", h)
	}
	rows, calls := take(t, d, out, p)
	if len(rows) != n+1 || calls != 3 || rows[0] != "clear 1000" || rows[n-1] != "clear 9999" || rows[n] != "level C 1000 B1 1 @ 1.00, 0 orders" {
		t.Errorf("%d rows in %d calls: %s … %s", len(rows), calls, rows[0], rows[len(rows)-1])
	}
	if d.Counters.Resets != 1 || d.Counters.RptSeqBack != 0 || d.Counters.RptSeqGaps != 0 || d.RptSeq(1000) != 1 {
		t.Errorf("%+v", d.Counters)
	}
	met := 0
	d.Instruments(func(uint32) bool { met++; return true })
	if met != n {
		t.Errorf("%d instruments", met)
	}
}

// TestRowsBehindReset: an instrument's first row after a reset is of another event, so the clear is the last one of its own.
func TestRowsBehindReset(t *testing.T) {
	rpt := map[int]int{}
	d, out := newDecoder(t, onWire), newBatch(t)
	feed(t, d, out, packet(1, bookOf(t, 1, 0x84, rpt, 1, 2)))
	rpt = map[int]int{}
	feed(t, d, out, packet(2, msg(t, 4, at(2, 0x80), nil), bookOf(t, 2, 0x84, rpt, 2, 1)))
	same(t, "rows", rowsOf(out)[2:], []string{"clear 1", "clear 2", "level C 2 B1 1 @ 1.00, 0 orders", "level C 1 B1 1 @ 1.00, 0 orders"})
}

// TestGroupStatus: every instrument of the group, or of the product in it.
func TestGroupStatus(t *testing.T) {
	const n = 3000
	d, out := many(t, n)
	status := f{"TransactTime": 5, "SecurityGroup": "ES", "MatchEventIndicator": 0x80, "SecurityTradingStatus": 2}
	rows, calls := take(t, d, out, packet(n+1, msg(t, 30, status, nil)))
	if len(rows) != n || calls != 6 || rows[n-1] != "status 3999 action 8 reason 1 event 0 trading N quoting ~" {
		t.Errorf("%d rows in %d calls, last %s", len(rows), calls, rows[len(rows)-1])
	}
	status["Asset"] = "B"
	if rows, _ := take(t, d, out, packet(n+2, msg(t, 30, status, nil))); len(rows) != n/2 || !strings.HasPrefix(rows[0], "status 1001") {
		t.Errorf("%d rows, first %s", len(rows), rows[0])
	}
	status["SecurityGroup"] = "NQ"
	if rows, _ := take(t, d, out, packet(n+3, msg(t, 30, status, nil))); len(rows) != 1 || d.Counters.GroupUnknown != 1 {
		t.Errorf("%v, %+v", rows, d.Counters)
	}
	d.Start(0) // definitions stay, instruments are to be met again
	d.Instruments(func(id uint32) bool { t.Errorf("%d is known", id); return false })
	status["SecurityGroup"] = "ES"
	if rows, _ := take(t, d, out, packet(1, msg(t, 30, status, nil))); len(rows) != n/2 {
		t.Errorf("%d rows after Start", len(rows))
	}
	gone := future(1001, "F1", "ES", "B")
	gone["SecurityUpdateAction"] = int('D')
	feed(t, d, out, packet(2, msg(t, 54, gone, nil)))
	out.Reset()
	if rows, _ := take(t, d, out, packet(3, msg(t, 30, status, nil))); len(rows) != n/2-1 {
		t.Errorf("%d rows after one is gone", len(rows))
	}
	d.Start(7 * 86_400_000_000_000) // another week
	if rows, _ := take(t, d, out, packet(1, msg(t, 30, status, nil))); len(rows) != 1 {
		t.Errorf("%d rows in another week", len(rows))
	}
}

// TestSplitTrade: trades first, their orders in later messages and packets.
func TestSplitTrade(t *testing.T) {
	trade := func(id, n, side int) f {
		return f{"MDEntryPx": px(1), "MDEntrySize": 4, "SecurityID": id, "RptSeq": 1, "NumberOfOrders": n, "AggressorSide": side, "MDTradeEntryID": id}
	}
	orders := func(ids ...int) (out []f) {
		for _, id := range ids {
			out = append(out, f{"OrderID": id, "LastQty": 2})
		}
		return out
	}
	d, out := newDecoder(t, onWire), newBatch(t)
	feed(t, d, out, packet(1, msg(t, 48, at(5, 0), groups{"NoMDEntries": {trade(1, 3, 1), trade(2, 2, 2)}, "NoOrderIDEntries": orders(10, 11)})))
	feed(t, d, out, packet(2, msg(t, 48, at(5, 0), groups{"NoOrderIDEntries": orders(12, 20)}), msg(t, 48, at(5, 0x81), groups{"NoOrderIDEntries": orders(21, 99)})))
	want := `trade 1 10 B 4 @ 1.00 aux 1 +
fill 1 11 A 2 @ 1.00 aux 1 +
trade 2 0 A 4 @ 1.00 aux 2 +
fill 1 12 A 2 @ 1.00 aux 1
fill 2 21 B 2 @ 1.00 aux 2
ext L 1
ext L 2`
	if got := strings.Join(rowsOf(out), "\n"); got != want || d.Counters.LateAggressor != 1 || d.Counters.FillsUnplaced != 1 {
		t.Errorf("rows are\n%s\nwant\n%s\n%+v", got, want, d.Counters)
	}
}

// TestTradeOfAnotherEvent: order entries that did not come by the end of their event do not come at all.
func TestTradeOfAnotherEvent(t *testing.T) {
	d, out := newDecoder(t, onWire), newBatch(t)
	feed(t, d, out, packet(1, msg(t, 48, at(5, 0x80), groups{"NoMDEntries": {{"MDEntryPx": px(1), "MDEntrySize": 4, "SecurityID": 1, "RptSeq": 1, "NumberOfOrders": 2}}}),
		msg(t, 48, at(5, 0x81), groups{"NoOrderIDEntries": {{"OrderID": 4, "LastQty": 2}}})))
	same(t, "rows", rowsOf(out), []string{"trade 1 0 N 4 @ 1.00"})
	if d.Counters.FillsUnplaced != 1 {
		t.Errorf("%+v", d.Counters)
	}
}

// TestFullBatch: a message that has no room waits, and nothing is lost or said twice.
func TestFullBatch(t *testing.T) {
	rpt := map[int]int{}
	var messages [][]byte
	for range 40 {
		ids := make([]int, 250)
		for i := range ids {
			ids[i] = i + 1
		}
		messages = append(messages, bookOf(t, 1, 4, rpt, ids...))
	}
	messages = append(messages, bookOf(t, 1, 0x84, rpt, 1))
	d, out := newDecoder(t, onWire), newBatch(t)
	rows, calls := take(t, d, out, packet(1, messages...))
	ends, last := 0, 0
	for _, r := range rows {
		if strings.HasPrefix(r, "ext") {
			ends++
		} else if !strings.HasSuffix(r, "+") {
			last++
		}
	}
	if len(rows) != 40*250+1+ends || calls < 3 || ends+last != 250 || d.Counters.RptSeqGaps+d.Counters.RptSeqBack+d.Refused() != 0 {
		t.Errorf("%d rows in %d calls, %d ends, %d last ones, %+v", len(rows), calls, ends, last, d.Counters)
	}
}

// TestPriority: a modify goes to the tail when its order got a new priority, whatever else changed.
func TestPriority(t *testing.T) {
	o := func(action, id, priority, size int) []byte {
		return msg(t, 47, at(1, 0x84), groups{"NoMDEntries": {{"OrderID": id, "MDOrderPriority": priority, "MDEntryPx": px(1), "MDDisplayQty": size, "SecurityID": 7, "MDUpdateAction": action, "MDEntryType": int('0')}}})
	}
	got := decode(t, onWire, packet(1, o(0, 1, 100, 5), o(0, 2, 101, 5), o(1, 1, 100, 3), o(1, 1, 102, 9), o(1, 2, 101, 4), o(1, 1, 102, 8), o(2, 1, 102, 8)))
	d, out := newDecoder(t, onWire), newBatch(t)
	snapshot := msg(t, 53, f{"SecurityID": 7, "TransactTime": 1, "NoChunks": 1, "CurrentChunk": 1}, groups{"NoMDEntries": {{"OrderID": 1, "MDOrderPriority": 50, "MDEntryPx": px(1), "MDDisplayQty": 5, "MDEntryType": int('0')}}})
	feed(t, d, out, packet(1, o(0, 1, 100, 5), snapshot, o(1, 1, 50, 4), o(1, 1, 51, 6))) // a new week: numbers begin anew
	same(t, "priorities of a snapshot", rowsOf(out)[3:], []string{"modify 7 1 B 4 @ 1.00 aux 50", "modify T 7 1 B 6 @ 1.00 aux 51"})
	same(t, "priorities", got, []string{"add 7 1 B 5 @ 1.00", "add 7 2 B 5 @ 1.00", "modify 7 1 B 3 @ 1.00 aux 100", "modify T 7 1 B 9 @ 1.00 aux 102", "modify 7 2 B 4 @ 1.00 aux 101",
		"modify 7 1 B 8 @ 1.00 aux 102", "delete 7 1 B 8 @ 1.00"})
}
