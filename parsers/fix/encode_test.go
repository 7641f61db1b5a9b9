package fix

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

var sessions = []struct {
	version string
	Header
}{
	{"FIX.4.2", Header{BeginString: "FIX.4.2", SenderCompID: "A", TargetCompID: "B", MsgSeqNum: 7, SendingTime: 1795404264_489000000, Digits: 3}},
	{"FIX.4.4", Header{BeginString: "FIX.4.4", SenderCompID: "A", TargetCompID: "B", MsgSeqNum: 1 << 40, SendingTime: 1795404264_489000000, Digits: 0, PossDup: true, OrigSendingTime: 1795404263_000000000}},
	{"FIX.5.0SP2", Header{BeginString: "FIXT.1.1", SenderCompID: "A", TargetCompID: "B", MsgSeqNum: 7, SendingTime: 1795404264_489123456, Digits: 9, ApplVerID: "9"}},
}

// built frames, parses, and is valid by its dictionary as strictly as can be.
func built(t *testing.T, raw []byte, version string, c Checks) *Message {
	t.Helper()
	if skip, n, err := Frame(raw, 0); skip != 0 || n != len(raw) || err != nil {
		t.Fatalf("%q: skip %d, length %d of %d, %v", raw, skip, n, len(raw), err)
	}
	m := new(Message)
	if err := m.Parse(raw, dictionary(t, version)); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	if err := m.Validate(c); err != nil {
		t.Errorf("%q: %v", raw, err)
	}
	return m
}

// The messages of the reference's section 1.1 come out of the builder as they were seen.
func TestBuilderWritesSeenMessages(t *testing.T) {
	var b Builder
	at := func(s string) uint64 { ns, _ := Timestamp([]byte(s)); return ns }
	h := Header{BeginString: "FIX.4.2", SenderCompID: "PEER", TargetCompID: "GO", MsgSeqNum: 1, SendingTime: at("20261123-03:24:22.486"), Digits: 3}
	b.Begin(h, "A").Int(TagEncryptMethod, 0).Int(TagHeartBtInt, 30).Bool(TagResetSeqNumFlag, true)
	if got := b.End(); !bytes.Equal(got, wire(seen[0])) {
		t.Errorf("%q", got)
	}
	h = Header{BeginString: "FIX.4.4", SenderCompID: "PEER", TargetCompID: "GO", MsgSeqNum: 1, SendingTime: at("20261123-03:24:57.561"), Digits: 3,
		PossDup: true, OrigSendingTime: at("20261123-03:24:57.561")}
	b.Begin(h, "4").Int(TagNewSeqNo, 3).Bool(TagGapFillFlag, true)
	if got := b.End(); !bytes.Equal(got, wire(seen[2])) {
		t.Errorf("%q", got)
	}
	h = Header{BeginString: "FIX.4.2", SenderCompID: "PEER", TargetCompID: "GO", MsgSeqNum: 3, SendingTime: at("20261123-03:24:24.489"), Digits: 3}
	b.Begin(h, "W").String(TagSymbol, "ESZ4").String(TagMDReqID, "R1").Int(TagNoMDEntries, 2)
	b.Char(TagMDEntryType, '0').Price(TagMDEntryPx, 100_250_000_000).Size(TagMDEntrySize, 5, 0)
	b.Char(TagMDEntryType, '1').Price(TagMDEntryPx, 100_500_000_000).Size(TagMDEntrySize, 7, 0)
	if got := b.End(); !bytes.Equal(got, wire(seen[3])) {
		t.Errorf("%q", got)
	}
}

