package xdp

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// deleted is a message 102 of symbol 5 (engine 7), or 6 (engine 8).
func deleted(ns, index, number uint32) []byte { return msg(102, ns, index, number, uint64(8), byte(0)) }

func TestTimes(t *testing.T) {
	d, b := begun(t, Options{})
	at := uint64(5)
	times := func(messages ...[]byte) (all []uint64) {
		b.Reset()
		_, n := d.Append(slices.Concat(messages...), at, 99, b)
		at += uint64(n)
		for i := range b.N {
			all = append(all, b.TsEvent[i])
		}
		return all
	}
	check := func(what string, got []uint64, want ...uint64) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	check("each engine has its own second", times(deleted(1, 5, 1), clock(8, 2001), deleted(2, 5, 2), deleted(3, 6, 1), clock(7, 1001), deleted(4, 5, 3), deleted(5, 6, 2)),
		1000_000000001, 1000_000000002, 2001_000000003, 1001_000000004, 2001_000000005)
	check("an engine beyond 255 is nobody's", times(clock(256+7, 9999), deleted(1, 5, 4)), 1001_000000001)
	check("a second's last nanosecond", times(deleted(999_999_999, 5, 5)), 1001_999999999)
	if d.c.OddTimes != 0 {
		t.Error("odd times are counted where there are none")
	}
	check("more than a second", times(deleted(1_000_000_000, 5, 6)), 1001_999999999)
	if d.c.OddTimes != 1 {
		t.Errorf("%d odd times", d.c.OddTimes)
	}

	check("more than a second, told in full", times(msg(32, 1001, 2_000_000_000, 5, 7)), 1001_999999999)
	if d.c.OddTimes != 2 {
		t.Errorf("%d odd times", d.c.OddTimes)
	}

	at++ // a message is lost
	check("in doubt, send_time not told: the second last known", times(deleted(7, 5, 7)), 1001_000000007)
	d.SetSendTime(1005*second + 600_000_000)
	check("in doubt: that of send_time", times(deleted(500_000_000, 5, 8)), 1005_500000000)
	d.SetSendTime(1006*second + 100_000_000)
	check("in doubt, just before the turn: the one before", times(deleted(900_000_000, 5, 9)), 1005_900000000)
	check("in doubt, a little above send_time: clocks differ", times(deleted(200_000_000, 5, 10)), 1006_200000000)
	check("told again, for this engine", times(clock(7, 1006), deleted(1, 5, 11), deleted(2, 6, 3)), 1006_000000001, 1006_000000002)
	if d.c.Doubts != 1 || d.c.Stale != 1 || d.c.StopGap != 4 || d.c.Timeless != 0 {
		t.Errorf("doubts %d, stale %d, stop-gap %d, timeless %d", d.c.Doubts, d.c.Stale, d.c.StopGap, d.c.Timeless)
	}
	if d.Refused() != 0 || d.c.SymbolGaps != 0 {
		t.Errorf("%d refused, %d symbols' gaps", d.Refused(), d.c.SymbolGaps)
	}

	// A replay sends days later: what the second of engine 7 was at its send_time says by how much.
	d.SetSendTime(1_000_000*second + 5)
	times(clock(7, 1010))
	at++
	d.SetSendTime(1_000_003*second + 600_000_000)
	check("in doubt, replayed", times(deleted(500_000_000, 5, 12)), 1013_500000000)

	fresh := newDecoder(t, Options{})
	b.Reset()
	fresh.Append(slices.Concat(mapped(5, "FIVE", 7, 4), deleted(9, 5, 1)), 1, 9, b)
	if b.TsEvent[2] != tick.UndefTime || fresh.c.Timeless != 1 {
		t.Errorf("never a second: %d, %d timeless", b.TsEvent[2], fresh.c.Timeless)
	}
}

