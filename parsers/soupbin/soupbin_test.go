package soupbin

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const (
	login3   = "\x00\x2fL" + "user  " + "secret    " + "        AB" + "                   1"
	login4   = "\x00\x34L" + "user  " + "secret    " + "        AB" + "                   1" + "15000"
	accepted = "\x00\x1fA      S-01                  42"
	rejected = "\x00\x02JA"
	snapEnd  = "\x00\x16SG            14700001"
)

// TestSplit: each kind of packet, then with its last byte missing, then two of them joined.
func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		name, wire string
		typ        byte
		payload    int
	}{
		{"login, 3.00", login3, LoginRequest, 46},
		{"login, 4.x", login4, LoginRequest, 51},
		{"accepted", accepted, LoginAccepted, 30},
		{"rejected", rejected, LoginRejected, 1},
		{"sequenced", "\x00\x04Sabc", Sequenced, 3},
		{"sequenced, empty", "\x00\x01S", Sequenced, 0},
		{"unsequenced", "\x00\x02Ux", Unsequenced, 1},
		{"debug", "\x00\x06+hello", Debug, 5},
		{"server heartbeat", "\x00\x01H", ServerHeartbeat, 0},
		{"client heartbeat", "\x00\x01R", ClientHeartbeat, 0},
		{"end of session", "\x00\x01Z", EndOfSession, 0},
		{"logout", "\x00\x01O", Logout, 0},
		{"longest", "\xff\xffS" + strings.Repeat("x", MaxPayload), Sequenced, MaxPayload},
	} {
		p, used, err := Split([]byte(tc.wire))
		if err != nil || used != len(tc.wire) || p.Type != tc.typ || len(p.Payload) != tc.payload {
			t.Errorf("%s: type %q, %d bytes of payload, used %d: %v", tc.name, p.Type, len(p.Payload), used, err)
		}
		for short := range min(len(tc.wire), 100) {
			if _, used, err := Split([]byte(tc.wire[:short])); used != 0 || err != nil {
				t.Errorf("%s, %d bytes: used %d: %v", tc.name, short, used, err)
			}
		}
		if _, used, err := Split([]byte(tc.wire + "\x00\x01H")); used != len(tc.wire) || err != nil {
			t.Errorf("%s, joined: used %d: %v", tc.name, used, err)
		}
		again, ok := AppendPacket(nil, p.Type, p.Payload)
		if !ok || string(again) != tc.wire {
			t.Errorf("%s: put together again it is %q", tc.name, again)
		}
	}
	if _, _, err := Split([]byte("\x00\x00S")); !errors.Is(err, ErrEmpty) {
		t.Errorf("length 0: %v", err)
	}
	if out, ok := AppendPacket([]byte("x"), Sequenced, make([]byte, MaxPayload+1)); ok || string(out) != "x" {
		t.Errorf("a payload too long: %v, %d bytes", ok, len(out))
	}
}

func TestLogin(t *testing.T) {
	for _, tc := range []struct {
		name, payload string
		want          Login
		err           error
	}{
		{"3.00", login3[3:], Login{User: "user", Password: "secret", Session: "AB", Sequence: 1}, nil},
		{"4.x", login4[3:], Login{User: "user", Password: "secret", Session: "AB", Sequence: 1, HeartbeatTimeoutMs: 15000}, nil},
		{"padded the other way", "  user    secretAB        1                   ", Login{User: "user", Password: "secret", Session: "AB", Sequence: 1}, nil},
		{"greatest number", "user  secret              18446744073709551615", Login{User: "user", Password: "secret", Sequence: 1<<64 - 1}, nil},
		{"number too great", "user  secret              " + "18446744073709551616", Login{}, ErrNumber},
		{"no number", "user  secret                                  ", Login{}, ErrNumber},
		{"a sign is no digit", "user  secret                                +1", Login{}, ErrNumber},
		{"timeout blank", login3[3:] + "     ", Login{User: "user", Password: "secret", Session: "AB", Sequence: 1}, nil},
		{"timeout no number", login3[3:] + "  x  ", Login{}, ErrNumber},
		{"one byte short", login3[3 : len(login3)-1], Login{}, ErrLength},
		{"4.x, one byte short", login4[3 : len(login4)-1], Login{}, ErrLength},
		{"one byte long", login4[3:] + " ", Login{}, ErrLength},
		{"nothing", "", Login{}, ErrLength},
	} {
		got, err := ParseLogin([]byte(tc.payload))
		if !errors.Is(err, tc.err) || err == nil && got != tc.want {
			t.Errorf("%s: %+v, %v, want %+v, %v", tc.name, got, err, tc.want, tc.err)
		}
	}
	for wire, l := range map[string]Login{
		login3: {User: "user", Password: "secret", Session: "AB", Sequence: 1},
		login4: {User: "user", Password: "secret", Session: "AB", Sequence: 1, HeartbeatTimeoutMs: 15000},
	} {
		if got, err := AppendLogin(nil, &l); err != nil || string(got) != wire {
			t.Errorf("%+v became %q: %v", l, got, err)
		}
	}
	for _, l := range []Login{{User: "sevensx"}, {Password: "hunter2-hunter2"}, {Session: "12345678901"}, {HeartbeatTimeoutMs: 100_000}} {
		got, err := AppendLogin([]byte("x"), &l)
		if !errors.Is(err, ErrTooLong) || string(got) != "x" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %q, %v", l, got, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, payload string
		want          Accepted
		err           error
	}{
		{"accepted", accepted[3:], Accepted{"S-01", 42}, nil},
		{"padded the other way", "S-01      42                  ", Accepted{"S-01", 42}, nil},
		{"one byte short", accepted[3 : len(accepted)-1], Accepted{}, ErrLength},
		{"one byte long", accepted[3:] + " ", Accepted{}, ErrLength},
		{"no number", "S-01                          ", Accepted{}, ErrNumber},
	} {
		got, err := ParseAccepted([]byte(tc.payload))
		if !errors.Is(err, tc.err) || err == nil && got != tc.want {
			t.Errorf("%s: %+v, %v", tc.name, got, err)
		}
	}
	if got, err := AppendAccepted(nil, Accepted{"S-01", 42}); err != nil || string(got) != accepted {
		t.Errorf("accepted became %q: %v", got, err)
	}
	if _, err := AppendAccepted(nil, Accepted{"12345678901", 42}); !errors.Is(err, ErrTooLong) {
		t.Errorf("a session too long: %v", err)
	}
	if got := AppendRejected(nil, NotAuthorised); string(got) != rejected {
		t.Errorf("rejected became %q", got)
	}
	if reason, err := ParseRejected([]byte("S")); reason != SessionNotAvailable || err != nil {
		t.Errorf("reason %q: %v", reason, err)
	}
	for _, payload := range []string{"", "AB"} {
		if _, err := ParseRejected([]byte(payload)); !errors.Is(err, ErrReason) {
			t.Errorf("reason %q: %v", payload, err)
		}
	}
}

