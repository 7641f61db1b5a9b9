package itch

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/tick"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newBatch(t testing.TB) *tick.Batch {
	t.Helper()
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Free() })
	return b
}

func framed(messages ...[]byte) (b []byte) {
	for _, m := range messages {
		b = binary.BigEndian.AppendUint16(b, uint16(len(m)))
		b = append(b, m...)
	}
	return b
}

const midnight = 1_692_676_800_000_000_000 // 2023-08-22 in New York

// vector is one message of expected.json: fields in their order, as text.
type vector struct {
	file     string
	sequence uint64
	raw      []byte
	fields   string
}

// vectors reads every message, with the order of its fields kept.
func vectors(t *testing.T) (all []vector) {
	text, err := os.ReadFile(filepath.Join(testvec.Dir(t, "nasdaq"), "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files map[string][]struct {
		Sequence uint64
		Messages []json.RawMessage
	}
	if err := json.Unmarshal(text, &files); err != nil {
		t.Fatal(err)
	}
	for name, packets := range files {
		for _, p := range packets {
			for _, m := range p.Messages {
				all = append(all, readVector(t, name, m))
			}
		}
	}
	return all
}

func readVector(t *testing.T, name string, text json.RawMessage) vector {
	t.Helper()
	var head struct {
		Sequence uint64
		Raw      string
	}
	if err := json.Unmarshal(text, &head); err != nil {
		t.Fatal(err)
	}
	v := vector{file: name, sequence: head.Sequence, raw: unhex(t, head.Raw)}
	// What lies between "length" and "raw" is the fields, in wire order.
	s := string(text)
	from := strings.Index(s, `"stock_locate"`)
	to := strings.LastIndex(s, `"raw"`)
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte("{"+strings.TrimRight(strings.TrimSpace(s[from:to]), ",")+"}")); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	v.fields = compact.String()
	return v
}

func TestFieldsOfVectors(t *testing.T) {
	all := vectors(t)
	if len(all) != 117 {
		t.Fatalf("%d messages, want 117", len(all))
	}
	for _, v := range all {
		got, ok := AppendFields(nil, v.raw)
		if !ok || string(got) != v.fields {
			t.Errorf("%s sequence %d:\ngot  %s\nwant %s", v.file, v.sequence, got, v.fields)
		}
	}
}

// Columns and printed fields come from the same bytes by different code: they must say the same.
func TestColumnsOfVectors(t *testing.T) {
	for _, v := range vectors(t) {
		b := newBatch(t)
		var c Counters
		if used, n := Append(framed(v.raw), midnight, 77, 9, b, &c); n != 1 || used != len(v.raw)+2 || b.N != 1 {
			t.Fatalf("%s: used %d, %d messages, %d rows", v.file, used, n, b.N)
		}
		checkRow(t, v, b)
	}
}