// What message 3 has no time for takes the best that is known.
func TestTimeOfDefinitions(t *testing.T) {
	d, b := newDecoder(t, Options{}), newBatch(t)
	d.Start(500 * second)
	d.Append(mapped(5, "FIVE", 7, 4), 1, 1, b)
	d.Append(append(clock(7, 1000), mapped(5, "FIVE", 7, 4)...), 2, 2, b)
	d.SetSendTime(1000_000000777)
	d.Append(mapped(5, "FIVE", 7, 4), 4, 1, b)
	if got := b.TsEvent[:6]; !slices.Equal(got, []uint64{500 * second, 500 * second, 1000 * second, 1000 * second, 1000_000000777, 1000_000000777}) {
		t.Error(got)
	}
	if a := [3]byte{b.Definitions[0].SecurityUpdateAction, b.Definitions[1].SecurityUpdateAction, b.Definitions[2].SecurityUpdateAction}; a != [3]byte{'A', 'M', 'M'} {
		t.Errorf("%c", a)
	}
}

func TestSymbolSequences(t *testing.T) {
	d, b := begun(t, Options{})
	suspects := func() (all []uint32) {
		d.Suspects(func(i uint32) bool { all = append(all, i); return true })
		return all
	}
	at := uint64(5)
	send := func(messages ...[]byte) {
		_, n := d.Append(slices.Concat(messages...), at, 99, b)
		at += uint64(n)
	}
	send(deleted(1, 5, 41), deleted(1, 6, 7), deleted(1, 5, 42), msg(220, 1000, 1, 6, 8, 1, 2, 3, "@   "), deleted(1, 5, 43))
	if d.c.SymbolGaps != 0 || suspects() != nil {
		t.Fatalf("%d gaps, suspect %d: the first number may be any", d.c.SymbolGaps, suspects())
	}
	send(deleted(1, 5, 45), deleted(1, 6, 9))
	if d.c.SymbolGaps != 1 || !slices.Equal(suspects(), []uint32{5}) {
		t.Errorf("%d gaps, suspect %d, want 5", d.c.SymbolGaps, suspects())
	}
	send(msg(32, 1000, 1, 5, 60), deleted(1, 5, 60), deleted(1, 5, 61))
	if d.c.SymbolGaps != 1 || suspects() != nil {
		t.Errorf("%d gaps, suspect %d: message 32 says which number is next", d.c.SymbolGaps, suspects())
	}
	send(deleted(1, 5, 61)) // again
	if d.c.SymbolGaps != 2 || !slices.Equal(suspects(), []uint32{5}) {
		t.Errorf("%d gaps, suspect %d, want 5", d.c.SymbolGaps, suspects())
	}
	d.Cleared(5, 70)
	send(deleted(1, 5, 71))
	if d.c.SymbolGaps != 2 || suspects() != nil {
		t.Errorf("%d gaps, suspect %d: the refresh was as of 70", d.c.SymbolGaps, suspects())
	}
	send(msg(218, 1000, 1, 5, 72, 1, 2, 3, "@   ", 4, 5), msg(210, 1000, 1, 5, 73, 1, 2, uint64(3), "@   ", 4, 5), deleted(1, 5, 74))
	if d.c.SymbolGaps != 2 || suspects() != nil {
		t.Errorf("%d gaps, suspect %d: what makes no row has a number too", d.c.SymbolGaps, suspects())
	}
	order := func(number int) []byte {
		return msg(106, 1000, 1, 5, number, uint64(8), 488700, 61, 'B', "     ", byte(0))
	}
	send(msg(32, 1000, 1, 5, 90), order(90), order(91), deleted(1, 5, 92))
	send(msg(32, 1000, 1, 5, 95), order(3), order(2), deleted(1, 5, 95))
	if d.c.SymbolGaps != 2 || suspects() != nil {
		t.Errorf("%d gaps, suspect %d: whichever number an order is stated again with, it accuses nobody", d.c.SymbolGaps, suspects())
	}
	send(deleted(1, 5, 99), msg(34, 1000, 1, 5, 100, 'X', '~'))
	if d.c.SymbolGaps != 3 || suspects() != nil {
		t.Errorf("%d gaps, suspect %d: a closed symbol's book is empty, and right", d.c.SymbolGaps, suspects())
	}
	d.Cleared(999, 1)
	if d.none != (symbol{}) {
		t.Error("a symbol that is not there has got a state")
	}
}

