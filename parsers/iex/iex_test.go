package iex

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/tick"
)

// payloads are the UDP payloads of a capture.
func payloads(t testing.TB, path string) (all [][]byte) {
	t.Helper()
	r, err := pcap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	packets := make([]nic.Packet, 16)
	for {
		n, err := r.Poll(packets)
		for i := range packets[:n] {
			all = append(all, bytes.Clone(packets[i].Data))
		}
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

type expectedPacket struct {
	Header   map[string]json.Number `json:"-"`
	Raw      json.RawMessage        `json:"header"`
	Messages []struct {
		Type     string          `json:"type"`
		Length   int             `json:"length"`
		Sequence uint64          `json:"sequence_number"`
		Fields   json.RawMessage `json:"fields"`
		Hex      string          `json:"raw"`
	} `json:"messages"`
}

func expectations(t testing.TB) map[string]struct{ Packets []expectedPacket } {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testvec.Dir(t, "iex"), "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct{ Packets []expectedPacket }
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// same compares two JSON objects, numbers exactly.
func same(t *testing.T, got, want []byte) bool {
	t.Helper()
	parse := func(b []byte) map[string]any {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		return m
	}
	a, b := parse(got), parse(want)
	if len(a) != len(b) {
		return false
	}
	for k, v := range b {
		if a[k] != v {
			return false
		}
	}
	return true
}

// TestVectors: real segments, every field of header and messages as two other decoders read them.
func TestVectors(t *testing.T) {
	messages, types := 0, map[string]bool{}
	for name, file := range expectations(t) {
		got := payloads(t, filepath.Join(testvec.Dir(t, "iex"), name))
		if len(got) != len(file.Packets) {
			t.Fatalf("%s: %d packets, want %d", name, len(got), len(file.Packets))
		}
		for n, want := range file.Packets {
			if Looks(got[n]) == 0 {
				t.Errorf("%s: a real segment is not recognised", name)
			}
			h, _, err := Parse(got[n])
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var wire struct {
				Protocol uint16 `json:"message_protocol_id"`
				Channel  uint32 `json:"channel_id"`
				Session  uint32 `json:"session_id"`
				Count    uint16 `json:"message_count"`
				Offset   uint64 `json:"stream_offset"`
				Sequence uint64 `json:"first_message_sequence_number"`
				Sent     uint64 `json:"send_time"`
			}
			if err := json.Unmarshal(want.Raw, &wire); err != nil {
				t.Fatal(err)
			}
			if (Header)(wire) != h {
				t.Errorf("%s: header %+v, want %+v", name, h, wire)
			}
			i := 0
			err = EachMessage(got[n], func(sequence uint64, typ string, raw, fields []byte, err error) bool {
				w := want.Messages[i]
				if err != nil || typ != w.Type || sequence != w.Sequence || len(raw) != w.Length || hex.EncodeToString(raw) != w.Hex || !same(t, fields, w.Fields) {
					t.Errorf("%s message %d: %s %d %s, want %s %d %s (%v)", name, i, typ, sequence, fields, w.Type, w.Sequence, w.Fields, err)
				}
				types[typ] = true
				messages++
				i++
				return true
			})
			if err != nil || i != len(want.Messages) {
				t.Errorf("%s: %d messages, want %d: %v", name, i, len(want.Messages), err)
			}
		}
	}
	if messages < 200 || len(types) != 13 {
		t.Errorf("%d messages of %d types were compared", messages, len(types))
	}
}

func newBatch(t testing.TB) *tick.Batch {
	t.Helper()
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Free() })
	return b
}

// TestRows: what the vectors' order messages become.
func TestRows(t *testing.T) {
	b, d := newBatch(t), NewDecoder(ProtocolDEEPPlus)
	dir := testvec.Dir(t, "iex")
	for _, name := range []string{"a_AddOrder", "R_OrderDelete", "L_OrderExecuted", "M_OrderModify", "T_Trade", "B_TradeBreak"} {
		for _, p := range payloads(t, filepath.Join(dir, name+".pcap")) {
			h, blocks, err := Parse(p)
			if err != nil {
				t.Fatal(err)
			}
			if used, n := d.Append(blocks, h.Sequence, int(h.Count), b); used != len(blocks) || n != int(h.Count) {
				t.Fatalf("%s: used %d of %d bytes, %d of %d messages", name, used, len(blocks), n, h.Count)
			}
		}
	}
	type row struct {
		kind     tick.Kind
		sub      byte
		side     byte
		id       uint32
		order    uint64
		price    int64
		size     uint64
		aux      uint64
		sequence uint64
	}
	var got []row
	for i := range b.N {
		if b.Kind[i] == tick.KindDefinition {
			continue
		}
		r := row{b.Kind[i], b.Sub[i], b.Side[i], b.Instrument[i], b.OrderID[i], b.Price[i], b.Size[i], b.Aux[i], b.Sequence[i]}
		if r.kind == tick.KindDelete || r.kind == tick.KindBreak {
			r.price, r.size = 0, 0
		}
		got = append(got, r)
	}
	if got[0] != (row{tick.KindAdd, 0, tick.SideAsk, 1, 27866022694354954, 136_500_000_000, 100, 0, 47150}) {
		t.Errorf("add: %+v", got[0])
	}
	if got[1] != (row{tick.KindDelete, 0, tick.SideNone, 1, 27866022694354954, 0, 0, 0, 47151}) {
		t.Errorf("delete: %+v", got[1])
	}
	kinds := map[tick.Kind]int{}
	for _, r := range got {
		kinds[r.kind]++
	}
	if kinds[tick.KindExecAt] != 3 || kinds[tick.KindTrade] != 4 || kinds[tick.KindModify] != 1 || kinds[tick.KindBreak] != 1 {
		t.Errorf("rows %v", kinds)
	}
	if string(bytes.TrimRight(b.Definitions[0].RawSymbol[:], "\x00")) != "IBKR" || b.Kind[0] != tick.KindDefinition || b.TsEvent[1] != 1727787282503661342 {
		t.Errorf("first definition %q, first event at %d", b.Definitions[0].RawSymbol[:8], b.TsEvent[1])
	}
}

// sample is a message of each type, its bytes all different.
func sample(protocol uint16, typ byte, symbol string) []byte {
	m := make([]byte, Length(protocol, typ))
	for i := range m {
		m[i] = byte(i)
	}
	m[0] = typ
	if len(m) > 18 || typ != 'S' {
		copy(m[10:18], (symbol + "        ")[:8])
	}
	for _, f := range layoutFor(protocol).fields[typ] {
		if f.kind == 'i' && f.name != "timestamp" {
			m[f.at+7] = 0 // a price that a record can hold
			m[f.at+6] = 0
		}
	}
	return m
}

func block(dst, m []byte) []byte {
	return append(binary.LittleEndian.AppendUint16(dst, uint16(len(m))), m...)
}

// TestAuctionSaysNoMore: what TOPS's auction information does not have is not set in the record.
func TestAuctionSaysNoMore(t *testing.T) {
	batch, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer batch.Free()
	d := NewDecoder(ProtocolTOPS)
	if _, n := d.Append(block(nil, sample(ProtocolTOPS, 'A', "A")), 1, 1, batch); n != 1 || batch.Sides.Imbalances != 1 {
		t.Fatalf("%d messages, %d imbalances", n, batch.Sides.Imbalances)
	}
	m := &batch.Imbalances[0]
	if m.SignificantImbalance != '~' || m.UnpairedSide != tick.SideNone || m.UnpairedQty != tick.UndefSize || m.MarketImbalanceQty != tick.UndefSize ||
		m.AuctInterestClrPrice != tick.UndefPrice || m.SsrFillingPrice != tick.UndefPrice {
		t.Errorf("%+v", *m)
	}
}

// TestShort: each type, one byte short, is refused, counted, and costs no neighbour; one byte longer it is read.
func TestShort(t *testing.T) {
	for _, protocol := range []uint16{ProtocolDEEPPlus, ProtocolTOPS} {
		for typ := range 256 {
			size := Length(protocol, byte(typ))
			if size == 0 {
				continue
			}
			b, d := newBatch(t), NewDecoder(protocol)
			m := sample(protocol, byte(typ), "AAA")
			neighbour := sample(protocol, 'B', "BBB")
			blocks := block(block(block(nil, m[:size-1]), append(bytes.Clone(m), 7)), neighbour)
			used, n := d.Append(blocks, 1, 100, b)
			if used != len(blocks) || n != 3 || d.Counters.Short != 1 || d.Counters.Extended != 1 || d.Refused() != 1 {
				t.Errorf("%#x %c: used %d of %d, %d messages, %+v", protocol, typ, used, len(blocks), n, d.Counters)
			}
			if b.Kind[b.N-1] != tick.KindBreak || b.Sequence[b.N-1] != 3 {
				t.Errorf("%#x %c: the neighbour is lost", protocol, typ)
			}
			if _, ok := AppendFields(nil, protocol, m[:size-1]); ok {
				t.Errorf("%#x %c: fields of a message that is cut off", protocol, typ)
			}
		}
	}
}

// TestLies: segments that contradict themselves.
func TestLies(t *testing.T) {
	good := AppendHeader(nil, &Header{Protocol: ProtocolDEEPPlus, Channel: 1, Session: 7, Count: 1, Sequence: 9})
	good = block(good, sample(ProtocolDEEPPlus, 'a', "AAA"))
	Finish(good)
	change := func(at int, b ...byte) []byte {
		p := bytes.Clone(good)
		copy(p[at:], b)
		return p
	}
	for _, tc := range []struct {
		name string
		p    []byte
		want error
	}{
		{"short", good[:39], ErrShort},
		{"version", change(0, 2), ErrVersion},
		{"protocol", change(2, 4), ErrProtocol},
		{"payload length beyond the packet", change(12, 0xFF, 0xFF), ErrLength},
		{"sequence 0", change(24, 0), ErrSequence},
		{"sequence below 0", change(31, 0x80), ErrSequence},
	} {
		if _, _, err := Parse(tc.p); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if Looks(tc.p) != 0 {
			t.Errorf("%s: recognised", tc.name)
		}
	}
	for _, p := range [][]byte{change(14, 2), change(40, 0xFF)} { // a count, a block length that lies
		if err := EachMessage(p, func(uint64, string, []byte, []byte, error) bool { return true }); err == nil || Looks(p) != 0 {
			t.Errorf("a lie passes: %v", err)
		}
	}
	d, b := NewDecoder(ProtocolDEEPPlus), newBatch(t)
	high := sample(ProtocolDEEPPlus, 'a', "AAA")
	binary.LittleEndian.PutUint64(high[30:], 1<<62)
	none := sample(ProtocolDEEPPlus, 'a', "AAA")
	clear(none[10:18])
	d.Append(block(block(nil, high), none), 1, 9, b)
	if d.Counters.BadPrice != 1 || d.Counters.NoSymbol != 1 || d.Refused() != 2 {
		t.Errorf("%+v", d.Counters)
	}
	for i := range b.N {
		if b.Kind[i] != tick.KindDefinition {
			t.Errorf("a refused message became a row of kind %d", b.Kind[i])
		}
	}
}

// TestSymbolsGrow: numbers stay what they were when the table doubles, and end at the bound.
func TestSymbolsGrow(t *testing.T) {
	var s symbols
	s.reset()
	key := make([]byte, 8)
	for n := range uint32(mostSymbols + 10) {
		binary.LittleEndian.PutUint64(key, uint64(n)*0x1_0000_0001+1)
		id, fresh := s.id(key)
		if n < mostSymbols && (id != n+1 || !fresh) || n >= mostSymbols && id != 0 {
			t.Fatalf("symbol %d: number %d, fresh %t", n, id, fresh)
		}
	}
	for n := range uint32(mostSymbols) {
		binary.LittleEndian.PutUint64(key, uint64(n)*0x1_0000_0001+1)
		if id, fresh := s.id(key); id != n+1 || fresh {
			t.Fatalf("symbol %d is number %d now", n, id)
		}
	}
}

// TestFull: a batch that fills up loses nothing: what does not fit waits for the next.
func TestFull(t *testing.T) {
	for _, typ := range []byte{'a', 'H', 'I', 'A', 'X', 'D', 'Q'} {
		protocol := uint16(ProtocolDEEPPlus)
		if Length(protocol, typ) == 0 {
			protocol = ProtocolTOPS
		}
		d, b := NewDecoder(protocol), newBatch(t)
		var blocks []byte
		for i := range 10_000 {
			blocks = block(blocks, sample(protocol, typ, string([]byte{'A' + byte(i%26), 'A' + byte(i/26%26), 'A' + byte(i/676)})))
		}
		own, total := 0, 0
		for next := uint64(1); len(blocks) > 0; {
			used, n := d.Append(blocks, next, 1<<20, b)
			if used == 0 {
				t.Fatalf("%c: an empty batch takes nothing", typ)
			}
			for i := range b.N {
				if b.Kind[i] != tick.KindDefinition || typ == 'D' {
					own++
				}
			}
			blocks, next, total = blocks[used:], next+uint64(n), total+n
			b.Reset()
		}
		if total != 10_000 || own != 10_000 {
			t.Errorf("%c: %d messages, %d rows", typ, total, own)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	d, b := NewDecoder(ProtocolDEEPPlus), newBatch(t)
	var blocks []byte
	for typ := range 256 {
		if Length(ProtocolDEEPPlus, byte(typ)) != 0 {
			blocks = block(blocks, sample(ProtocolDEEPPlus, byte(typ), "AAA"))
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		b.Reset()
		d.Append(blocks, 1, 1<<20, b)
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func FuzzAppend(f *testing.F) {
	for _, protocol := range []uint16{ProtocolDEEPPlus, ProtocolTOPS} {
		var blocks []byte
		for typ := range 256 {
			if Length(protocol, byte(typ)) != 0 {
				blocks = block(blocks, sample(protocol, byte(typ), "AAA"))
			}
		}
		f.Add(blocks, protocol == ProtocolTOPS)
	}
	b := newBatch(f)
	f.Fuzz(func(t *testing.T, blocks []byte, quotes bool) {
		protocol := uint16(ProtocolDEEPPlus)
		if quotes {
			protocol = ProtocolTOPS
		}
		d := NewDecoder(protocol)
		b.Reset()
		used, n := d.Append(blocks, 1, 1<<20, b)
		whole, bytes := Walk(blocks, 1<<20)
		if !b.Full() && (n != whole || used != bytes) {
			t.Fatalf("%d messages in %d bytes, want %d in %d", n, used, whole, bytes)
		}
		for i := range b.N {
			if b.Kind[i] == 0 || b.Kind[i] >= tick.KindCount {
				t.Fatalf("row %d has kind %d", i, b.Kind[i])
			}
		}
	})
}

func FuzzEachMessage(f *testing.F) {
	p := AppendHeader(nil, &Header{Protocol: ProtocolDEEPPlus, Count: 1, Sequence: 1})
	p = block(p, sample(ProtocolDEEPPlus, 'L', "AAA"))
	Finish(p)
	f.Add(p)
	f.Fuzz(func(t *testing.T, p []byte) {
		Looks(p)
		_ = EachMessage(p, func(_ uint64, _ string, _, fields []byte, _ error) bool {
			if !json.Valid(fields) {
				t.Fatalf("no JSON: %s", fields)
			}
			return true
		})
	})
}

// BenchmarkAppend is the decoder's share: orders in and out, executions among them, 8,000 symbols.
//
//	budget  0 allocs/op, 20 ns/msg
func BenchmarkAppend(b *testing.B) {
	d, out := NewDecoder(ProtocolDEEPPlus), newBatch(b)
	var blocks []byte
	x := uint32(1)
	count := 0
	for count < 4000 {
		x = x*1664525 + 1013904223
		typ := "aaaaRRRRML"[x>>28%10]
		s := x >> 8 % 8000
		blocks = block(blocks, sample(ProtocolDEEPPlus, typ, string([]byte{'A' + byte(s%26), 'A' + byte(s/26%26), 'A' + byte(s/676)})))
		count++
	}
	d.Append(blocks, 1, count, out)
	b.SetBytes(int64(len(blocks)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := blocks; len(rest) > 0; {
			out.Reset()
			used, _ := d.Append(rest, 1, count, out)
			rest = rest[used:]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/msg")
}

// TestOperationalHalt: what IEX alone halts trades again when it says so, without another H; and while it halts, H does not make it trade.
func TestOperationalHalt(t *testing.T) {
	b, d := newBatch(t), NewDecoder(ProtocolDEEPPlus)
	said := func(typ, code byte, reason string) *tick.Status {
		t.Helper()
		b.Reset()
		m := sample(ProtocolDEEPPlus, typ, "ZVZZT")
		m[1] = code
		copy(m[18:], reason)
		d.Append(block(nil, m), 1, 1, b)
		if b.Kind[b.N-1] == tick.KindExt {
			return &tick.Status{}
		}
		first, _ := tick.SplitSideRows(b.Aux[b.N-1])
		return &b.Statuses[first]
	}
	for i, tc := range []struct {
		typ, code      byte
		reason         string
		action, wanted uint16
	}{
		{'H', 'T', "    ", tick.StatusTrading, tick.ReasonNone},
		{'O', 'N', "", 0, 0}, // as before the market, for every symbol: no state of its own
		{'O', 'O', "", tick.StatusHalt, tick.ReasonOperational},
		{'H', 'T', "    ", tick.StatusHalt, tick.ReasonOperational},
		{'H', 'H', "T1  ", tick.StatusHalt, tick.ReasonNewsPending},
		{'H', 'O', "T2  ", tick.StatusHalt, tick.ReasonOperational},
		{'O', 'N', "", tick.StatusPreOpen, tick.ReasonNewsReleased},
		{'H', 'T', "    ", tick.StatusTrading, tick.ReasonNone},
		{'O', 'O', "", tick.StatusHalt, tick.ReasonOperational},
		{'O', 'N', "", tick.StatusTrading, tick.ReasonNone},
	} {
		if s := said(tc.typ, tc.code, tc.reason); s.Action != tc.action || s.Reason != tc.wanted {
			t.Errorf("%d: %c %c: action %d, reason %d, want %d and %d", i, tc.typ, tc.code, s.Action, s.Reason, tc.action, tc.wanted)
		}
	}
	d.Start(0)
	if s := said('O', 'N', ""); s.Action != 0 {
		t.Errorf("a halt of the session before: %+v", s)
	}
}

// TestRefusedFirst: the definition that a refused message leaves behind is all of its event.
func TestRefusedFirst(t *testing.T) {
	b, d := newBatch(t), NewDecoder(ProtocolDEEPPlus)
	m := sample(ProtocolDEEPPlus, 'a', "AAA")
	binary.LittleEndian.PutUint64(m[30:], 1<<62)
	d.Append(block(nil, m), 1, 1, b)
	if b.N != 1 || b.Kind[0] != tick.KindDefinition || b.Flags[0] != 0 || d.Refused() != 1 {
		t.Errorf("%d rows, kind %d, flags %x, %d refused", b.N, b.Kind[0], b.Flags[0], d.Refused())
	}
}
