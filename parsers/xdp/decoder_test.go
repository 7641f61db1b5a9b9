package xdp

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// begun is a decoder that knows symbols 5 (scale 4, engine 7) and 6 (scale 6, engine 8) and the seconds 1000 and 2000 of their engines.
func begun(t testing.TB, o Options) (*Decoder, *tick.Batch) {
	t.Helper()
	b := newBatch(t)
	return begin(t, o, b), b
}

func begin(t testing.TB, o Options, b *tick.Batch) *Decoder {
	t.Helper()
	d := newDecoder(t, o)
	b.Reset()
	d.Start(0)
	all := slices.Concat(mapped(5, "FIVE", 7, 4), mapped(6, "SIX", 8, 6), clock(7, 1000), clock(8, 2000))
	if used, n := d.Append(all, 1, 9, b); used != len(all) || n != 4 || b.N != 4 {
		t.Fatalf("used %d, %d messages, %d rows", used, n, b.N)
	}
	b.Reset()
	return d
}

type sample struct {
	name  string
	o     Options
	wire  []byte
	want  []string // rows, without "5 @1000000000123 #5 "
	named uint16
}

// samples has every type that becomes a row. Short stamps are 123 ns of second 1000, complete ones spell the same.
func samples() []sample {
	in := func(typ uint16, rest ...any) []byte { return msg(typ, append([]any{123, 5, 9}, rest...)...) }
	whole := func(typ uint16, rest ...any) []byte { return msg(typ, append([]any{1000, 123, 5, 9}, rest...)...) }
	status := func(code, halt rune, p1, p2 int, ssr rune) []byte {
		return whole(34, code, halt, 0, p1, p2, ' ', 0, 0, ssr, 'O', byte(0))
	}
	v := func(s string) Options { return Options{Version: s} }
	id, firmed := uint64(1)<<40, "AB   "
	imbalance := []any{101000, 10, 20, 30, uint16(1600), 'C', 'S', 102000, 103000, 104000, 105000, 107000, 106000, byte(1), byte(2), byte(3)}
	return []sample{
		{"add", v("2.1"), in(100, id, 488700, 61, 'B', "     ", byte(7)), []string{"add 1099511627776 B 48.87 x61 firm 0"}, 100},
		{"add, attributed", v("2.5"), in(100, id, 488700, 61, 'S', firmed, byte(0)), []string{"add 1099511627776 A 48.87 x61 firm 4241"}, 100},
		{"add, five letters", v("2.5"), in(100, id, 488700, 61, 'S', "ABCDE", byte(0)), []string{"add 1099511627776 A 48.87 x61 firm 4544434241"}, 100},
		{"add, no firm at all", v("2.5"), in(100, id, 488700, 61, 'S', "\x00\x00\x00\x00\x00", byte(0)), []string{"add 1099511627776 A 48.87 x61 firm 0"}, 100},
		{"add, no side", v("2.5"), in(100, id, 488700, 61, 'X', "     ", byte(0)), []string{"add 1099511627776 N 48.87 x61 firm 0"}, 100},
		{"modify", v("2.1"), in(101, id, 488700, 61, byte(0), 'B', byte(0)), []string{"modify 1099511627776 N 48.87 x61 sub 0"}, 101},
		{"modify 2.4", v("2.4"), in(101, id, 488700, 61, byte(1), 'B', byte(0)), []string{"modify 1099511627776 N 48.87 x61 sub 84"}, 101},
		{"modify 2.5", v("2.5"), in(101, id, 488700, 61, byte(9), 'B', byte(0)), []string{"modify 1099511627776 B 48.87 x61 sub 84"}, 101},
		{"delete", v("2.5"), in(102, id, byte(0)), []string{"delete 1099511627776"}, 102},
		{"execution", v("2.1"), in(103, id, 77, 488600, 60, byte(1), byte(0), 2728), []string{"exec 1099511627776 48.86 x60 trade 77 Y"}, 103},
		{"execution, not printed", v("2.5"), in(103, id, 77, 488600, 60, byte(0), byte(0), "@   "), []string{"exec 1099511627776 48.86 x60 trade 77 N"}, 103},
		{"execution, odd flag", v("2.5"), in(103, id, 77, 488600, 60, byte(2), byte(0), "@   "), []string{"exec 1099511627776 48.86 x60 trade 77 N"}, 103},
		{"execution 2.1, whose last bytes are no conditions", v("2.1"), in(103, id, 77, 488600, 60, byte(1), byte(0), "@FTI"), []string{"exec 1099511627776 48.86 x60 trade 77 Y"}, 103},
		{"execution, odd lot", v("2.4"), in(103, id, 77, 488600, 60, byte(1), byte(0), "@  I"), []string{"exec 1099511627776 48.86 x60 trade 77 Y", "ext 12 1226842176 77 0"}, 103},
		{"execution, sweep before the opening", v("2.5"), in(103, id, 77, 488600, 60, byte(1), byte(0), "@FT\x00"), []string{"exec 1099511627776 48.86 x60 trade 77 Y", "ext 12 542393920 77 0"}, 103},
		{"execution, no conditions at all", v("2.5"), in(103, id, 77, 488600, 60, byte(1), byte(0), "\x00   "), []string{"exec 1099511627776 48.86 x60 trade 77 Y"}, 103},
		{"replace", v("2.5"), in(104, id, id+1, 488700, 61, 'B', byte(0)), []string{"replace 1099511627776 by 1099511627777 48.87 x61"}, 104},
		{"imbalance 2.1", v("2.1"), whole(105, imbalance...), []string{"imbalance ref 10.10 at 18446744073709551615 clear 10.20/10.30 ssr 10.40 ind 10.50 collar 10.60/10.70 " +
			"paired 10 total 20 market 30 unpaired 4294967295N type C A status 123 sig ~, exact 10 20"}, 105},
		{"imbalance 2.4", v("2.4"), whole(105, append(imbalance, 40, 'B', 'Y')...), []string{"imbalance ref 10.10 at 18446744073709551615 clear 10.20/10.30 ssr 10.40 ind 10.50 collar 10.60/10.70 " +
			"paired 10 total 20 market 30 unpaired 40B type C A status 123 sig Y, exact 10 20"}, 105},
		{"refresh of an order", v("2.5"), whole(106, id, 488700, 61, 'B', firmed, byte(0)), []string{"add 1099511627776 B 48.87 x61 firm 4241 snapshot"}, 106},
		{"hidden trade", v("2.5"), in(110, 77, 488600, 60, byte(1), "@   "), []string{"trade 77 N 48.86 x60"}, 110},
		{"hidden trade, cash", v("2.5"), in(110, 77, 488600, 60, byte(1), "C   "), []string{"trade 77 N 48.86 x60", "ext 12 538976323 77 0"}, 110},
		{"hidden trade 2.1", v("2.1"), in(110, 77, 488600, 60, byte(1), "@FTI"), []string{"trade 77 N 48.86 x60"}, 110},
		{"hidden trade, not printed", v("2.5"), in(110, 77, 488600, 60, byte(0), "@   "), nil, 110},
		{"opening", v("2.5"), in(111, 77, 488600, 60, 'O'), []string{"cross 77 'O' 48.86 x60"}, 111},
		{"closing", v("2.5"), in(111, 77, 488600, 60, '6'), []string{"cross 77 'C' 48.86 x60"}, 111},
		{"reopening", v("2.5"), in(111, 77, 488600, 60, '5'), []string{"cross 77 '5' 48.86 x60"}, 111},
		{"early opening", v("2.5"), in(111, 77, 488600, 60, 'E'), []string{"cross 77 'E' 48.86 x60"}, 111},
		{"cross of another's code", v("2.5"), in(111, 77, 488600, 60, 'C'), []string{"cross 77 '\\x00' 48.86 x60"}, 111},
		{"cancel", v("2.5"), in(112, 77), []string{"break 77"}, 112},
		{"cross correction", v("2.5"), in(113, 77, 4_000_000_000), []string{"ext 11 113 77 4000000000"}, 113},
		{"retail", v("2.5"), in(114, 'B'), []string{"ext 8 66 0 0"}, 114},
		{"clear", v("2.5"), msg(32, 1000, 123, 5, 9), []string{"clear"}, 32},
		{"session", v("2.1"), whole(33, byte(2)), []string{"status action 7 reason 0 event 2 YY~"}, 33},
		{"no session", v("2.1"), whole(33, byte(0)), []string{"status action 12 reason 0 event 2 NN~"}, 33},
		{"halt", v("2.5"), status('4', 'M', 0, 0, '~'), []string{"status action 8 reason 50 event 0 NNN"}, 34},
		{"resume", v("2.5"), status('5', '~', 0, 0, 'E'), []string{"status action 7 reason 0 event 0 YYY"}, 34},
		{"core session, still halted", v("2.5"), status('O', 'P', 0, 0, 0), []string{"status action 8 reason 30 event 2 NN~"}, 34},
		{"core session", v("2.5"), status('O', ' ', 0, 0, 0), []string{"status action 7 reason 0 event 2 YY~"}, 34},
		{"suspend", v("2.5"), status('6', '6', 0, 0, '~'), []string{"status action 10 reason 0 event 0 NNN"}, 34},
		{"no open", v("2.1"), status('6', 'Z', 0, 0, '~'), []string{"status action 15 reason 0 event 0 NNN"}, 34},
		{"indication", v("2.5"), status('I', 'D', 101000, 102000, '~'), []string{"status action 6 reason 31 event 0 ~~N", "ext 11 18722 10100000000 10200000000"}, 34},
		{"short sale", v("2.5"), status('A', '~', 101000, 0, 'E'), []string{"status action 14 reason 0 event 0 ~~Y", "ext 11 16674 10100000000 9223372036854775807"}, 34},
		{"closed", v("2.5"), status('X', '~', 0, 0, '~'), []string{"status action 12 reason 0 event 2 NNN more", "clear"}, 34},
		{"quote", v("2.5"), in(140, 1030000, 200, 1020000, 300, 'R', ' '), []string{"quote bid 102.00 x300 ask 103.00 x200 aux 0 tob"}, 140},
		{"quote 2.1, retail", v("2.1"), in(140, 1030000, 200, 1020000, 300, 'R', 'C', 11783), []string{"quote bid 102.00 x300 ask 103.00 x200 aux 0 tob", "ext 8 67 0 0"}, 140},
		{"quote, no bid", v("2.5"), in(140, 1030000, 200, 0, 0, 'R', ' '), []string{"quote bid - x0 ask 103.00 x200 aux 0 tob"}, 140},
		{"trade", v("2.5"), whole(220, 77, 488600, 60, "@   "), []string{"trade 77 N 48.86 x60"}, 220},
		{"trade, sold", v("2.5"), whole(220, 77, 488600, 60, "@ Z "), []string{"trade 77 N 48.86 x60", "ext 12 542777408 77 0"}, 220},
		{"official opening", v("2.5"), whole(220, 77, 488600, 60, "@  Q"), []string{"statistics 1: 48.86 x60"}, 220},
		{"official close", v("2.5"), whole(220, 77, 488600, 60, "@  M"), []string{"statistics 11: 48.86 x60"}, 220},
		{"trades cancel", v("2.5"), whole(221, 77), []string{"break 77"}, 221},
		{"trade correction", v("2.5"), whole(222, 77, 78, 488600, 60, "@   "), []string{"break 77 more", "trade 78 N 48.86 x60"}, 222},
		{"trade correction, odd lot", v("2.5"), whole(222, 77, 78, 488600, 60, "@  I"), []string{"break 77 more", "trade 78 N 48.86 x60", "ext 12 1226842176 78 0"}, 222},
		{"correction of the official close", v("2.5"), whole(222, 77, 78, 488600, 60, "@  M"), []string{"statistics 11: 48.86 x60"}, 222},
		{"summary", v("2.5"), msg(223, 1000, 123, 5, 103000, 101000, 102000, 0, 4_000_000_000), []string{"statistics 5: 10.30 4: 10.10 1: 10.20 more", "statistics 10001: - x4000000000"}, 223},
		{"summary, nothing yet", v("2.5"), msg(223, 1000, 123, 5, 0, 0, 0, 0, 0), []string{"statistics 10001: - x0"}, 223},
		{"trf trade", v("2.5"), whole(215, 77, 488600, 60, "@   "), []string{"trade 77 N 48.86 x60"}, 215},
		{"trf cancel", v("2.5"), whole(216, 77), []string{"break 77"}, 216},
		{"trf correction", v("2.5"), whole(217, 77, 78, 488600, 60, "@   "), []string{"break 77 more", "trade 78 N 48.86 x60"}, 217},
	}
}