func TestProducts(t *testing.T) {
	add, q, tr := msg(100, 1, 5, 1, uint64(8), 1, 1, 'B', "     ", byte(0)), msg(140, 1, 5, 1, 1, 1, 1, 1, 'R', ' '), msg(220, 1000, 1, 5, 1, 1, 2, 3, "@   ")
	sum := msg(223, 1000, 1, 5, 0, 0, 0, 0, 0)
	reset := func(product byte) []byte { return msg(1, 900, 0, product, byte(1)) }
	for _, tc := range []struct {
		option  string
		product int // of message 1, 0: none came
		want    string
		other   uint64
	}{
		{"", 0, "100 140 220 223", 0},
		{"", 11, "100 223", 0}, {"", 59, "100 223", 0}, {"", 109, "100 223", 0}, {"", 157, "100 223", 0}, {"", 209, "100 223", 0},
		{"", 3, "140", 0}, {"", 202, "140", 0}, {"", 4, "220 223", 0}, {"", 103, "220 223", 0},
		{"", 12, "", 0},
		{"integrated", 0, "100 223", 0}, {"integrated", 11, "100 223", 0}, {"integrated", 3, "100 223", 1}, {"bbo", 12, "140", 1}, {"trades", 4, "220 223", 0},
	} {
		d, b := begun(t, Options{Product: tc.option})
		at := uint64(5)
		if tc.product != 0 {
			d.Append(reset(byte(tc.product)), 1, 1, b)
			at = 2
		}
		d.Append(clock(7, 1000), at, 1, b)
		got := ""
		for k, m := range [][]byte{add, q, tr, sum} {
			b.Reset()
			if d.Append(m, at+1+uint64(k), 1, b); b.N > 0 {
				got += fmt.Sprint(" ", Type(m))
			}
		}
		if want := tc.want; got != "" && got[1:] != want || got == "" && want != "" || d.c.OtherFeed != tc.other {
			t.Errorf("%q, product %d: %q, want %q; %d of another feed", tc.option, tc.product, got, want, d.c.OtherFeed)
		}
		d.Start(0)
		if want, _ := ParseProduct(tc.option); d.Product() != want {
			t.Errorf("%q: Start leaves %s", tc.option, d.Product())
		}
	}
	if _, err := NewDecoder(Options{Product: "opra"}); err == nil {
		t.Error("opra is taken")
	}
	if _, err := NewDecoder(Options{Version: "3"}); err == nil {
		t.Error("version 3 is taken")
	}
}

func TestStart(t *testing.T) {
	d, b := begun(t, Options{})
	d.Append(deleted(1, 5, 1), 5, 1, b)
	d.Start(0)
	b.Reset()
	d.Append(deleted(1, 5, 2), 1, 1, b)
	if b.N != 0 || d.c.Unmapped != 1 || d.c.Doubts != 0 {
		t.Errorf("%d rows, %d unmapped, %d doubts: yesterday's scale is no scale", b.N, d.c.Unmapped, d.c.Doubts)
	}
	d.Instruments(func(id uint32) bool { t.Errorf("%d is left", id); return true })
}

// A reset voids the seconds, not the mappings: they hold for the day.
func TestReset(t *testing.T) {
	d, b := begun(t, Options{})
	d.Append(slices.Concat(msg(1, 1100, 0, byte(11), byte(1)), deleted(1, 5, 1), clock(7, 1100), deleted(1, 5, 2)), 1, 9, b)
	if b.N != 2 || b.TsEvent[0] != tick.UndefTime || b.TsEvent[1] != 1100_000000001 || d.c.Doubts != 0 {
		t.Errorf("%q, %d doubts", showAll(b), d.c.Doubts)
	}
}