// Whatever is written is read as the same: admin messages, requests and answers, in all versions.
func TestMessagesRoundTrip(t *testing.T) {
	es := Instrument{Symbol: []byte("ES"), SecurityID: []byte("123"), IDSource: []byte("8"), MaturityMonth: []byte("202412"), Exchange: []byte("XCME")}
	for _, s := range sessions {
		var b Builder
		admin := []func(){
			func() { b.Begin(s.Header, "0").String(TagTestReqID, "T") },
			func() { b.Begin(s.Header, "1").String(TagTestReqID, "T") },
			func() { b.Begin(s.Header, "2").Uint(TagBeginSeqNo, 1).Uint(TagEndSeqNo, 0) },
			func() { b.Begin(s.Header, "3").Uint(TagRefSeqNum, 1).String(TagText, "a\x01b") },
			func() { b.Begin(s.Header, "4").Uint(TagNewSeqNo, 9) },
			func() { b.Begin(s.Header, "5").String(TagText, "bye") },
			func() {
				b.Begin(s.Header, "A").Int(TagEncryptMethod, 0).Int(TagHeartBtInt, 30).Data(TagRawDataLength, []byte("x\x0110=000\x01"))
				if s.BeginString == "FIXT.1.1" {
					b.String(TagDefaultApplVerID, "9")
				}
			},
		}
		for _, f := range admin {
			f()
			m := built(t, b.End(), s.version, Checks{})
			if v, ok := Uint(m.Get(TagMsgSeqNum)); !ok || v != s.MsgSeqNum {
				t.Errorf("number %d", v)
			}
			if v := m.Get(TagText); v != nil && bytes.IndexByte(v, soh) >= 0 {
				t.Errorf("text %q", v)
			}
			if v := m.Get(TagRawData); v != nil && string(v) != "x\x0110=000\x01" {
				t.Errorf("data %q", v)
			}
		}

		request := MDRequest{ReqID: []byte("R"), Subscription: '1', Depth: 5, UpdateType: '1', Aggregated: 'N', EntryTypes: []byte("012"), Instruments: []Instrument{es, {Symbol: []byte("NQ")}},
			ImplicitDelete: s.version != "FIX.4.2"}
		request.Append(b.Begin(s.Header, "V"))
		same(t, s.version, &request, new(MDRequest), built(t, b.End(), s.version, Checks{}))

		reject := MDReject{ReqID: []byte("R"), Reason: '8', Text: []byte("no")}
		reject.Append(b.Begin(s.Header, "Y"))
		same(t, s.version, &reject, new(MDReject), built(t, b.End(), s.version, Checks{}))

		for _, typ := range "xce" {
			if typ == 'x' && s.version == "FIX.4.2" {
				continue
			}
			r := SecurityRequest{MsgType: byte(typ), ReqID: []byte("Q"), Kind: 1, Instrument: es, Subscription: '1'}
			if typ == 'e' {
				r.Kind = 0
			}
			if typ == 'c' && s.version != "FIX.5.0SP2" {
				r.Subscription = 0
			}
			r.Append(b.Begin(s.Header, string(typ)))
			same(t, s.version, &r, new(SecurityRequest), built(t, b.End(), s.version, Checks{}))
		}

		none := Security{Multiplier: tick.UndefPrice, StrikePrice: tick.UndefPrice, MinPriceIncrement: tick.UndefPrice, RoundLot: -1, MinTradeVol: -1, MaxTradeVol: -1}
		full := none
		full.Instrument, full.Type, full.Currency, full.Multiplier = es, []byte("FUT"), []byte("USD"), 50_000_000_000
		for _, typ := range "dy" {
			l := SecurityList{MsgType: byte(typ), ReqID: []byte("Q"), ResponseID: []byte("P"), Result: '1', Securities: []Security{full}}
			if typ == 'y' {
				if s.version == "FIX.4.2" {
					continue
				}
				other := none
				other.Symbol, other.RoundLot = []byte("NQ"), 100
				l.Securities, l.Last, l.Total = append(l.Securities, other), 'Y', 2
			}
			l.Append(b.Begin(s.Header, string(typ)))
			checks := Checks{AllowAnyOrder: true}
			if typ == 'd' && s.version == "FIX.4.2" {
				checks.AllowUnknown, checks.AllowEmpty = true, true
				b.Int(TagTotNoRelatedSym, 1)
				l.Total = 1
			}
			if s.version != "FIX.5.0SP2" {
				checks.AllowUnknown = true // 323 or 969 of a later one
			}
			same(t, s.version, &l, new(SecurityList), built(t, b.End(), s.version, checks))
		}

		if s.version == "FIX.5.0SP2" {
			for _, typ := range []string{"BK", "BP"} {
				l := SecurityList{MsgType: 'd', Report: true, Action: 'M', ReqID: []byte("Q"), ResponseID: []byte("P"), Result: '1', Securities: []Security{full}}
				if typ == "BK" {
					gone := none
					gone.Symbol, gone.Action = []byte("NQ"), 'D'
					l.MsgType, l.Securities = 'y', append(l.Securities, gone)
				}
				l.Append(b.Begin(s.Header, typ))
				same(t, s.version, &l, new(SecurityList), built(t, b.End(), s.version, Checks{AllowAnyOrder: true}))
			}
		}

		status := SecurityStatus{Instrument: es, ReqID: []byte("S"), Status: 2, Halt: []byte{map[bool]byte{true: '4', false: 'P'}[s.version == "FIX.5.0SP2"]}, Time: 1795404264_489123456, Text: []byte("halted")}
		if s.version == "FIX.4.2" {
			status.Text = nil
		}
		status.Append(b.Begin(s.Header, "f"))
		same(t, s.version, &status, new(SecurityStatus), built(t, b.End(), s.version, Checks{}))
	}
}