func TestSnapshotEnd(t *testing.T) {
	for _, tc := range []struct {
		name, message string
		next          uint64
		err           error
	}{
		{"padded left", snapEnd[3:], 14700001, nil},
		{"padded right", "G14700001            ", 14700001, nil},
		{"extended", snapEnd[3:] + "more", 14700001, nil},
		{"one byte short", snapEnd[3 : len(snapEnd)-1], 0, ErrLength},
		{"another type", "A" + snapEnd[4:], 0, ErrLength},
		{"no number", "G                    ", 0, ErrNumber},
		{"nothing", "", 0, ErrLength},
	} {
		if next, err := ParseSnapshotEnd([]byte(tc.message)); next != tc.next || !errors.Is(err, tc.err) {
			t.Errorf("%s: %d, %v", tc.name, next, err)
		}
	}
	if got := AppendSnapshotEnd([]byte("\x00\x16S"), 14700001); string(got) != snapEnd {
		t.Errorf("%q", got)
	}
}

// FuzzSplit: any stream is packets, an unfinished packet, or an error; cut in two it gives the same packets; what parses comes out again
// as it went in, padding apart.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{login3 + accepted, login4 + rejected, snapEnd + "\x00\x01H", "\x00\x00"} {
		f.Add([]byte(s), 7)
	}
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		rest, n := b, 0
		for {
			p, used, err := Split(rest)
			if used == 0 || err != nil {
				break
			}
			if again, ok := AppendPacket(nil, p.Type, p.Payload); !ok || !bytes.Equal(again, rest[:used]) {
				t.Fatalf("%q became %q", rest[:used], again)
			}
			check(t, p.Payload)
			rest, n = rest[used:], n+1
		}
		at = max(0, min(at, len(b)))
		var buf []byte
		for _, part := range [][]byte{b[:at], b[at:]} {
			for buf = append(buf, part...); ; n-- {
				_, used, err := Split(buf)
				if used == 0 || err != nil {
					break
				}
				buf = buf[used:]
			}
		}
		if n != 0 || !bytes.Equal(buf, rest) {
			t.Fatalf("cut at %d: %d packets more, rest %q instead of %q", at, n, buf, rest)
		}
	})
}

func check(t *testing.T, payload []byte) {
	if l, err := ParseLogin(payload); err == nil {
		b, err := AppendLogin(nil, &l)
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		if again, err := ParseLogin(b[HeaderBytes:]); err != nil || again != l {
			t.Fatalf("%+v became %+v: %v", l, again, err)
		}
	}
	if a, err := ParseAccepted(payload); err == nil {
		b, err := AppendAccepted(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseAccepted(b[HeaderBytes:]); err != nil || again != a {
			t.Fatalf("%+v became %+v: %v", a, again, err)
		}
	}
	if next, err := ParseSnapshotEnd(payload); err == nil {
		if again, err := ParseSnapshotEnd(AppendSnapshotEnd(nil, next)); err != nil || again != next {
			t.Fatalf("%d became %d: %v", next, again, err)
		}
	}
	_, _ = ParseRejected(payload)
}
