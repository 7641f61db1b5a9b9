package fix

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	qf "github.com/quickfixgo/quickfix"
)

// What is kept stays within its bounds, whatever is sent; a range ends with a message that the library fills up to, or with the range's last one.
func TestSentMessages(t *testing.T) {
	short := 0
	s := &sentMessages{begin: "FIX.4.4", most: 100, bytes: 5000, short: func() { short++ }}
	frame := func(typ string, seq, more int) []byte {
		return frameOf(fmt.Sprintf("35=%s|34=%d|49=A|56=B|58=%s|", typ, seq, bytes.Repeat([]byte{'x'}, more)))
	}
	given := func(from, to int) (seqs []int, end int) {
		t.Helper()
		for _, raw := range s.between(from, to) {
			m := qf.NewMessage()
			if err := qf.ParseMessage(m, bytes.NewBuffer(slices.Clone(raw))); err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			seq, err := m.Header.GetInt(34)
			if err != nil {
				t.Fatal(err)
			}
			if typ, _ := m.MsgType(); isAdmin(typ) {
				end = seq
			} else {
				seqs = append(seqs, seq)
			}
		}
		return seqs, end
	}
	if seqs, end := given(1, 4); len(seqs) != 0 || end != 4 || short != 0 {
		t.Errorf("of nothing: %v, end %d, short %d", seqs, end, short)
	}
	for seq := 1; seq <= 10_000; seq++ {
		typ := "X"
		if seq%10 == 0 {
			typ = "0"
		}
		s.keep(seq, frame(typ, seq, seq%7))
		if len(s.kept)-s.first > 100 || s.size > 5000 || len(s.kept) > 300 {
			t.Fatalf("%d kept, %d bytes, room for %d", len(s.kept)-s.first, s.size, len(s.kept))
		}
	}
	if seqs, end := given(9991, 10_000); fmt.Sprint(seqs) != "[9991 9992 9993 9994 9995 9996 9997 9998 9999]" || end != 10_000 || short != 0 {
		t.Errorf("%v, end %d, short %d", seqs, end, short)
	}
	if seqs, end := given(9991, 9995); len(seqs) != 5 || end != 0 || short != 0 {
		t.Errorf("%v, end %d, short %d", seqs, end, short)
	}
	if seqs, end := given(1, 9995); len(seqs) == 0 || seqs[0] <= 9900-100 || end != 0 || short != 1 {
		t.Errorf("%v, end %d, short %d", seqs, end, short)
	}
	s.keep(10_001, frame("X", 10_001, 6000)) // longer than all that may be kept
	if seqs, end := given(10_001, 10_001); len(seqs) != 0 || end != 10_001 || short != 2 || s.size != 0 {
		t.Errorf("%v, end %d, short %d, %d bytes", seqs, end, short, s.size)
	}
	s.forget(1)
	s.keep(1, frame("W", 1, 1))
	if seqs, _ := given(1, 1); len(seqs) != 1 || short != 2 {
		t.Errorf("%v, short %d", seqs, short)
	}
	s.forget(20) // a process that goes on with number 20
	if _, end := given(1, 25); end != 25 || short != 3 {
		t.Errorf("end %d, short %d", end, short)
	}
}
