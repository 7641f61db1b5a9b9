package moldudp64

import (
	"bytes"
	"encoding/hex"
	"testing"
)

const session = "30303030313030353942" // 000010059B

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, wire  string
		sequence    uint64
		count       uint16
		whole, used int
		err         error
	}{
		{"heartbeat", session + "0000000000000007" + "0000", 7, 0, 0, 0, nil},
		{"end of session", session + "0000000000000007" + "ffff", 7, EndOfSession, 0, 0, nil},
		{"two blocks", session + "0000000000000007" + "0002" + "0001aa" + "0002bbcc", 7, 2, 2, 7, nil},
		{"empty block has a number", session + "0000000000000007" + "0002" + "0000" + "0001aa", 7, 2, 2, 5, nil},
		{"last block cut", session + "0000000000000007" + "0002" + "0001aa" + "0002bb", 7, 2, 1, 3, nil},
		{"length cut", session + "0000000000000007" + "0002" + "0001aa" + "00", 7, 2, 1, 3, nil},
		{"count too high", session + "0000000000000007" + "0003" + "0001aa" + "0001bb", 7, 3, 2, 6, nil},
		{"trailing bytes", session + "0000000000000007" + "0001" + "0001aa" + "ffff", 7, 1, 1, 3, nil},
		{"header one byte short", session + "0000000000000007" + "00", 0, 0, 0, 0, ErrShort},
		{"nothing", "", 0, 0, 0, 0, ErrShort},
	} {
		h, blocks, err := Parse(unhex(t, tc.wire))
		if err != tc.err {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.err)
			continue
		}
		if err != nil {
			continue
		}
		count := int(h.Count)
		if h.Count == EndOfSession {
			count = 0
		}
		whole, used := Walk(blocks, count)
		if h.Sequence != tc.sequence || h.Count != tc.count || whole != tc.whole || used != tc.used || string(h.Session[:]) != "000010059B" {
			t.Errorf("%s: %+v whole %d used %d, want %d × %d, %d, %d", tc.name, h, whole, used, tc.sequence, tc.count, tc.whole, tc.used)
		}
	}
}

func TestSkip(t *testing.T) {
	blocks := unhex(t, "0001aa"+"0002bbcc"+"0000"+"0001dd")
	for n, want := range []string{"0001aa0002bbcc00000001dd", "0002bbcc00000001dd", "00000001dd", "0001dd", "", ""} {
		if got := hex.EncodeToString(Skip(blocks, n)); got != want {
			t.Errorf("Skip %d = %s, want %s", n, got, want)
		}
	}
}

func TestRequest(t *testing.T) {
	for _, tc := range []struct {
		count int
		want  string
	}{{38, "0026"}, {65_535, "fffe"}, {1 << 20, "fffe"}, {-1, "0000"}} {
		got := AppendRequest(nil, [10]byte(unhex(t, session)), 19_009_117, tc.count)
		if want := unhex(t, session+"0000000001220e5d"+tc.want); !bytes.Equal(got, want) {
			t.Errorf("%d messages: %x, want %x", tc.count, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(unhex(f, session+"0000000000000007"+"0002"+"0001aa"+"0002bbcc"))
	f.Add(unhex(f, session+"0000000000000007"+"ffff"))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, blocks, err := Parse(p)
		if err != nil {
			if len(p) >= HeaderBytes {
				t.Fatal(err)
			}
			return
		}
		whole, used := Walk(blocks, int(h.Count))
		if whole > int(h.Count) || used > len(blocks) || used < 2*whole {
			t.Fatalf("%d blocks in %d bytes of %d", whole, used, len(blocks))
		}
		// Put together again, what was whole is the same bytes.
		out := AppendHeader(nil, h)
		rest := blocks[:used]
		for range whole {
			next := Skip(rest, 1)
			message := rest[2 : len(rest)-len(next)]
			out, _ = AppendBlock(out, message)
			rest = next
		}
		if !bytes.Equal(out, p[:HeaderBytes+used]) {
			t.Fatalf("%x came back as %x", p[:HeaderBytes+used], out)
		}
	})
}
