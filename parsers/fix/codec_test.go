package fix

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
)

// wire writes SOH for each bar.
func wire(s string) []byte { return []byte(strings.ReplaceAll(s, "|", "\x01")) }

// framed puts 8, 9 and 10 around what is between them.
func framed(begin, rest string) []byte {
	b := wire(fmt.Sprintf("8=%s|9=%d|%s", begin, len(rest), rest))
	return fmt.Appendf(b, "10=%03d\x01", Sum(b))
}

// The messages of the reference's section 1.1, seen on the wire.
var seen = []string{
	"8=FIX.4.2|9=67|35=A|34=1|49=PEER|52=20261123-03:24:22.486|56=GO|98=0|108=30|141=Y|10=240|",
	"8=FIXT.1.1|9=74|35=A|34=1|49=PEER|52=20261123-03:25:00.572|56=GO|98=0|108=30|141=Y|1137=9|10=122|",
	"8=FIX.4.4|9=91|35=4|34=1|43=Y|49=PEER|52=20261123-03:24:57.561|56=GO|122=20261123-03:24:57.561|36=3|123=Y|10=167|",
	"8=FIX.4.2|9=115|35=W|34=3|49=PEER|52=20261123-03:24:24.489|56=GO|55=ESZ4|262=R1|268=2|269=0|270=100.25|271=5|269=1|270=100.5|271=7|10=045|",
	"8=FIX.4.4|9=125|35=3|34=8|49=PEER|52=20261123-03:24:49.549|56=GO|45=8|58=Incorrect NumInGroup count for repeating group|371=267|372=V|373=16|10=230|",
}