func checkRow(t *testing.T, v vector, b *tick.Batch) {
	t.Helper()
	var f struct {
		Locate    uint32 `json:"stock_locate"`
		Time      uint64 `json:"timestamp"`
		Ref       uint64 `json:"order_reference_number"`
		OldRef    uint64 `json:"original_order_reference_number"`
		NewRef    uint64 `json:"new_order_reference_number"`
		Side      string `json:"buy_sell_indicator"`
		Shares    uint64 `json:"shares"`
		Executed  uint64 `json:"executed_shares"`
		Canceled  uint64 `json:"canceled_shares"`
		Price     int64  `json:"price"`
		ExecPrice int64  `json:"execution_price"`
		Cross     int64  `json:"cross_price"`
		Match     uint64 `json:"match_number"`
		Printable string `json:"printable"`
		CrossType string `json:"cross_type"`
		MPID      string `json:"attribution"`
		Mpid      string `json:"mpid"`
		Event     string `json:"event_code"`
		State     string `json:"trading_state"`
		RegSHO    string `json:"reg_sho_action"`
		Paired    uint64 `json:"paired_shares"`
		Imbalance uint64 `json:"imbalance_shares"`
		Ref2      int64  `json:"current_reference_price"`
		Upper     int64  `json:"upper_auction_collar_price"`
	}
	if err := json.Unmarshal([]byte(v.fields), &f); err != nil {
		t.Fatal(err)
	}
	bad := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s %c %s: %s = %v, want %v", v.file, v.raw[0], v.fields, what, got, want)
		}
	}
	bad("instrument", b.Instrument[0], f.Locate)
	bad("ts_event", b.TsEvent[0], midnight+f.Time)
	bad("sequence", b.Sequence[0], uint64(77))
	side := map[string]byte{"B": 'B', "S": 'A'}[f.Side]
	const e5 = 100_000
	switch kind := b.Kind[0]; v.raw[0] {
	case 'A', 'F':
		bad("kind", kind, tick.KindAdd)
		bad("order", b.OrderID[0], f.Ref)
		bad("side", b.Side[0], side)
		bad("size", b.Size[0], f.Shares)
		bad("price", b.Price[0], f.Price*e5)
		mpid := uint64(0)
		for i := len(f.MPID) - 1; i >= 0; i-- {
			mpid = mpid<<8 | uint64(f.MPID[i])
		}
		bad("mpid", b.Aux[0], mpid)
	case 'E':
		bad("kind", kind, tick.KindExec)
		bad("order", b.OrderID[0], f.Ref)
		bad("size", b.Size[0], f.Executed)
		bad("match", b.Aux[0], f.Match)
	case 'C':
		bad("kind", kind, tick.KindExecAt)
		bad("order", b.OrderID[0], f.Ref)
		bad("size", b.Size[0], f.Executed)
		bad("match", b.Aux[0], f.Match)
		bad("price", b.Price[0], f.ExecPrice*e5)
		bad("printable", b.Sub[0], f.Printable[0])
	case 'X':
		bad("kind", kind, tick.KindReduce)
		bad("order", b.OrderID[0], f.Ref)
		bad("size", b.Size[0], f.Canceled)
	case 'D':
		bad("kind", kind, tick.KindDelete)
		bad("order", b.OrderID[0], f.Ref)
	case 'U':
		bad("kind", kind, tick.KindReplace)
		bad("old", b.OrderID[0], f.OldRef)
		bad("new", b.Aux[0], f.NewRef)
		bad("size", b.Size[0], f.Shares)
		bad("price", b.Price[0], f.Price*e5)
	case 'P':
		bad("kind", kind, tick.KindTrade)
		bad("side", b.Side[0], tick.SideNone)
		bad("size", b.Size[0], f.Shares)
		bad("price", b.Price[0], f.Price*e5)
		bad("match", b.Aux[0], f.Match)
	case 'Q':
		bad("kind", kind, tick.KindCross)
		bad("size", b.Size[0], f.Shares)
		bad("price", b.Price[0], f.Cross*e5)
		bad("match", b.Aux[0], f.Match)
		bad("cross type", b.Sub[0], f.CrossType[0])
	case 'S':
		bad("kind", kind, tick.KindSystem)
		bad("event", b.Sub[0], f.Event[0])
	case 'H':
		bad("kind", kind, tick.KindStatus)
		want := map[string]uint16{"T": 7, "Q": 3, "H": 8, "P": 9}[f.State]
		bad("action", b.Statuses[0].Action, want)
		bad("instrument of the status", b.Statuses[0].InstrumentID, f.Locate)
	case 'Y':
		bad("kind", kind, tick.KindStatus)
		bad("restricted", b.Statuses[0].IsShortSellRestricted, map[string]byte{"0": 'N', "1": 'Y', "2": 'Y'}[f.RegSHO])
	case 'L':
		bad("kind", kind, tick.KindExt)
		bad("mpid", string(binary.LittleEndian.AppendUint32(nil, uint32(b.Exts[0].A))), f.Mpid)
	case 'I':
		bad("kind", kind, tick.KindImbalance)
		bad("paired", b.Size[0], f.Paired)
		bad("imbalance", b.OrderID[0], f.Imbalance)
		want := f.Ref2 * e5
		if want == 0 {
			want = tick.UndefPrice
		}
		bad("reference price", b.Imbalances[0].RefPrice, want)
	case 'J':
		bad("kind", kind, tick.KindStatistics)
		first, n := tick.SplitSideRows(b.Aux[0])
		bad("statistics", n, 3)
		bad("upper collar", b.Statistics[first+1].Price, f.Upper*e5)
	default:
		t.Errorf("%s: no check for type %c", v.file, v.raw[0])
	}
}