func rows(b *tick.Batch) (all []string) {
	for _, s := range showAll(b) {
		all = append(all, strings.TrimPrefix(s, "5 @1000000000123 #5 "))
	}
	return all
}

func TestRows(t *testing.T) {
	seen := map[uint16]bool{}
	for _, s := range samples() {
		d, b := begun(t, s.o)
		seen[s.named] = true
		if used, n := d.Append(s.wire, 5, 9, b); used != len(s.wire) || n != 1 || d.Refused() != 0 {
			t.Errorf("%s: used %d, %d messages, %d refused", s.name, used, n, d.Refused())
		}
		if got := rows(b); !slices.Equal(got, s.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", s.name, got, s.want)
		}
	}
	for typ := range messages {
		none := typ < 32 || typ == 35 || slices.Contains([]uint16{210, 212, 213, 214, 218, 219}, typ)
		if seen[typ] == none {
			t.Errorf("%d: has a sample %v, want %v", typ, seen[typ], !none)
		}
	}
}

// A message may be longer than its layout, or end before what it need not have: it is decoded. One byte less than what must be there, and it
// is refused. Its neighbours are whole whatever its length.
func TestLengths(t *testing.T) {
	b := newBatch(t)
	for _, s := range samples() {
		for length := MessageHeaderBytes; length <= len(s.wire)+5; length++ {
			m := append(slices.Clone(s.wire), "#####"...)[:length]
			binary.LittleEndian.PutUint16(m, uint16(length))
			d := begin(t, s.o, b)
			before, after := msg(102, 1, 6, 1, uint64(8), byte(0)), msg(102, 2, 6, 2, uint64(9), byte(0))
			d.Append(slices.Concat(before, m, after), 4, 9, b)
			if b.N < 2 || show(b, 0) != "6 @2000000000001 #4 delete 8" || show(b, b.N-1) != "6 @2000000000002 #6 delete 9" {
				t.Fatalf("%s, %d bytes: neighbours %q", s.name, length, showAll(b))
			}
			got := rows(b)[1 : b.N-1]
			switch need := messages[s.named].need; {
			case length < need:
				if len(got) != 0 || d.Refused() != 1 || d.c.Short != 1 {
					t.Errorf("%s, %d bytes: %q, %d refused", s.name, length, got, d.Refused())
				}
			case length >= len(s.wire):
				want := s.want
				if s.name == "imbalance 2.1" && length > 71 {
					continue // then it is one of XDP 2.2
				}
				if !slices.Equal(got, want) || d.Refused() != 0 {
					t.Errorf("%s, %d bytes: %q, want %q", s.name, length, got, want)
				}
			default:
				if d.Refused() != 0 || len(s.want) > 0 && len(got) == 0 {
					t.Errorf("%s, %d bytes of %d needed: %q, %d refused", s.name, length, need, got, d.Refused())
				}
			}
		}
	}
}