func TestRefresh(t *testing.T) {
	d, b := begun(t, Options{})
	d.Append(deleted(1, 5, 50), 5, 1, b)
	b.Reset()
	blocks := slices.Concat(msg(35, uint16(1), uint16(2), 900, 48), mapped(5, "FIVE", 7, 4), msg(34, 1000, 123, 5, 40, 'O', '~'),
		msg(106, 999, 5, 5, 3, uint64(8), 488700, 61, 'B', "     ", byte(0)), msg(140, 4, 5, 44, 1030000, 200, 1020000, 300, 'R', ' '), clock(7, 3))
	h, rest, ok := ParseRefreshHeader(blocks)
	if want := (RefreshHeader{Packet: 1, Packets: 2, LastSequence: 900, LastSymbolSequence: 48, Long: true}); !ok || h != want || len(rest) != len(blocks)-16 {
		t.Errorf("%+v, %v", h, ok)
	}
	if h, _, ok := ParseRefreshHeader(msg(35, uint16(2), uint16(2))); !ok || h != (RefreshHeader{Packet: 2, Packets: 2}) {
		t.Errorf("%+v, %v", h, ok)
	}
	if _, rest, ok := ParseRefreshHeader(mapped(5, "FIVE", 7, 4)); ok || len(rest) != 44 {
		t.Error("message 3 is taken for a header")
	}
	if used, n := d.AppendRefresh(blocks, 900, 9, b); used != len(blocks) || n != 6 {
		t.Errorf("used %d, %d messages", used, n)
	}
	want := []string{
		"5 @2000000000000 #900 definition FIVE XNYS class K match ' ' type A lot 100/1 increment 0.05 M snapshot",
		"5 @2000000000000 #900 ext 13 22862 50850000000 0 snapshot",
		"5 @1000000000123 #900 status action 7 reason 0 event 2 YY~ snapshot",
		"5 @999000000005 #900 add 8 B 48.87 x61 firm 0 snapshot",
		"5 @1000000000004 #900 quote bid 102.00 x300 ask 103.00 x200 aux 0 snapshot tob",
	}
	if got := showAll(b); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	b.Reset()
	d.Append(deleted(1, 5, 51), 6, 1, b)
	if d.c.SymbolGaps != 0 || d.c.Doubts != 0 || b.TsEvent[0] != 1000_000000001 {
		t.Errorf("the channel's own state was touched: %d gaps, %d doubts, %d", d.c.SymbolGaps, d.c.Doubts, b.TsEvent[0])
	}
}

// However packets and batches cut a stream, its rows are the same: in runs, by the single message, at a packet's end, and for symbols
// that the table does not hold.
func TestCuts(t *testing.T) {
	const messages = 20_000
	t.Run("orders", func(t *testing.T) { testCuts(t, odd(mix(messages, 300)), messages) })
	t.Run("quotes", func(t *testing.T) { testCuts(t, odd(quoted(messages, 300)), messages) })
}

func testCuts(t *testing.T, stream []byte, messages int) {
	all := func(cut func(left int) int, max int, index func(uint32) uint32) (rows []string, c Counters) {
		d, b := newDecoder(t, Options{}), newBatch(t)
		rest := slices.Clone(stream)
		for m, tail := Next(rest); m != nil; m, tail = Next(tail) {
			at := map[bool]int{true: 8, false: 12}[Type(m) < 105 || Type(m) > 106]
			if Type(m) == 3 {
				at = 4
			}
			if Type(m) != 2 {
				binary.LittleEndian.PutUint32(m[at:], index(binary.LittleEndian.Uint32(m[at:])))
			}
		}
		for done := 0; len(rest) > 0; {
			_, end := Walk(rest, cut(len(rest)))
			for p := rest[:end:end]; len(p) > 0; {
				used, n := d.Append(p, uint64(1+done), max, b)
				if n == 0 {
					rows = append(rows, showAll(b)...)
					b.Reset()
					continue
				}
				p, done = p[used:], done+n
			}
			rest = rest[end:]
		}
		return append(rows, showAll(b)...), d.c
	}
	same := func(i uint32) uint32 { return i }
	want, c := all(func(int) int { return 1 << 30 }, 1<<30, same)
	if len(want) < messages*8/10 || c.NotPrinted == 0 && c.ByType[140] == 0 || c.Short == 0 || c.OddTimes == 0 || c.SymbolGaps == 0 || c.Unmapped == 0 || c.Unknown == 0 && c.ByType[140] == 0 {
		t.Fatalf("%d rows of %d messages, %+v: the stream is too tame", len(want), messages, c)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for name, got := range map[string]func() ([]string, Counters){
		"packets of 1":       func() ([]string, Counters) { return all(func(int) int { return 1 }, 99, same) },
		"packets of 1 to 30": func() ([]string, Counters) { return all(func(int) int { return 1 + r.IntN(30) }, 99, same) },
		"passes of 7":        func() ([]string, Counters) { return all(func(int) int { return 1 << 30 }, 7, same) },
	} {
		rows, counters := got()
		compare(t, name, rows, want)
		if counters != c {
			t.Errorf("%s: counters %+v, want %+v", name, counters, c)
		}
	}
	far, counters := all(func(int) int { return 1 << 30 }, 1<<30, func(i uint32) uint32 { return i | 1<<30 })
	for i := range far {
		var index uint32
		fmt.Sscan(far[i], &index)
		far[i] = fmt.Sprint(index&^(1<<30)) + far[i][len(fmt.Sprint(index)):]
	}
	compare(t, "far indexes", far, want)
	if counters != c {
		t.Errorf("far: counters %+v, want %+v", counters, c)
	}
}

func compare(t *testing.T, name string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", name, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s: row %d:\ngot  %s\nwant %s", name, i, got[i], want[i])
		}
	}
}