func TestSeenMessages(t *testing.T) {
	for _, s := range seen {
		b := wire(s)
		skip, n, err := Frame(b, 0)
		if skip != 0 || n != len(b) || err != nil {
			t.Fatalf("%s: skip %d, length %d, %v", s, skip, n, err)
		}
		var m Message
		d := builtinFor(t, b)
		if err := m.Parse(b, d); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if err := m.Validate(Checks{}); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		var text strings.Builder
		for i, f := range m.Fields {
			fmt.Fprintf(&text, "%d=%s|", f.Tag, m.Value(i))
		}
		if text.String() != s {
			t.Errorf("fields %s\nwant   %s", text.String(), s)
		}
	}
	var m Message
	if err := m.Parse(wire(seen[3]), dictionary(t, "FIX.4.2")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range m.Entries(nil, TagNoMDEntries) {
		got = append(got, fmt.Sprintf("%s %s %s", m.In(e, TagMDEntryType), m.In(e, TagMDEntryPx), m.In(e, TagMDEntrySize)))
	}
	if want := []string{"0 100.25 5", "1 100.5 7"}; !reflect.DeepEqual(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
}

func dictionary(t testing.TB, version string) *Dictionary {
	t.Helper()
	d, err := Builtin(version)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func builtinFor(t testing.TB, b []byte) *Dictionary {
	for _, v := range Versions {
		if d := dictionary(t, v); bytes.HasPrefix(b[2:], []byte(d.BeginString+"\x01")) {
			return d
		}
	}
	t.Fatalf("no dictionary for %q", b)
	return nil
}

// scanPlain is Scan as anyone would write it: a byte at a time.
func scanPlain(b []byte, dst []Field) (n, used int, err error) {
	for used < len(b) {
		at, tag := used, uint32(0)
		for ; at < len(b) && b[at] >= '0' && b[at] <= '9' && at-used <= 8; at++ {
			tag = tag*10 + uint32(b[at]-'0')
		}
		value := at + 1
		bad := at == used || at-used > 8 || b[used] == '0' || at == len(b) || b[at] != '='
		length := -1
		if n > 0 && isLength(dst[n-1].Tag) {
			length = 0
			if bad || tag != DataTag(dst[n-1].Tag) {
				return n, used, ErrData
			}
			v, ok := Uint(b[dst[n-1].Start:dst[n-1].End])
			if !ok || v >= uint64(len(b)-value) || b[value+int(v)] != soh {
				return n, used, ErrData
			}
			length = int(v)
		}
		end := value + length
		if length < 0 {
			end = at
			for end < len(b) && b[end] != soh {
				end++
			}
			if end == len(b) {
				return n, used, ErrEnd
			}
			if bad {
				return n, used, ErrField
			}
		}
		if n == len(dst) {
			return n, used, ErrRoom
		}
		dst[n] = Field{tag, uint32(value), uint32(end)}
		n++
		used = end + 1
	}
	if n > 0 && isLength(dst[n-1].Tag) {
		return n, used, ErrData
	}
	return n, used, nil
}

// All ways of Scan say what the plain one says, of fields with their errors.
func compareScans(t *testing.T, b []byte) {
	t.Helper()
	want := make([]Field, 300)
	n, used, err := scanPlain(b, want)
	for _, way := range ways() {
		got := make([]Field, 300)
		n2, used2, err2 := scan(b, got, way)
		if n != n2 || used != used2 || !errors.Is(err2, err) || !reflect.DeepEqual(want[:n], got[:n]) {
			t.Fatalf("way %d of %q:\n%d fields, %d bytes, %v: %v\nwant %d, %d, %v: %v", way, b, n2, used2, err2, got[:n2], n, used, err, want[:n])
		}
		sum2 := byte(0)
		for _, c := range b {
			sum2 += c
		}
		if got := sum(b, way); got != sum2 {
			t.Fatalf("way %d: sum %d, want %d", way, got, sum2)
		}
	}
}

var scanSeeds = []string{
	"", "|", "=|", "1=|", "1=a", "a=1|", "01=1|", "0=1|", "+1=1|", "123456789=1|", "12345678=x|", "1=a|2", "1=a|2=b=c|3=|", "1==|", "8\xb9=1|",
	"95=3|96=a|b|10=000|", "95=3|96=ab|10=000|", "95=3|97=abc|", "95=x|96=abc|", "95=3", "95=3|", "95=99999999999999999999|96=a|", "93=1|89=||", "212=0|213=|",
}

func TestScan(t *testing.T) {
	for _, s := range append(scanSeeds, seen...) {
		b := wire(s)
		for end := range len(b) + 1 {
			compareScans(t, b[:end])
		}
	}
	for _, long := range []int{50, 63, 64, 65, 1000, 1022, 1023, 1024, 1025, 1100, 5000} { // values around the ends of blocks and chunks
		v := strings.Repeat("x", long)
		compareScans(t, wire("1="+v+"|22=y|95=3|96=|=||58="+v+"|"))
		compareScans(t, wire("1="+v+"|123="+v+"|1234567=|"))
		compareScans(t, wire("1="+v+"|123"+v+"="))
		compareScans(t, wire("95="+fmt.Sprint(long+2)+"|96="+v+"|=|10=1|"))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := make([]byte, r.IntN(300))
		for i := range b {
			b[i] = "0123456789=|\x01\x01=955896x\x80"[r.IntN(22)]
		}
		compareScans(t, b)
	}
	for range 3000 { // messages of any fields, some bytes wrong
		var b []byte
		for range r.IntN(200) {
			b = fmt.Appendf(b, "%d=%s\x01", 1+r.IntN(10)*r.IntN(1000), strings.Repeat("v", r.IntN(40)))
		}
		if len(b) > 0 && r.IntN(2) == 0 {
			b[r.IntN(len(b))] = byte(r.IntN(256))
		}
		compareScans(t, b)
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range append(scanSeeds, seen...) {
		f.Add(wire(s))
	}
	f.Fuzz(compareScans)
}

// Room that is too small is an error, and what fits is there.
func TestScanRoom(t *testing.T) {
	b := wire("1=a|95=1|96=b|" + "58=" + strings.Repeat("x", 3000) + "|2=c|")
	for room := range 5 {
		dst := make([]Field, room)
		if n, _, err := Scan(b, dst); n != room || err != ErrRoom {
			t.Errorf("room %d: %d fields, %v", room, n, err)
		}
	}
	if n, used, err := Scan(b, make([]Field, 5)); n != 5 || used != len(b) || err != nil {
		t.Errorf("%d fields, %d bytes, %v", n, used, err)
	}
}

// A message of nothing but data fields makes every chunk void; it must not take more than a chunk's time for each.
func TestScanManyData(t *testing.T) {
	b := bytes.Repeat(wire("95=1|96=||"), 100_000)
	dst := make([]Field, 200_001)
	if n, used, err := Scan(b, dst); n != 200_000 || used != len(b) || err != nil {
		t.Fatalf("%d fields, %d bytes, %v", n, used, err)
	}
}

func TestPairsAreTheDictionaries(t *testing.T) {
	for _, v := range Versions {
		d := dictionary(t, v)
		for _, f := range d.fields {
			if f == nil || f.Type != TypeData {
				continue
			}
			length := uint32(0)
			for _, p := range pairs {
				if p[1] == f.Tag {
					length = p[0]
				}
			}
			if l := d.Field(length); l == nil || !strings.HasSuffix(l.Name, "Len") && !strings.HasSuffix(l.Name, "Length") {
				t.Errorf("%s: data field %d %s has length field %d", v, f.Tag, f.Name, length)
			}
		}
	}
}

func TestStreamAtEverySplit(t *testing.T) {
	data := "8=FIX.4.4|9=48|35=A|95=9|96=a|8=FIX.4|98=0|108=1|34=1|49=A|56=B|"
	withData := wire(fmt.Sprintf("8=FIX.4.4|9=%d|%s", len(data)-len("8=FIX.4.4|9=48|"), data[len("8=FIX.4.4|9=48|"):]))
	withData = fmt.Appendf(withData, "10=%03d\x01", Sum(withData))
	var all []byte
	var want []string
	for i, s := range append(seen, string(withData)) {
		b := wire(s)
		switch i {
		case 0:
			all = append(all, "garbage"...)
		case 1:
			all = append(all, "8=\x018=FIX.4.4\x019=5"...) // a message that was cut off
		case 2:
			bad := bytes.Clone(b)
			bad[len(bad)-2]++ // sum
			all = append(all, bad...)
		case 3:
			all = append(all, wire("8=FIX.4.2|9=115|35=W|34=3|10=045|")...) // too short for its BodyLength
		case 4:
			all = append(all, wire("8=FIX.4.2|9=104857600|35=W|34=3|8=FIX.4.2|35=A|9=1|8=FIX.4.2|9=00000000067|35=A|8=FIX.NOT.A.VERSION.OF.ANYTHING|")...)
		}
		all = append(all, b...)
		want = append(want, string(b))
	}
	var first StreamCounters
	for size := 1; size <= len(all); size++ {
		s := Stream{Max: 600}
		var got []string
		for rest := all; len(rest) > 0; {
			n := min(size, len(rest))
			s.Add(rest[:n])
			rest = rest[n:]
			for m := s.Next(); m != nil; m = s.Next() {
				got = append(got, string(m))
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("pieces of %d: %q", size, got)
		}
		if size == 1 {
			first = s.Counters
			if first.TooLong != 1 || first.Garbled < 6 || first.Bytes+first.Skipped != uint64(len(all)) || len(s.Rest()) != 0 {
				t.Errorf("counters %+v, %d bytes left", first, len(s.Rest()))
			}
		}
		if s.Counters != first {
			t.Fatalf("pieces of %d: counters %+v, want %+v", size, s.Counters, first)
		}
	}
}

// Whatever a stream holds, in pieces or not, the same messages come out, each whole, and no byte is lost count of.
func FuzzStream(f *testing.F) {
	for _, s := range seen {
		f.Add(wire(s+s), 7)
		f.Add(append([]byte("8=FIX.4"), wire(s)[3:]...), 5)
		f.Add(append([]byte("\r\n"), append(wire(s), "\n\nx\n"...)...), 1)
	}
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		if size = size & 0x3FF; size == 0 {
			size = 1
		}
		whole, pieces := Stream{Max: 1000}, Stream{Max: 1000}
		whole.Add(b)
		var want, got []string
		for m := whole.Next(); m != nil; m = whole.Next() {
			want = append(want, string(m))
			if skip, n, err := Frame(m, 0); skip != 0 || n != len(m) || err != nil {
				t.Fatalf("%q is no message: %d %d %v", m, skip, n, err)
			}
		}
		for rest := b; len(rest) > 0; {
			n := min(size, len(rest))
			pieces.Add(rest[:n])
			rest = rest[n:]
			for m := pieces.Next(); m != nil; m = pieces.Next() {
				got = append(got, string(m))
			}
		}
		if !reflect.DeepEqual(want, got) || whole.Counters != pieces.Counters {
			t.Fatalf("%q: %q %+v\nwant %q %+v", b, got, pieces.Counters, want, whole.Counters)
		}
		if n := whole.Counters.Bytes + whole.Counters.Skipped + whole.Counters.LineEnds + uint64(len(whole.Rest())); n != uint64(len(b)) {
			t.Fatalf("%d bytes of %d", n, len(b))
		}
	})
}

func TestFrameErrors(t *testing.T) {
	for _, tc := range []struct {
		wire string
		skip int
		err  error
	}{
		{"8=FIX.4.2|9=1048577|", 1, ErrTooLong},
		{"8=FIX.4.2|9=104857600|35=W|", 1, ErrTooLong},
		{"8=FIX.4.2|9=5|35=0|10=161|", 0, nil},
		{"8=FIX.4.2|9=5|35=0|10=162|", 1, ErrCheckSum},
		{"8=FIX.4.2|9=5|35=0|10=16||", 1, ErrCheckSum},
		{"8=FIX.4.2|9=5|35=0|11=161|", 1, ErrLength},
		{"8=FIX.4.2|9=6|35=0|10=161|8=", 1, ErrLength},
		{"8=FIX.4.2|9=0|10=161|", 1, ErrBegin},
		{"8=FIX.4.2|9=5|34=0|10=161|", 1, ErrBegin},
		{"8=FIX.4.2|9=-5|", 1, ErrBegin},
		{"8=FIX.4.2|9=|", 1, ErrBegin},
		{"8=FIX.4.2|35=0|", 1, ErrBegin},
		{"8=FIX.4.2.4.2.4.2.4.2|", 1, ErrBegin},
		{"xx8=FIX", 2, nil},
		{"xx8=FI", 2, nil},
		{"xx8", 2, nil},
		{"x|x", 3, nil},
	} {
		skip, n, err := Frame(wire(tc.wire), 0)
		if tc.wire == "8=FIX.4.2|9=5|35=0|10=161|" {
			if n != len(tc.wire) || err != nil {
				t.Errorf("%s: %d, %v", tc.wire, n, err)
			}
			continue
		}
		if skip != tc.skip || n != 0 || err != tc.err {
			t.Errorf("%s: skip %d, length %d, %v; want skip %d, %v", tc.wire, skip, n, err, tc.skip, tc.err)
		}
	}
}

func TestDictionaries(t *testing.T) {
	for i, want := range []struct{ messages, first int }{{46, 67}, {92, 67}, {117, 67}} {
		d := dictionary(t, Versions[i])
		if d.Version != Versions[i] || len(d.messages) != want.messages {
			t.Errorf("%s: %d messages as %s, want %d", Versions[i], len(d.messages), d.Version, want.messages)
		}
		for _, typ := range []string{"0", "1", "2", "3", "4", "5", "A", "V", "W", "X", "Y", "c", "d", "e", "f"} {
			if d.Message([]byte(typ)) == nil {
				t.Errorf("%s: no message %s", d.Version, typ)
			}
		}
	}
	for _, tc := range []struct {
		version, msg      string
		count, delimiters uint32
	}{
		{"FIX.4.2", "V", 267, 269}, {"FIX.4.2", "V", 146, 55}, {"FIX.4.2", "W", 268, 269}, {"FIX.4.2", "X", 268, 279}, {"FIX.4.2", "d", 146, 311},
		{"FIX.4.4", "W", 268, 269}, {"FIX.4.4", "X", 268, 279}, {"FIX.4.4", "Y", 816, 817}, {"FIX.4.4", "y", 146, 55}, {"FIX.4.4", "d", 711, 311},
		{"FIX.5.0SP2", "V", 267, 269}, {"FIX.5.0SP2", "W", 268, 269}, {"FIX.5.0SP2", "X", 268, 279}, {"FIX.5.0SP2", "y", 146, 55}, {"FIX.5.0SP2", "d", 555, 600},
		{"FIX.5.0SP2", "d", 454, 455},
	} {
		g := dictionary(t, tc.version).Message([]byte(tc.msg)).Body.find(tc.count)
		if g == nil || g.Group == nil || g.Group.List[0].Field.Tag != tc.delimiters {
			t.Errorf("%s %s: group %d begins with %v, want %d", tc.version, tc.msg, tc.count, g, tc.delimiters)
		}
	}
	for _, bad := range []string{"", "<fix/>", "<fix><header><field name='X'/></header></fix>", "<fix><fields><field number='0' name='X' type='INT'/></fields></fix>",
		"<fix><fields><field number='1' name='X' type='NEW'/></fields></fix>", "<fix><header><component name='c'/></header><components><component name='c'><component name='c'/></component></components></fix>"} {
		if _, err := Load(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: loaded", bad)
		}
	}
	if _, err := LoadDir(os.DirFS(t.TempDir()), "FIX.4.2"); err == nil {
		t.Error("loaded from nothing")
	}
	if _, err := Builtin("FIX.9"); err == nil || !strings.Contains(err.Error(), "FIX.5.0SP2") {
		t.Error(err)
	}
}

// Each thing that may be wrong, with the reason that the reference's section 3.5 gives to it.
func TestValidate(t *testing.T) {
	const head = "34=2|49=A|52=20261123-03:24:24.489|56=B|"
	v := func(rest string) string { return "35=V|" + head + rest }
	for _, tc := range []struct {
		name, rest string
		reason     Reason
		tag        uint32
		checks     Checks
	}{
		{"good", v("262=R|263=1|264=0|265=0|267=2|269=0|269=1|146=1|55=ES|"), reasonNone, 0, Checks{}},
		{"undefined tag", v("262=R|263=1|264=0|265=0|267=1|269=0|146=1|55=ES|4999=1|"), 0, 4999, Checks{}},
		{"undefined tag allowed", v("262=R|263=1|264=0|265=0|267=1|269=0|146=1|55=ES|4999=1|"), reasonNone, 0, Checks{AllowUnknown: true}},
		{"user tag", v("262=R|263=1|264=0|265=0|267=1|269=0|146=1|55=ES|5001=1|"), 0, 5001, Checks{}},
		{"user tag allowed", v("262=R|263=1|264=0|265=0|267=1|269=0|146=1|55=ES|5001=1|"), reasonNone, 0, Checks{AllowUserTags: true}},
		{"required missing", v("262=R|264=0|267=1|269=0|146=1|55=ES|"), 1, 263, Checks{}},
		{"required of header", "35=0|34=2|49=A|52=20261123-03:24:24.489|", 1, 56, Checks{}},
		{"required in entry", "35=W|" + head + "55=ES|268=1|269=0|271=5|", 1, 270, Checks{}},
		{"of another message", v("262=R|263=1|264=0|267=1|269=0|146=1|55=ES|108=30|"), 2, 108, Checks{}},
		{"of the entry, not of the body", "35=W|" + head + "55=ES|270=1|268=1|269=0|270=1|271=5|", 2, 270, Checks{}},
		{"no value", v("262=|263=1|264=0|267=1|269=0|146=1|55=ES|"), 4, 262, Checks{}},
		{"no value allowed", v("262=|263=1|264=0|267=1|269=0|146=1|55=ES|"), reasonNone, 0, Checks{AllowEmpty: true}},
		{"not in enum", v("262=R|263=9|264=0|267=1|269=0|146=1|55=ES|"), 5, 263, Checks{}},
		{"not in enum, in a group", v("262=R|263=1|264=0|267=1|269=Q|146=1|55=ES|"), 5, 269, Checks{}},
		{"not in enum allowed", v("262=R|263=9|264=0|267=1|269=0|146=1|55=ES|"), reasonNone, 0, Checks{AllowAnyEnum: true}},
		{"format", v("262=R|263=1|264=x|267=1|269=0|146=1|55=ES|"), 6, 264, Checks{}},
		{"boolean", v("262=R|263=1|264=0|266=X|267=1|269=0|146=1|55=ES|"), 6, 266, Checks{}},
		{"type of message", "35=ZZ|" + head, 11, 0, Checks{}},
		{"twice", v("262=R|262=R|263=1|264=0|267=1|269=0|146=1|55=ES|"), 13, 262, Checks{}},
		{"twice in an entry", "35=W|" + head + "55=ES|268=1|269=0|270=1|270=2|271=5|", 13, 270, Checks{}},
		{"header behind the body", v("262=R|263=1|264=0|267=1|269=0|146=1|55=ES|50=X|"), 14, 50, Checks{}},
		{"header behind the body allowed", v("262=R|263=1|264=0|267=1|269=0|146=1|55=ES|50=X|"), reasonNone, 0, Checks{AllowDisorder: true}},
		{"entry out of order", "35=W|" + head + "55=ES|268=1|269=0|271=5|270=1|", 15, 270, Checks{}},
		{"entry out of order allowed", "35=W|" + head + "55=ES|268=1|269=0|271=5|270=1|", reasonNone, 0, Checks{AllowAnyOrder: true}},
		{"count too high", v("262=R|263=1|264=0|267=3|269=0|269=1|146=1|55=ES|"), 16, 267, Checks{}},
		{"count too low", v("262=R|263=1|264=0|267=1|269=0|269=1|146=1|55=ES|"), 16, 267, Checks{}},
		{"count beyond the message", v("262=R|263=1|264=0|267=4000000000|269=0|269=1|146=1|55=ES|"), 16, 267, Checks{}},
		{"count 0 of none", "35=W|" + head + "55=ES|268=0|", reasonNone, 0, Checks{}},
		{"count 0 of one", "35=W|" + head + "55=ES|268=0|269=0|270=1|271=5|", 16, 268, Checks{}},
		{"delimiter not first", v("262=R|263=1|264=0|267=1|269=0|146=1|48=1|55=ES|"), 16, 146, Checks{}},
		{"another delimiter", v("262=R|263=1|264=0|267=1|269=0|146=1|48=1|"), 16, 146, Checks{}},
		{"behind the trailer", v("262=R|263=1|264=0|267=1|269=0|93=1|89=x|146=1|55=ES|"), 14, 146, Checks{}},
	} {
		var m Message
		b := framed("FIX.4.2", tc.rest)
		m.Parse(b, dictionary(t, "FIX.4.2"))
		err := m.Validate(tc.checks)
		got := Fault{Reason: reasonNone}
		if err != nil {
			got = *err.(*Fault)
		}
		if got != (Fault{tc.reason, tc.tag}) {
			t.Errorf("%s: reason %d of tag %d, want %d of %d", tc.name, got.Reason, got.Tag, tc.reason, tc.tag)
		}
	}
}

func TestFaultCodes(t *testing.T) {
	f := &Fault{ReasonNumInGroup, 267}
	if _, ok := f.Code("FIX.4.2"); ok {
		t.Error("4.2 has no reason 16")
	}
	if code, ok := f.Code("FIX.4.4"); code != 16 || !ok {
		t.Error(code, ok)
	}
	if s := f.Error(); s != "fix: tag 267: incorrect NumInGroup count for repeating group" {
		t.Error(s)
	}
}

// Groups in groups, of one and of several entries, and what is in which.
func TestNestedGroups(t *testing.T) {
	b := framed("FIX.4.4", "35=y|34=2|49=A|52=20261123-03:24:24|56=B|320=Q|322=R|560=0|146=2|"+
		"55=AB|454=2|455=X1|456=4|455=X2|711=1|311=U|457=1|458=UA|459=1|15=USD|555=2|600=L1|604=1|605=A1|600=L2|"+
		"55=CD|7777=own|454=1|455=Y1|15=EUR|")
	var m Message
	if err := m.Parse(b, dictionary(t, "FIX.4.4")); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range m.Entries(nil, TagNoRelatedSym) {
		s := fmt.Sprintf("%s %s %s:", m.In(e, 55), m.In(e, 15), m.In(e, 7777))
		for _, x := range m.EntriesIn(nil, e, 454) {
			s += fmt.Sprintf(" alt %s/%s", m.In(x, 455), m.In(x, 456))
		}
		for _, x := range m.EntriesIn(nil, e, 711) {
			s += fmt.Sprintf(" underlying %s", m.In(x, 311))
			for _, y := range m.EntriesIn(nil, x, 457) {
				s += fmt.Sprintf(" (%s)", m.In(y, 458))
			}
		}
		for _, x := range m.EntriesIn(nil, e, 555) {
			s += fmt.Sprintf(" leg %s %d", m.In(x, 600), len(m.EntriesIn(nil, x, 604)))
		}
		if m.In(e, 455) != nil || m.In(e, 458) != nil {
			t.Error("a field of a group is one of the entry around it")
		}
		out = append(out, s)
	}
	want := []string{"AB USD : alt X1/4 alt X2/ underlying U (UA) leg L1 1 leg L2 0", "CD EUR own: alt Y1/"}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("%q\nwant %q", out, want)
	}
	if m.Get(55) != nil || string(m.Get(560)) != "0" {
		t.Error("a field of a group is one of the message")
	}
	if err := m.Validate(Checks{AllowUserTags: true}); err != nil {
		t.Error(err)
	}
}

// Parse and Validate take anything that frames, and give fields and entries that lie within it.
func FuzzParse(f *testing.F) {
	for _, s := range seen {
		f.Add(s[strings.Index(s, "35="):strings.Index(s, "|10=")]+"|", 0)
	}
	f.Add("35=X|34=2|49=A|52=20261123-03:24:24|56=B|268=2|279=0|269=0|278=a|55=ES|270=1|271=2|279=2|278=a|", 2)
	f.Add("35=y|34=2|49=A|52=20261123-03:24:24|56=B|320=Q|322=R|560=0|146=2|55=AB|454=2|455=X1|456=4|455=X2|711=1|311=U|457=1|458=UA|459=1|55=C|", 1)
	var m Message
	f.Fuzz(func(t *testing.T, rest string, version int) {
		d := dictionary(t, Versions[uint(version)%3])
		if err := m.Parse(framed(d.BeginString, rest), d); err != nil && m.fault.Reason == ReasonGarbled {
			return
		}
		for _, x := range m.Fields {
			if x.Start > x.End || int(x.End) >= len(m.Raw) || m.Raw[x.End] != soh {
				t.Fatalf("field %+v", x)
			}
		}
		total := 0
		for g := range m.groups {
			total += len(m.appendEntries(nil, g))
		}
		if total != len(m.entries) {
			t.Fatalf("%d entries of %d", total, len(m.entries))
		}
		if text := m.AppendJSON(nil); !json.Valid(text) {
			t.Fatalf("%s", text)
		}
		m.Validate(Checks{})
		m.Validate(Checks{AllowUnknown: true, AllowUserTags: true, AllowDisorder: true, AllowEmpty: true, AllowAnyEnum: true, AllowAnyOrder: true})
	})
}