// The simulated day: every message, by count and by the ones that are given in full.
func TestSimulatedDay(t *testing.T) {
	dir := testvec.Dir(t, "nasdaq")
	text, err := os.ReadFile(filepath.Join(dir, "ex20101224.expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Messages uint64
		Counts   map[string]uint64
		First    []json.RawMessage `json:"first_messages"`
		Last     []json.RawMessage `json:"last_messages"`
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "ex20101224.TEST_ITCH_50.framed.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	batch := newBatch(t)
	var c Counters
	sequence, rows := uint64(1), 0
	for rest := b; len(rest) > 0; {
		batch.Reset()
		used, n := Append(rest, midnight, sequence, 1000, batch, &c)
		if n == 0 {
			t.Fatalf("stuck at message %d", sequence)
		}
		rest, sequence, rows = rest[used:], sequence+uint64(n), rows+batch.N
	}
	if c.Messages != want.Messages || rows != int(want.Messages) || c.Unknown+c.Short+c.Extended+c.Empty != 0 {
		t.Errorf("%d messages, %d rows, want %d; %d unknown, %d short", c.Messages, rows, want.Messages, c.Unknown, c.Short)
	}
	for typ, n := range want.Counts {
		if c.ByType[typ[0]] != n {
			t.Errorf("%d of type %s, want %d", c.ByType[typ[0]], typ, n)
		}
	}
	for _, raw := range append(want.First, want.Last...) {
		v := readVector(t, "ex20101224", raw)
		if got, _ := AppendFields(nil, v.raw); string(got) != v.fields {
			t.Errorf("got  %s\nwant %s", got, v.fields)
		}
	}
}

// What the MoldUDP64 specification asks of a receiver, packet by packet; the framing is package moldudp64's.
func TestTransportExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testvec.Dir(t, "nasdaq"), "transport_examples.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Mold []struct{ Name, Hex string } `json:"moldudp64"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		rows, messages                   int
		unknown, short, extended, emptys uint64
		missing, trailing                int
	}
	want := map[string]outcome{
		"two_messages":             {rows: 2, messages: 2},
		"zero_length_block":        {rows: 2, messages: 3, emptys: 1},
		"unknown_type":             {rows: 2, messages: 3, unknown: 1},
		"known_type_longer":        {rows: 2, messages: 2, extended: 1},
		"known_type_shorter":       {rows: 1, messages: 2, short: 1},
		"truncated_last_block":     {rows: 1, messages: 1, missing: 1},
		"count_larger_than_blocks": {rows: 2, messages: 2, missing: 1},
		"trailing_bytes":           {rows: 1, messages: 1, trailing: 3},
		"heartbeat":                {}, "end_of_session": {}, "request": {missing: 38},
	}
	for _, ex := range all.Mold {
		h, blocks, err := moldudp64.Parse(unhex(t, ex.Hex))
		if ex.Name == "short_header" {
			if err == nil {
				t.Error("a short header was read")
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", ex.Name, err)
		}
		count := int(h.Count)
		if h.Count == moldudp64.EndOfSession {
			count = 0
		}
		whole, used := moldudp64.Walk(blocks, count)
		b := newBatch(t)
		var c Counters
		done, n := 0, 0
		for n < whole { // it stops behind one that it refuses
			u, m := Append(blocks[done:used], midnight, h.Sequence+uint64(n), whole-n, b, &c)
			if done, n = done+u, n+m; m == 0 {
				break
			}
		}
		got := outcome{rows: b.N, messages: n, unknown: c.Unknown, short: c.Short, extended: c.Extended, emptys: c.Empty, missing: count - whole}
		if whole == count {
			got.trailing = len(blocks) - used
		}
		if got != want[ex.Name] {
			t.Errorf("%s: %+v, want %+v", ex.Name, got, want[ex.Name])
		}
		for i := 1; i < b.N; i++ {
			if b.Sequence[i] <= b.Sequence[i-1] {
				t.Errorf("%s: sequence %d behind %d", ex.Name, b.Sequence[i], b.Sequence[i-1])
			}
		}
	}
	if len(all.Mold) < 12 {
		t.Errorf("%d examples", len(all.Mold))
	}
}

// Each type: one byte short is refused, the last one of its call, and its neighbours are kept; one byte long is decoded and counted once.
func TestLengths(t *testing.T) {
	neighbour := make([]byte, 19)
	neighbour[0] = 'D'
	types := 0
	for typ := range 256 {
		n := Length(byte(typ))
		if n == 0 {
			continue
		}
		types++
		m := make([]byte, n)
		m[0] = byte(typ)
		for i := 1; i < n; i++ {
			m[i] = byte(i)
		}
		for _, tc := range []struct {
			name            string
			message         []byte
			rows            int
			short, extended uint64
		}{{"whole", m, 3, 0, 0}, {"short", m[:n-1], 2, 1, 0}, {"long", append(bytes.Clone(m), 9), 3, 0, 1}} {
			b := newBatch(t)
			var c Counters
			in := framed(neighbour, tc.message, neighbour)
			used, messages := Append(in, midnight, 1, 10, b, &c)
			if tc.short != 0 {
				if messages != 2 || used != len(framed(neighbour, tc.message)) || b.N != 1 {
					t.Errorf("%c: %d messages taken, %d bytes, %d rows, want it to stop behind the refused one", typ, messages, used, b.N)
				}
				u, m := Append(in[used:], midnight, 1+uint64(messages), 10, b, &c)
				used, messages = used+u, messages+m
			}
			if used != len(in) || messages != 3 || b.N != tc.rows || c.Short != tc.short || c.Extended != tc.extended || b.Kind[b.N-1] != tick.KindDelete {
				t.Errorf("%c %s: used %d of %d, %d messages, %d rows, short %d, extended %d", typ, tc.name, used, len(in), messages, b.N, c.Short, c.Extended)
			}
			if b.Sequence[b.N-1] != 3 {
				t.Errorf("%c %s: the last row has sequence %d, want 3", typ, tc.name, b.Sequence[b.N-1])
			}
		}
	}
	if types != 23 {
		t.Errorf("%d types, want 23", types)
	}
	var c Counters
	b := newBatch(t)
	long := append(bytes.Clone(neighbour), 1)
	Append(framed(long, long, long), midnight, 1, 10, b, &c)
	if c.Extended != 1 {
		t.Errorf("a longer type was counted %d times, want once", c.Extended)
	}
}

// Types without a capture, from the specification.
func TestColdTypes(t *testing.T) {
	const head = "0007 0000 000000000064" // locate 7, 100 ns
	decode := func(t *testing.T, wire string) *tick.Batch {
		t.Helper()
		b := newBatch(t)
		var c Counters
		m := unhex(t, wire)
		if _, n := Append(framed(m), 1000, 5, 1, b, &c); n != 1 || b.N != 1 || b.TsEvent[0] != 1100 || c.Extended != 0 {
			t.Fatalf("%s: %d messages, %d rows, %d extended", wire, n, b.N, c.Extended)
		}
		return b
	}
	text := func(s string) string { return hex.EncodeToString([]byte(s)) }

	b := decode(t, "52"+head+text("ABC     ")+text("QN")+"00000064"+text("NC")+text("Z ")+text("T")+text("N")+text(" ")+text("1")+text("N")+"00000001"+text("N"))
	d := b.Definitions[0]
	if b.Kind[0] != tick.KindDefinition || string(d.RawSymbol[:4]) != "ABC\x00" || d.MinLotSizeRoundLot != 100 || string(d.SecurityType[:4]) != "TEST" ||
		d.InstrumentID != 7 || d.RawInstrumentID != 7 || string(d.Exchange[:4]) != "XNAS" || d.InstrumentClass != 'K' || string(d.Secsubtype[:2]) != "Z " {
		t.Errorf("R: %+v", d)
	}
	b = decode(t, "56"+head+"0000000005f5e100"+"0000000005f5e101"+"ffffffffffffffff")
	if _, n := tick.SplitSideRows(b.Aux[0]); n != 3 || b.Statistics[0].Price != 1_000_000_000 || b.Statistics[1].Price != 1_000_000_010 ||
		b.Statistics[2].Price != tick.UndefPrice || b.Statistics[0].StatType != tick.StatBreakerLevel1 {
		t.Errorf("V: %+v", b.Statistics[:3])
	}
	b = decode(t, "57"+head+text("2"))
	if s := b.Statuses[0]; s.Action != tick.StatusHalt || s.Reason != tick.ReasonMarketWideLevel2 {
		t.Errorf("W: %+v", s)
	}
	b = decode(t, "4b"+head+text("ABC     ")+"0000898f"+text("A")+"00030d40")
	if e := b.Exts[0]; e.Kind != tick.ExtIPOQuoting || e.A != 35215 || e.B != 'A' || e.C != 20_000_000_000 {
		t.Errorf("K: %+v", e)
	}
	b = decode(t, "68"+head+text("ABC     ")+text("QH"))
	if s := b.Statuses[0]; s.Action != tick.StatusHalt || s.Reason != tick.ReasonOperational || s.IsTrading != 'N' {
		t.Errorf("h: %+v", s)
	}
	b = decode(t, "68"+head+text("ABC     ")+text("BH"))
	if b.Kind[0] != tick.KindExt || b.Sides.Statuses != 0 {
		t.Errorf("h of another market became a status here")
	}
	b = decode(t, "42"+head+"0000000000000bad")
	if b.Kind[0] != tick.KindBreak || b.Aux[0] != 0xbad {
		t.Errorf("B: kind %d match %x", b.Kind[0], b.Aux[0])
	}
	b = decode(t, "4e"+head+text("ABC     ")+text("B"))
	if e := b.Exts[0]; e.Kind != tick.ExtRetail || e.A != 'B' {
		t.Errorf("N: %+v", e)
	}
	b = decode(t, "4f"+head+text("ABC     ")+text("Y")+"00000001"+"00000002"+"00000003"+"0000000000000004"+"00000005"+"00000006")
	if _, n := tick.SplitSideRows(b.Aux[0]); n != 3 || b.Exts[0].B != 100_000 || b.Exts[1].C != 4 || b.Exts[2].C != 600_000 || b.Exts[2].A != 2<<8|'Y' {
		t.Errorf("O: %+v", b.Exts[:3])
	}
}

func TestReasons(t *testing.T) {
	for code, want := range map[string]uint16{"LUDP": 50, "T1  ": 30, "MWC2": 121, "    ": 0, "XXXX": 0, "H10 ": 14} {
		if got := reasonOf([4]byte([]byte(code))); got != want {
			t.Errorf("%q is reason %d, want %d", code, got, want)
		}
	}
}

// The batch fills up, in rows or in a side table; what is left is decoded by the next call and nothing is lost.
func TestFullBatch(t *testing.T) {
	for _, typ := range []byte{'D', 'R', 'O', 'J', 'V', 'H', 'I', 'L'} {
		m := make([]byte, Length(typ))
		m[0] = typ
		var in []byte
		const messages = 9000
		for range messages {
			in = append(in, framed(m)...)
		}
		b := newBatch(t)
		var c Counters
		rows, done := 0, 0
		for rest := in; len(rest) > 0; {
			b.Reset()
			used, n := Append(rest, 0, uint64(done), 1<<30, b, &c)
			if n == 0 {
				t.Fatalf("%c: stuck after %d messages", typ, done)
			}
			rows, done, rest = rows+b.N, done+n, rest[used:]
		}
		if rows != messages || done != messages {
			t.Errorf("%c: %d rows of %d messages, want %d", typ, rows, done, messages)
		}
	}
}

// A batch that is full when it comes takes nothing, whichever of its bounds is reached and whatever the message: neither bytes nor rows, and no counter moves.
func TestFullBeforehand(t *testing.T) {
	b := newBatch(t)
	bounds := []*int{&b.N, &b.Sides.Statuses, &b.Sides.Imbalances, &b.Sides.Definitions, &b.Sides.Statistics, &b.Sides.Exts}
	for i, bound := range bounds {
		levels := []int{tick.MaxRows}
		if i > 0 {
			levels = []int{tick.MaxSideRows - tick.SideRoom + 1, tick.MaxSideRows}
		}
		for typ := range 256 {
			m := make([]byte, Length(byte(typ)))
			if len(m) == 0 {
				continue
			}
			m[0] = byte(typ)
			var in []byte
			for range 20 { // enough for every way to decode
				in = append(in, framed(m)...)
			}
			for _, level := range levels {
				for _, way := range variants() {
					b.Reset()
					*bound = level
					before, rows := b.Sides, b.N
					var c Counters
					if used, n := way.append(in, 0, 1, 20, b, &c); used != 0 || n != 0 || b.N != rows || b.Sides != before || c != (Counters{}) {
						t.Errorf("%s: %c, bound %d at %d: %d bytes, %d messages taken; %d rows, %+v", way.name, typ, i, level, used, n, b.N, b.Sides)
					}
				}
			}
		}
	}
}

func TestMidnight(t *testing.T) {
	for _, tc := range []struct {
		y    int
		m    time.Month
		d    int
		want string
	}{{2023, 8, 22, "2023-08-22T04:00:00Z"}, {2026, 1, 5, "2026-01-05T05:00:00Z"}, {2026, 3, 8, "2026-03-08T05:00:00Z"}, {2026, 3, 9, "2026-03-09T04:00:00Z"}} {
		ns, err := Midnight(tc.y, tc.m, tc.d)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Unix(0, int64(ns)).UTC().Format(time.RFC3339); got != tc.want {
			t.Errorf("midnight of %d-%d-%d is %s, want %s", tc.y, tc.m, tc.d, got, tc.want)
		}
		if again, err := MidnightBefore(ns + 20*3600*1e9); err != nil || again != ns {
			t.Errorf("20 hours later it is another day: %d, %v", again, err)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	in := mix(20_000)
	b := newBatch(t)
	var c Counters
	if n := testing.AllocsPerRun(20, func() { decodeAll(in, b, &c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func decodeAll(in []byte, b *tick.Batch, c *Counters) {
	for len(in) > 0 {
		b.Reset()
		used, _ := Append(in, midnight, 1, 1024, b, c)
		in = in[used:]
	}
}

// mix is framed messages in the proportions of a real day (specification, section 10.2), in an order without pattern.
func mix(messages int) []byte {
	share := []struct {
		typ  byte
		upTo uint64 // of 10,000
	}{{'A', 4327}, {'D', 8521}, {'U', 9389}, {'E', 9638}, {'I', 9765}, {'X', 9886}, {'P', 9938}, {'F', 9986}, {'C', 9990}, {'L', 10000}}
	var b []byte
	x := uint64(88172645463325252)
	for range messages {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		for _, s := range share {
			if x%10_000 < s.upTo {
				m := make([]byte, Length(s.typ))
				m[0] = s.typ
				for i := 1; i < len(m); i++ {
					m[i] = byte(x >> (i % 57))
				}
				b = append(b, framed(m)...)
				break
			}
		}
	}
	return b
}

func FuzzAppend(f *testing.F) {
	f.Add(mix(40), uint16(10))
	f.Add(framed([]byte("D"), []byte{}, make([]byte, 36)), uint16(3))
	f.Add([]byte{0, 0, 0, 0, 255}, uint16(100))
	f.Fuzz(func(t *testing.T, in []byte, most uint16) {
		b := newBatch(t)
		var c Counters
		used, n := Append(in, midnight, 1, int(most), b, &c)
		whole, walked := moldudp64.Walk(in, int(most))
		if used > len(in) || n > int(most) || b.N > n {
			t.Fatalf("used %d of %d, %d messages of %d, %d rows", used, len(in), n, most, b.N)
		}
		if c.Short != 0 { // it stops behind the one it refused
			whole, walked = moldudp64.Walk(in, n)
		}
		if !b.Full() && (n != whole || used != walked || c.Short > 1) {
			t.Fatalf("%d messages in %d bytes, the walk finds %d in %d", n, used, whole, walked)
		}
		if got := uint64(b.N) + c.Unknown + c.Short + c.Empty; got != uint64(n) {
			t.Fatalf("%d messages, %d accounted for", n, got)
		}
		for i := range b.N {
			if b.Kind[i] == 0 || b.Kind[i] >= tick.KindCount {
				t.Fatalf("row %d has kind %d", i, b.Kind[i])
			}
		}
	})
}

func FuzzFields(f *testing.F) {
	f.Add([]byte("S"))
	f.Add(make([]byte, 36))
	f.Fuzz(func(t *testing.T, m []byte) {
		if out, _ := AppendFields(nil, m); !json.Valid(out) {
			t.Fatalf("no JSON: %s", out)
		}
	})
}