// odd makes one message in thirty odd: another length, an attributed firm, a time beyond its second, a lost or unmapped symbol, no tape.
func odd(stream []byte) (out []byte) {
	r := rand.New(rand.NewPCG(5, 6))
	le := binary.LittleEndian
	for m, rest := Next(stream); m != nil; m, rest = Next(rest) {
		m = slices.Clone(m)
		if Type(m) >= 100 && r.IntN(30) == 0 {
			switch r.IntN(8) {
			case 0:
				m = append(m, "####"...)
			case 1:
				m = m[:len(m)-1-r.IntN(8)]
			case 2:
				m = m[:17]
			case 3:
				if Type(m) == 100 {
					copy(m[33:], "FIRM ")
				}
			case 4:
				if Type(m) != 105 {
					le.PutUint32(m[4:], second+uint32(r.IntN(2))<<31)
				}
			case 5:
				if Type(m) != 105 {
					le.PutUint32(m[12:], le.Uint32(m[12:])+1)
				}
			case 6:
				if Type(m) != 105 {
					le.PutUint32(m[8:], 500)
				}
			case 7:
				switch {
				case Type(m) == 140 && r.IntN(4) > 0:
					m[33] = "\x00ABC"[r.IntN(4)]
				case Type(m) == 140:
					le.PutUint32(m[16+4*r.IntN(4):], 0)
				default:
					le.PutUint16(m[2:], 99)
				}
			}
			le.PutUint16(m, uint16(len(m)))
		}
		out = append(out, m...)
	}
	return out
}

// Columns and printed fields come from the same bytes by different code: they must say the same.
func TestColumnsAreFields(t *testing.T) {
	d, b := newDecoder(t, Options{}), newBatch(t)
	n := 0
	sec := map[byte]uint64{}
	for m, rest := Next(mix(20_000, 300)); m != nil; m, rest = Next(rest) {
		b.Reset()
		d.Append(m, 1+d.c.Messages, 1, b)
		if Type(m) == 2 {
			sec[m[4]] = uint64(binary.LittleEndian.Uint32(m[12:]))
		}
		if typ := Type(m); typ < 100 || typ > 104 {
			continue
		}
		fields, ok := AppendFields(nil, m, V25)
		var f struct {
			Ns      uint64 `json:"source_time_ns"`
			Index   uint32 `json:"symbol_index"`
			Order   uint64 `json:"order_id"`
			New     uint64 `json:"new_order_id"`
			Price   int64
			Volume  uint64
			Side    string
			Trade   uint64 `json:"trade_id"`
			Printed int    `json:"printable_flag"`
		}
		if err := json.Unmarshal(fields, &f); err != nil || !ok || b.N != 1 {
			t.Fatal(err, ok, b.N)
		}
		px := tick.FormatPrice(f.Price * 100_000)
		side := map[string]byte{"B": 'B', "S": 'A'}[f.Side]
		want := ""
		switch Type(m) {
		case 100:
			want = fmt.Sprintf("add %d %c %s x%d firm 0", f.Order, side, px, f.Volume)
		case 101:
			want = fmt.Sprintf("modify %d %c %s x%d sub 0", f.Order, side, px, f.Volume)
		case 102:
			want = fmt.Sprintf("delete %d", f.Order)
		case 103:
			want = fmt.Sprintf("exec %d %s x%d trade %d %c", f.Order, px, f.Volume, f.Trade, "NY"[f.Printed])
		case 104:
			want = fmt.Sprintf("replace %d by %d %s x%d", f.Order, f.New, px, f.Volume)
		}
		want = fmt.Sprintf("%d @%d #%d ", f.Index, sec[byte(f.Index%4)]*second+f.Ns, d.c.Messages) + want
		if got := show(b, 0); got != want {
			t.Fatalf("%s:\ngot  %s\nwant %s", fields, got, want)
		}
		n++
	}
	if n < 15_000 {
		t.Errorf("only %d messages were compared", n)
	}
}