func same(t *testing.T, version string, want any, into interface{ Decode(m *Message) error }, m *Message) {
	t.Helper()
	if err := into.Decode(m); err != nil {
		t.Errorf("%s %T: %v", version, into, err)
		return
	}
	if got, want := fmt.Sprintf("%+v", reflect.ValueOf(into).Elem()), fmt.Sprintf("%+v", reflect.ValueOf(want).Elem()); got != want {
		t.Errorf("%s %T:\n%s\nwant\n%s", version, into, got, want)
	}
}

// Market data of every sort, written and read again, in all versions: nothing is changed by the way.
func TestMarketDataRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 3000 {
		s := sessions[n%len(sessions)]
		want := MarketData{MsgType: "WX"[n%2], ReqID: []byte("R"), SendingTime: s.SendingTime, SizeDecimals: r.IntN(4)}
		if s.Digits == 0 {
			want.SendingTime = want.SendingTime / 1e9 * 1e9
		}
		if s.Digits == 3 {
			want.SendingTime = want.SendingTime / 1e6 * 1e6
		}
		if s.version == "FIX.5.0SP2" {
			want.BookType = "\x00123"[r.IntN(4)]
		}
		for i := range 1 + r.IntN(3) {
			want.Instruments = append(want.Instruments, Instrument{Symbol: fmt.Appendf(nil, "S%d", i)})
		}
		if want.MsgType == 'W' {
			want.Instruments = want.Instruments[:1]
		}
		named := map[int]bool{}
		for i := range 1 + r.IntN(6) {
			e := MDEntry{Action: ActionNew, Type: "0123456789"[r.IntN(10)], Price: tick.UndefPrice}
			if want.MsgType == 'X' {
				e.Action = "012"[r.IntN(3)]
				e.Instrument = r.IntN(len(want.Instruments))
				if i > 0 && r.IntN(2) == 0 {
					e.Instrument = want.Entries[i-1].Instrument
				}
				if r.IntN(2) == 0 {
					e.ID = fmt.Appendf(nil, "id-%d", r.IntN(1000))
				}
			}
			if r.IntN(5) > 0 {
				e.Price = r.Int64N(1<<uint(1+r.IntN(62))) - r.Int64N(1<<uint(1+r.IntN(62)))
			}
			if r.IntN(5) > 0 {
				e.Has, e.Size = e.Has|HasSize, r.Uint64N(1<<uint(1+r.IntN(60)))
			}
			if r.IntN(3) == 0 {
				e.Has, e.Time = e.Has|HasTime, r.Uint64N(2e18)
			}
			if r.IntN(3) == 0 {
				e.Level, e.Orders = 1+uint32(r.IntN(10)), 1+uint32(r.IntN(10))
			}
			named[e.Instrument] = true
			want.Entries = append(want.Entries, e)
		}
		var b Builder
		want.Append(b.Begin(s.Header, string(want.MsgType)), 9)
		var m Message
		raw := b.End()
		if err := m.Parse(raw, dictionary(t, s.version)); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		got := MarketData{SizeDecimals: want.SizeDecimals}
		if err := got.Decode(&m); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		for i := range want.Entries {
			g, w := got.Entries[i], want.Entries[i]
			g.Has &= HasSize | HasTime
			g.date = 0
			if string(got.Instruments[g.Instrument].Symbol) != string(want.Instruments[w.Instrument].Symbol) {
				t.Fatalf("%q: entry %d is of %s", raw, i, got.Instruments[g.Instrument].Symbol)
			}
			g.Instrument = w.Instrument
			if !reflect.DeepEqual(g, w) {
				t.Fatalf("%q: entry %d\n%+v\nwant\n%+v", raw, i, g, w)
			}
		}
		if got.SendingTime != want.SendingTime || got.BookType != want.BookType || string(got.ReqID) != "R" || len(got.Entries) != len(want.Entries) {
			t.Fatalf("%q: %+v", raw, got)
		}
	}
}