func TestShortButEnough(t *testing.T) {
	for _, tc := range []struct {
		version string
		wire    []byte
		want    string
	}{
		{"2.5", msg(100, 123, 5, 9, uint64(1), 488700, 61, 'B'), "add 1 B 48.87 x61 firm 0"},
		{"2.5", msg(100, 123, 5, 9, uint64(1), 488700, 61, 'B', "ABCD"), "add 1 B 48.87 x61 firm 0"},
		{"2.5", msg(101, 123, 5, 9, uint64(1), 488700, 61, byte(1)), "modify 1 N 48.87 x61 sub 84"},
		{"2.5", msg(140, 123, 5, 9, 1030000, 200, 1020000, 300), "quote bid 102.00 x300 ask 103.00 x200 aux 0 tob"},
		{"2.5", msg(34, 1000, 123, 5, 9, '4', 'D'), "status action 8 reason 31 event 0 NN~"},
		{"2.1", msg(105, 1000, 123, 5, 9, 101000, 10, 20, 30, uint16(1600), 'C', 'S'), "imbalance ref 10.10 at 18446744073709551615 clear -/- ssr - ind - collar -/- " +
			"paired 10 total 20 market 30 unpaired 4294967295N type C A status 000 sig ~, exact 10 20"},
	} {
		d, b := begun(t, Options{Version: tc.version})
		d.Append(tc.wire, 5, 9, b)
		if got := rows(b); len(got) != 1 || got[0] != tc.want {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
	}
}

// Lies about sizes and counts stop the walk where they stand, and nothing behind is guessed at.
func TestLies(t *testing.T) {
	good := msg(102, 1, 5, 1, uint64(8), byte(0))
	sized := func(n uint16) []byte {
		m := slices.Clone(good)
		binary.LittleEndian.PutUint16(m, n)
		return m
	}
	run := func(lie, size int) (b []byte) {
		for i := range 29 {
			m := deleted(1, 5, uint32(1+i))
			if i == lie {
				binary.LittleEndian.PutUint16(m, uint16(size))
			}
			b = append(b, m...)
		}
		return b
	}
	for _, tc := range []struct {
		name   string
		blocks []byte
		count  int
		whole  int
	}{
		{"as it should be", slices.Concat(good, good), 2, 2},
		{"size 0", slices.Concat(good, sized(0), good), 3, 1},
		{"size 3", slices.Concat(good, sized(3), good), 3, 1},
		{"size 4", slices.Concat(good, []byte{4, 0, 99, 0}, good), 3, 3},
		{"size beyond the end", slices.Concat(good, sized(26)), 2, 1},
		{"size 65535", slices.Concat(good, sized(65535)), 2, 1},
		{"count too large", slices.Concat(good, good), 3, 2},
		{"count too small", slices.Concat(good, good), 1, 1},
		{"size beyond the end, in a run", run(20, 25*9+1), 29, 20},
		{"size to the end, in a run", run(20, 25*9), 21, 21},
		{"three bytes left", slices.Concat(good, good[:3]), 2, 1},
		{"nothing", nil, 1, 0},
	} {
		whole, used := Walk(tc.blocks, tc.count)
		d, b := begun(t, Options{})
		dUsed, n := d.Append(tc.blocks, 5, tc.count, b)
		if whole != tc.whole || n != tc.whole || dUsed != used {
			t.Errorf("%s: Walk %d messages %d bytes, Append %d and %d, want %d", tc.name, whole, used, n, dUsed, tc.whole)
		}
		p := packet(DeliveryOriginal, 5, tc.blocks)
		p[3] = byte(tc.count)
		given := 0
		err := EachMessage(p, "", func(_ uint64, _ string, _, _ []byte, err error) bool { given++; return true })
		if given != tc.whole || (err == nil) != (tc.whole == tc.count && used == len(tc.blocks)) {
			t.Errorf("%s: decode gives %d messages, %v", tc.name, given, err)
		}
	}
}

func TestParsePacket(t *testing.T) {
	data, reset := msg(102, 1, 5, 1, uint64(8), byte(0)), msg(1, 1000, 123, byte(11), byte(1))
	cut := func(p []byte, n int) []byte { return p[:len(p)-n] }
	for _, tc := range []struct {
		name string
		p    []byte
		kind PacketKind
		err  error
	}{
		{"heartbeat", packet(1, 5), PacketHeartbeat, nil},
		{"heartbeat with a message", packet(1, 5, data), 0, ErrCount},
		{"data without one", packet(11, 5), 0, ErrCount},
		{"original", packet(11, 5, data), PacketData, nil},
		{"failover", packet(10, 5, data), PacketData, nil},
		{"failover, reset", packet(10, 1, reset), PacketReset, nil},
		{"reset", packet(12, 1, reset), PacketReset, nil},
		{"reset without message 1", packet(12, 1, data), 0, ErrReset},
		{"reset cut short", packet(12, 1, msg(1, 1000)), 0, ErrReset},
		{"message 1 again, by retransmission", packet(13, 1, reset), PacketData, nil},
		{"retransmission", packet(15, 5, data), PacketData, nil},
		{"refresh", packet(17, 5, data), PacketRefresh, nil},
		{"refresh end", packet(20, 5, data), PacketRefresh, nil},
		{"unavailable", packet(21, 5, msg(31, 1, 2, byte(11), byte(1))), PacketUnavailable, nil},
		{"flag 14", packet(14, 5, data), PacketUnknown, nil},
		{"flag 0", packet(0, 5), PacketUnknown, nil},
		{"fifteen bytes", packet(1, 5)[:15], 0, ErrShort},
		{"nothing", nil, 0, ErrShort},
		{"a byte is missing", cut(packet(11, 5, data), 1), 0, ErrSize},
		{"a byte too many", append(packet(11, 5, data), 0), 0, ErrSize},
	} {
		h, blocks, err := ParsePacket(tc.p)
		if err != tc.err || err == nil && h.Kind != tc.kind || err != nil && blocks != nil {
			t.Errorf("%s: kind %d, %v; want %d, %v", tc.name, h.Kind, err, tc.kind, tc.err)
		}
		if want := map[bool]uint64{true: 1000*second + 123}[tc.kind == PacketReset]; h.Epoch != want {
			t.Errorf("%s: epoch %d", tc.name, h.Epoch)
		}
		if tc.err == nil && h.Sequence != uint32(map[bool]int{true: 1, false: 5}[strings.Contains(tc.name, "reset") || strings.Contains(tc.name, "message 1 ")]) {
			t.Errorf("%s: sequence %d", tc.name, h.Sequence)
		}
	}
	if n, err := Frame([]byte{30}); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := Frame([]byte{30, 0, 1}); n != 30 || err != nil {
		t.Error(n, err)
	}
	if _, err := Frame([]byte{15, 0}); err != ErrShort {
		t.Error(err)
	}
}

func TestUnknown(t *testing.T) {
	d, b := begun(t, Options{})
	stray := slices.Concat([]byte{4, 0, 99, 0}, []byte{4, 0, 0, 0}, []byte{4, 0, 0, 1}, []byte{4, 0, 255, 255}, make([]byte, 0))
	all := slices.Concat(stray, msg(102, 1, 5, 1, uint64(8), byte(0)), msg(356, 1, 5, 1, uint64(8), byte(0)))
	if used, n := d.Append(all, 5, 99, b); used != len(all) || n != 6 || b.N != 1 || d.c.Unknown != 5 || d.Refused() != 0 {
		t.Errorf("used %d, %d messages, %d rows, %+v", used, n, b.N, d.c.Unknown)
	}
	if got := show(b, 0); got != "5 @1000000000001 #9 delete 8" {
		t.Error(got)
	}
}

// Every code of messages 34, as DBN has it.
func TestStates(t *testing.T) {
	for code, want := range map[byte]uint16{'3': 8, '4': 8, '5': 7, '6': 10, 'A': 14, 'C': 14, 'D': 14, 'I': 6, 'G': 6, 'T': 6, 'R': 6, 'P': 1, 'B': 1, 'E': 7, 'O': 7, 'L': 7, 'X': 12, '?': 0} {
		var s tick.Status
		(&Decoder{version: V25}).state(code, '~', &s)
		if s.Action != want || s.Reason != 0 {
			t.Errorf("%c: action %d, reason %d, want %d", code, s.Action, s.Reason, want)
		}
	}
	for condition, want := range map[byte]uint16{'~': 0, ' ': 0, 0: 0, 'D': 31, 'I': 40, 'P': 30, 'M': 50, 'X': 60, '1': 120, '2': 121, '3': 122, 'A': 70, 'C': 10, 'E': 80, 'F': 90,
		'N': 100, 'O': 110, 'V': 130, '6': 0, 'S': 0, 'Z': 0} {
		if got := reasonOf(condition); got != want {
			t.Errorf("%q: reason %d, want %d", condition, got, want)
		}
		if want := condition != '~' && condition != ' ' && condition != 0; halted(condition) != want {
			t.Errorf("%q: halted %v", condition, !want)
		}
	}
}

// No scale, no price, no row: and the index is told so that its mapping can be asked for.
func TestUnmapped(t *testing.T) {
	d, b := begun(t, Options{})
	first := uint64(5)
	send := func(messages ...[]byte) {
		_, n := d.Append(slices.Concat(messages...), first, 99999, b)
		first += uint64(n)
	}
	send(msg(100, 1, 77, 1, uint64(8), 1, 1, 'B', "     ", byte(0)), msg(102, 1, 1<<20, 1, uint64(8), byte(0)), msg(32, 1, 1, 77, 1))
	if b.N != 0 || d.Refused() != 3 || d.c.Unmapped != 3 {
		t.Fatalf("%d rows, %d refused", b.N, d.Refused())
	}
	told := func() (all []uint32) {
		d.Unmapped(func(i uint32) bool { all = append(all, i); return true })
		slices.Sort(all)
		return all
	}
	if got := told(); !slices.Equal(got, []uint32{77, 1 << 20}) {
		t.Error(got)
	}
	send(mapped(77, "LATE", 7, 4), msg(100, 1, 77, 2, uint64(8), 10000, 1, 'B', "     ", byte(0)))
	if got := told(); b.N != 3 || !slices.Equal(got, []uint32{1 << 20}) {
		t.Errorf("%d rows, %d", b.N, got)
	}
	var suspects []uint32
	d.Suspects(func(i uint32) bool { suspects = append(suspects, i); return true })
	if !slices.Equal(suspects, []uint32{77}) {
		t.Errorf("suspect are %d, want 77: its first orders are lost", suspects)
	}
	for i := range uint32(5000) {
		b.Reset()
		send(msg(102, 1, 1_000_000+i, 1, uint64(8), byte(0)))
	}
	if got := told(); len(got) != maxUnmapped/4*3-1 || d.c.Forgotten == 0 {
		t.Errorf("%d are told, %d forgotten", len(got), d.c.Forgotten)
	}
	d.Start(0)
	if len(told()) != 0 {
		t.Error("Start keeps them")
	}
}

// A mapping that contradicts itself is refused, and the older one with it.
func TestBadMappings(t *testing.T) {
	d, b := begun(t, Options{})
	d.Append(slices.Concat(mapped(0, "ZERO", 7, 4), mapped(5, "FIVE", 7, 10), msg(102, 1, 5, 1, uint64(8), byte(0)), clock(7, 0)), 5, 9, b)
	if b.N != 0 || d.c.Contradict != 3 || d.c.Unmapped != 1 || d.Refused() != 4 {
		t.Errorf("%d rows, %+v contradict, %d unmapped", b.N, d.c.Contradict, d.c.Unmapped)
	}
	d.Append(slices.Concat(mapped(5, "FIVE", 7, 2), msg(100, 1, 5, 1, uint64(8), 2756, 1, 'B', "     ", byte(0))), 9, 9, b)
	if got := rows(b); len(got) != 3 || got[2] != "5 @1000000000001 #10 add 8 B 27.56 x1 firm 0" {
		t.Errorf("%q", got)
	}
}

func TestScales(t *testing.T) {
	for code, want := range []string{"4294967295.00", "429496729.50", "42949672.95", "4294967.295", "429496.7295", "42949.67295", "4294.967295", "429.4967295", "42.94967295", "4.294967295"} {
		d, b := begun(t, Options{})
		d.Append(slices.Concat(mapped(5, "FIVE", 7, byte(code)), msg(100, 1, 5, 1, uint64(8), uint32(1<<32-1), 1, 'B', "     ", byte(0))), 5, 9, b)
		if got := tick.FormatPrice(b.Price[2]); got != want {
			t.Errorf("code %d: %s, want %s", code, got, want)
		}
	}
}

func TestFarIndexes(t *testing.T) {
	d, b := begun(t, Options{})
	indexes := []uint32{maxDense - 1, maxDense, 1 << 31, 1<<32 - 1}
	for k, i := range indexes {
		b.Reset()
		d.Append(slices.Concat(mapped(i, "FAR", 8, 6), msg(100, 1, i, 1, uint64(8), 1, 1, 'B', "AB   ", byte(0)), msg(103, 1, i, 3, uint64(8), 7, 2, 1, byte(1))), 5+3*uint64(k), 9, b)
		want := []string{fmt.Sprintf("%d @2000000000001 #%d add 8 B 0.000001 x1 firm 4241", i, 6+3*k), fmt.Sprintf("%d @2000000000001 #%d exec 8 0.000002 x1 trade 7 Y", i, 7+3*k)}
		if got := showAll(b); len(got) != 4 || !slices.Equal(got[2:], want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if d.c.SymbolGaps != 4 || d.c.Doubts != 0 {
		t.Errorf("%d gaps of symbols, want 4", d.c.SymbolGaps)
	}
	var all []uint32
	d.Instruments(func(id uint32) bool { all = append(all, id); return true })
	slices.Sort(all)
	if !slices.Equal(all, append([]uint32{5, 6}, indexes...)) {
		t.Errorf("instruments %d", all)
	}
	if len(d.dense) > maxDense {
		t.Errorf("%d in the table", len(d.dense))
	}
}