// What a channel may make a decoder remember has an end, and reaching it is seen.
func TestSymbolsAreBounded(t *testing.T) {
	d, b := begun(t, Options{})
	at := uint64(5)
	for i := range uint32(maxSparse + 10) {
		b.Reset()
		d.Append(mapped(1<<20+i, "MANY", 7, 4), at, 1, b)
		at++
	}
	if len(d.sparse) != maxSparse || d.c.Unmapped != 10 || d.Refused() != 10 {
		t.Errorf("%d symbols, %d refused", len(d.sparse), d.Refused())
	}
	n := 0
	d.Instruments(func(uint32) bool { n++; return n < 10 })
	if n != 10 {
		t.Errorf("Instruments went on to %d", n)
	}
}

// A quote's two sides, through the assembly where there is any: neither there, one, both; no price and no shares alike.
func TestQuoteSides(t *testing.T) {
	d, b := begun(t, Options{})
	var stream []byte
	var want []string
	for k := range 64 {
		v := [4]uint32{1030000, 200, 1020000, 300}
		for bit := range 4 {
			if k>>bit&1 != 0 {
				v[bit] = 0
			}
		}
		bid, ask := "102.00 x300", "103.00 x200"
		if v[0] == 0 || v[1] == 0 {
			ask = "- x0"
		}
		if v[2] == 0 || v[3] == 0 {
			bid = "- x0"
		}
		stream = append(stream, msg(140, 123, 5, k+1, v[0], v[1], v[2], v[3], 'R', ' ')...)
		want = append(want, fmt.Sprintf("5 @1000000000123 #%d quote bid %s ask %s aux 0 tob", 5+k, bid, ask))
	}
	d.Append(stream, 5, 99, b)
	compare(t, "quotes", showAll(b), want)
	for i := range b.N {
		if b.Side[i] != tick.SideNone || b.Sub[i] != 0 {
			t.Fatalf("row %d: side %c, sub %d", i, b.Side[i], b.Sub[i])
		}
	}
	if d.c.ByType[140] != 64 {
		t.Errorf("%d are counted", d.c.ByType[140])
	}
}

// A batch whose side tables are nearly full takes no message that may not fit.
func TestFullTables(t *testing.T) {
	d, b := begun(t, Options{})
	sum := msg(223, 1000, 1, 5, 1, 2, 3, 4, 5)
	stream := slices.Repeat(sum, 1000)
	total, batches := 0, 0
	for first := uint64(5); len(stream) > 0; batches++ {
		b.Reset()
		used, n := d.Append(stream, first, 1<<30, b)
		if n == 0 {
			t.Fatal("nothing fits an empty batch")
		}
		total += b.Sides.Statistics
		stream, first = stream[used:], first+uint64(n)
	}
	if total != 5000 || batches < 5 {
		t.Errorf("%d entries in %d batches", total, batches)
	}
	b.Reset()
	rows := 0
	for stream = slices.Repeat(deleted(1, 5, 0), 5000); len(stream) > 0; b.Reset() {
		used, n := d.Append(stream, 1, 1<<30, b)
		if n == 0 || b.N > tick.MaxRows {
			t.Fatalf("%d messages, %d rows", n, b.N)
		}
		rows, stream = rows+b.N, stream[used:]
	}
	if rows != 5000 {
		t.Errorf("%d rows", rows)
	}
	if used, n := d.Append(deleted(1, 5, 0), 1, 0, b); used != 0 || n != 0 {
		t.Errorf("max 0: %d messages", n)
	}
}

func TestSteadyState(t *testing.T) {
	stream := odd(mix(20_000, 300))
	d, b := newDecoder(t, Options{}), newBatch(t)
	pass := func() {
		for rest, n := stream, uint64(1); len(rest) > 0; {
			b.Reset()
			d.SetSendTime(n * second)
			used, messages := d.Append(rest, n, 500, b)
			rest, n = rest[used:], n+uint64(messages)
		}
	}
	pass()
	if n := testing.AllocsPerRun(3, pass); n != 0 {
		t.Errorf("%v allocations in 20,000 messages", n)
	}
}