func TestPrices(t *testing.T) {
	for _, tc := range []struct {
		text string
		want int64
		err  error
	}{
		{"0", 0, nil}, {"1", 1e9, nil}, {"-1.5", -15e8, nil}, {"100.25", 100_250_000_000, nil}, {"0.000000001", 1, nil}, {".5", 5e8, nil}, {"5.", 5e9, nil},
		{"007.10", 71e8, nil}, {"1.0000000000000", 1e9, nil}, {"1.0000000001", 0, ErrDigits}, {"9223372036.854775806", math.MaxInt64 - 1, nil},
		{"9223372036.854775807", 0, ErrRange}, {"-9223372036.854775808", math.MinInt64, nil}, {"-9223372036.854775809", 0, ErrRange}, {"9223372037", 0, ErrRange},
		{"99999999999999999999999", 0, ErrRange}, {"", 0, ErrNumber}, {"-", 0, ErrNumber}, {".", 0, ErrNumber}, {"-.", 0, ErrNumber}, {"+1", 0, ErrNumber}, {"1e5", 0, ErrNumber},
		{"1.2.3", 0, ErrNumber}, {" 1", 0, ErrNumber}, {"1,5", 0, ErrNumber}, {"--1", 0, ErrNumber}, {"0x1", 0, ErrNumber}, {"NaN", 0, ErrNumber}, {"1.00000000000x", 0, ErrNumber},
	} {
		got, err := Price([]byte(tc.text))
		if got != tc.want || err != tc.err {
			t.Errorf("%q: %d, %v; want %d, %v", tc.text, got, err, tc.want, tc.err)
		}
	}
	for _, tc := range []struct {
		text     string
		decimals int
		want     uint64
		err      error
	}{
		{"5", 0, 5, nil}, {"5.00", 0, 5, nil}, {"5.5", 0, 0, ErrDigits}, {"5.5", 2, 550, nil}, {"-5", 0, 5, ErrNegative}, {"-0", 0, 0, nil},
		{"18446744073709551590", 0, 18446744073709551590, nil}, {"18446744073709551616", 0, 0, ErrRange}, {"1844674407370955160", 0, 1844674407370955160, nil}, {"5", 18, 5e18, nil}, {"20", 18, 0, ErrRange},
	} {
		if got, err := Size([]byte(tc.text), tc.decimals); got != tc.want && err == nil || err != tc.err {
			t.Errorf("%q: %d, %v; want %d, %v", tc.text, got, err, tc.want, tc.err)
		}
	}
}

func TestTimestamps(t *testing.T) {
	for _, ns := range []uint64{0, 1, 951782400_000000000, 951868800_000000000, 1795404264_489000000, 4102444799_999999999, 7258118400_000000000, 13569465599_123456789} {
		for _, digits := range []int{0, 3, 6, 9} {
			text := AppendTimestamp(nil, ns, digits)
			unit := uint64(math.Pow10(9 - digits))
			if got, ok := Timestamp(text); !ok || got != ns/unit*unit {
				t.Errorf("%d as %s is %d", ns, text, got)
			}
		}
	}
	for _, s := range []string{"", "20261123", "20261123-03:24", "20261123 03:24:24", "20261323-03:24:24", "20260229-03:24:24", "20261123-24:00:00", "20261123-23:60:00", "20261123-23:59:61",
		"20261123-03:24:24.", "20261123-03:24:24.x", "20261123-03:24:24.0000000000000", "19691231-00:00:00", "99991231-00:00:00", "2026112:-03:24:24"} {
		if _, ok := Timestamp([]byte(s)); ok {
			t.Errorf("%q is a time", s)
		}
	}
	if ns, ok := Timestamp([]byte("20240229-23:59:59.123456789012")); !ok || ns != 1709251199_123456789 {
		t.Error(ns, ok)
	}
}
