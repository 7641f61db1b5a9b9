package xdp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/nic/pcap"
	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

func newGen(t testing.TB, messages uint64) *xdpgen.Gen {
	t.Helper()
	g, err := xdpgen.New(xdpgen.Options{Messages: messages, Symbols: 30, Seed: 6, Version: wire.V25})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// messages are a generated session's, one behind the other.
func messages(t testing.TB, count uint64) (b []byte) {
	g := newGen(t, count)
	for ok := true; ok; {
		b, ok = g.Next(b)
	}
	return b
}

// played is a generated session's packets.
func played(t testing.TB, count uint64) (packets [][]byte) {
	t.Helper()
	g := newGen(t, count)
	err := xdp.Play(g, xdp.PlayOptions{Epoch: g.Midnight()}, func(_ uint64, p []byte, _ bool) error {
		packets = append(packets, bytes.Clone(p))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// TestPlay: the packets' rules, each looked at by itself, and that they carry every message in order.
func TestPlay(t *testing.T) {
	const count = 20_000
	g := newGen(t, count)
	var got []byte
	resets, beats, together := 0, 0, 0
	next, last, told := uint32(1), uint64(0), uint64(0)
	err := xdp.Play(g, xdp.PlayOptions{Epoch: g.Midnight(), Progress: func(n uint64) { told = n }}, func(ts uint64, p []byte, sure bool) error {
		h, blocks, err := wire.ParsePacket(p)
		if err != nil {
			return err
		}
		if whole, used := wire.Walk(blocks, int(h.Count)); whole != int(h.Count) || used != len(blocks) || len(p) > xdp.MaxPayload {
			t.Fatalf("packet %d: %d bytes, %d of %d messages", h.Sequence, len(p), whole, h.Count)
		}
		if h.SendNs() != g.Midnight()+ts || ts < last {
			t.Fatalf("packet %d at %d, sent at %d, after %d", h.Sequence, ts, h.SendNs()-g.Midnight(), last)
		}
		if resets > 0 && ts-last > 1_000_000_000+20_000 {
			t.Fatalf("packet %d: %d ns without one", h.Sequence, ts-last)
		}
		last = ts
		switch h.Kind {
		case wire.PacketHeartbeat:
			beats++
			if h.Sequence != next || resets > 0 && sure != (next == count+1) {
				t.Fatalf("heartbeat %d, want %d", h.Sequence, next)
			}
			return nil
		case wire.PacketReset:
			if h.Flag != wire.DeliveryReset || h.Sequence != 1 || h.Count != 1 || !sure {
				t.Fatalf("reset %+v", h)
			}
			if resets++; resets > 1 {
				return nil
			}
		default:
			if h.Flag != wire.DeliveryOriginal || h.Sequence != next || resets == 0 {
				t.Fatalf("packet %d, want %d: %+v", h.Sequence, next, h)
			}
			together = max(together, int(h.Count))
		}
		next = h.Sequence + uint32(h.Count)
		got = append(got, blocks...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, messages(t, count)) {
		t.Error("the packets' messages are not the session's")
	}
	if resets != 3 || beats < 1000 || together < 5 || told != count {
		t.Errorf("%d resets, %d heartbeats, at most %d messages together, %d told", resets, beats, together, told)
	}
	stop := errors.New("full")
	if err := xdp.Play(newGen(t, 2_000), xdp.PlayOptions{}, func(uint64, []byte, bool) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("send's error: %v", err)
	}
}

// TestPacker: what fits no packet is refused, and the others are whole all the same.
func TestPacker(t *testing.T) {
	for _, payload := range []int{1, xdp.MinPayload - 1, xdp.MaxPayload + 1} {
		if _, err := xdp.NewPacker(payload); err == nil {
			t.Errorf("packets of %d bytes", payload)
		}
	}
	p, err := xdp.NewPacker(xdp.MinPayload)
	if err != nil {
		t.Fatal(err)
	}
	m := make([]byte, 40)
	binary.LittleEndian.PutUint16(m, 40)
	for _, bad := range [][]byte{nil, m[:3], m[:39], append(bytes.Clone(m), 0), make([]byte, 200)} {
		if len(bad) == 200 {
			binary.LittleEndian.PutUint16(bad, 200)
		}
		if _, err := p.Add(bad, 0); err == nil {
			t.Errorf("a message of %d bytes was taken", len(bad))
		}
	}
	for i := range 3 { // 16 + 2 × 40 fit, three do not
		full, err := p.Add(m, 5e9+7)
		if err != nil || (full != nil) != (i == 2) {
			t.Fatalf("message %d: %d bytes, %v", i, len(full), err)
		}
		if full != nil && (len(full) != 96 || full[3] != 2 || binary.LittleEndian.Uint32(full[8:]) != 5 || binary.LittleEndian.Uint32(full[12:]) != 7) {
			t.Errorf("packet %x", full[:16])
		}
	}
	if p.Next() != 4 || p.Pending() != 1 {
		t.Errorf("next %d, pending %d", p.Next(), p.Pending())
	}
}

// TestCapture: both lines of a lossy capture together have what the counters say, every message that is on one of them is the session's, and
// the same options give the same file.
func TestCapture(t *testing.T) {
	const count = 20_000
	write := func(seed uint64) []byte {
		var file bytes.Buffer
		if err := xdpgen.WritePcap(&file, newGen(t, count), itchgen.Lines{Seed: seed, LossA: 500, LossB: 500}, nil); err != nil {
			t.Fatal(err)
		}
		return file.Bytes()
	}
	file := write(1)
	if !bytes.Equal(file, write(1)) || bytes.Equal(file, write(2)) {
		t.Error("the file does not hang on its seed alone")
	}
	all := map[uint64][]byte{}
	for n, b := uint64(1), messages(t, count); len(b) > 0; n++ {
		all[n], b = wire.Next(b)
	}
	r, err := pcap.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	seen := [2]map[uint64]bool{{}, {}}
	var packets [64]nic.Packet
	for err == nil {
		var n int
		n, err = r.Poll(packets[:])
		for _, p := range packets[:n] {
			line := 0
			if p.Group == xdp.GroupB {
				line = 1
			} else if p.Group != xdp.GroupA {
				t.Fatalf("group %s", p.Group)
			}
			h, blocks, err := wire.ParsePacket(p.Data)
			if err != nil {
				t.Fatal(err)
			}
			for i := range uint64(h.Count) {
				var m []byte
				m, blocks = wire.Next(blocks)
				if !bytes.Equal(m, all[uint64(h.Sequence)+i]) {
					t.Fatalf("message %d is another one", uint64(h.Sequence)+i)
				}
				seen[line][uint64(h.Sequence)+i] = true
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	both := 0
	for n := uint64(1); n <= count; n++ {
		if !seen[0][n] && !seen[1][n] {
			both++
		}
	}
	if len(seen[0]) > count*98/100 || len(seen[1]) > count*98/100 || both == 0 || both > count/50 {
		t.Errorf("%d and %d messages on the lines, %d on neither", len(seen[0]), len(seen[1]), both)
	}
}

// TestRecord: what a record refuses changes nothing, a reset begins it anew, and only the latest are kept.
func TestRecord(t *testing.T) {
	packets := played(t, 20_000)
	r := xdp.NewRecord(wire.V25, 4_000)
	for i, p := range packets {
		if i == 200 { // each of these must be refused, and change nothing
			next := r.Next()
			cut := p[:len(p)-1]
			count := bytes.Clone(p)
			count[3]++
			flag := bytes.Clone(p)
			flag[2] = wire.DeliveryRefresh
			for j, bad := range [][]byte{cut, count, flag, nil} {
				if err := r.Take(bad); err == nil {
					t.Errorf("packet %d was taken", j)
				}
			}
			if r.Take(packets[i-1]) != nil || r.Next() != next {
				t.Errorf("a packet that was there already: next %d, want %d", r.Next(), next)
			}
		}
		if err := r.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	if r.Next() != 20_001 || len(r.Symbols()) != 30 || r.Orders() != 0 || r.Message(16_000) != nil || r.Message(20_001) != nil {
		t.Errorf("next %d, %d symbols, %d orders", r.Next(), len(r.Symbols()), r.Orders())
	}
	b := messages(t, 20_000)
	for n := uint64(1); len(b) > 0; n++ {
		var m []byte
		if m, b = wire.Next(b); n > 16_000 && !bytes.Equal(r.Message(n), m) {
			t.Fatalf("message %d", n)
		}
	}
	reset := wire.AppendPacket(nil, wire.DeliveryReset, 1, 1, 0, 0, wire.AppendReset(nil, 1_900_000_000, 0, xdpgen.Product, 1))
	for range 2 {
		if err := r.Take(reset); err != nil || r.Next() != 2 || len(r.Symbols()) != 0 {
			t.Errorf("reset: %v, next %d", err, r.Next())
		}
	}
}

// TestHole: of a record that lacks numbers, those are told as unavailable, what lies around is sent, and no state is told.
func TestHole(t *testing.T) {
	r := xdp.NewRecord(wire.V25, 0)
	var lacking [2]uint64 // [first, end)
	for _, p := range played(t, 5_000) {
		h, _, _ := wire.ParsePacket(p)
		if h.Kind == wire.PacketData && h.Sequence > 2_000 && lacking[0] == 0 {
			if len(r.Symbols()) == 0 {
				t.Fatal("no state before the hole")
			}
			lacking = [2]uint64{uint64(h.Sequence), uint64(h.Sequence) + uint64(h.Count)}
			continue
		}
		if err := r.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	packets, n := r.Retransmission(uint32(lacking[0]-5), uint32(lacking[1]+4), 157, 1, xdp.MaxPayload, 0)
	if n != 10 || len(packets) != 3 || packets[1][2] != wire.DeliveryUnavailable || packets[0][2] != wire.DeliveryRetransmitPart {
		t.Fatalf("%d messages in %d packets", n, len(packets))
	}
	_, blocks, _ := wire.ParsePacket(packets[1])
	if u, _ := wire.ParseUnavailable(blocks); u != lacks(uint32(lacking[0]), uint32(lacking[1]-1))[0] {
		t.Errorf("%+v, want %d", u, lacking)
	}
	if len(r.Symbols()) != 0 || r.Refresh(1, wire.DeliveryRefresh, xdp.MaxPayload, 0) != nil {
		t.Error("a state behind the hole")
	}
}

// TestRetransmission: the messages that there are, in packets that follow the rules, and message 31 for what there is not.
func TestRetransmission(t *testing.T) {
	r := xdp.NewRecord(wire.V25, 1_000)
	for _, p := range played(t, 20_000) {
		if err := r.Take(p); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		begin, end uint32
		messages   int
		missing    []wire.Unavailable
		flag       uint8
	}{
		{19_500, 19_500, 1, nil, wire.DeliveryRetransmit},
		{19_002, 20_000, 999, nil, wire.DeliveryRetransmitPart},
		{18_990, 19_001, 1, lacks(18_990, 19_000), wire.DeliveryRetransmit},
		{20_000, 20_009, 1, lacks(20_001, 20_009), wire.DeliveryRetransmit},
		{1, 20_500, 1_000, lacks(1, 19_000, 20_001, 20_500), wire.DeliveryRetransmitPart},
		{1, 10, 0, lacks(1, 10), 0}, {20_001, 1<<32 - 1, 0, lacks(20_001, 1<<32-1), 0},
		{0, 5, 0, lacks(0, 5), 0}, {7, 5, 0, lacks(7, 5), 0},
	} {
		packets, n := r.Retransmission(tc.begin, tc.end, 157, 1, 500, 9e9)
		var missing []wire.Unavailable
		next := uint32(0)
		for _, p := range packets {
			h, blocks, err := wire.ParsePacket(p)
			if err != nil || len(p) > 500 {
				t.Fatalf("%d bytes, %v", len(p), err)
			}
			if h.Kind == wire.PacketUnavailable {
				u, _ := wire.ParseUnavailable(blocks)
				missing = append(missing, u)
				continue
			}
			if h.Flag != tc.flag || next != 0 && h.Sequence != next {
				t.Errorf("%d to %d: flag %d, message %d, want %d, %d", tc.begin, tc.end, h.Flag, h.Sequence, tc.flag, next)
			}
			for next = h.Sequence; len(blocks) > 0; next++ {
				var m []byte
				if m, blocks = wire.Next(blocks); !bytes.Equal(m, r.Message(uint64(next))) {
					t.Errorf("message %d is another one", next)
				}
			}
		}
		if n != tc.messages || len(missing) != len(tc.missing) {
			t.Errorf("%d to %d: %d messages, %v missing; want %d, %v", tc.begin, tc.end, n, missing, tc.messages, tc.missing)
			continue
		}
		for i := range missing {
			if missing[i] != tc.missing[i] {
				t.Errorf("%d to %d: %v missing, want %v", tc.begin, tc.end, missing, tc.missing)
			}
		}
	}
}

// lacks are messages 31 of ranges.
func lacks(bounds ...uint32) (all []wire.Unavailable) {
	for i := 0; i < len(bounds); i += 2 {
		all = append(all, wire.Unavailable{Begin: bounds[i], End: bounds[i+1], Product: 157, Channel: 1})
	}
	return all
}

// usable are the messages that a receiver can take of a packet, by number.
func usable(p []byte) map[uint32]string {
	got := map[uint32]string{}
	h, blocks, err := wire.ParsePacket(p)
	if err != nil || h.Kind != wire.PacketData {
		return got
	}
	for n := range uint32(h.Count) {
		var m []byte
		if m, blocks = wire.Next(blocks); m == nil {
			break
		}
		got[h.Sequence+n] = string(m)
	}
	return got
}

// TestSpoil: no spoilt packet has an altered message under a number that is near. And the line's damage says how many messages it leaves.
func TestSpoil(t *testing.T) {
	const ways = mold.CorruptHeader | mold.CorruptLength | mold.CorruptTruncate | mold.CorruptCount
	kinds := map[string]int{}
	for i, p := range played(t, 5_000) {
		right := usable(p)
		if len(right) == 0 {
			continue
		}
		for n, m := range usable(xdp.Spoil(bytes.Clone(p), uint64(i))) {
			if n < 1<<30 && right[n] != m {
				t.Fatalf("packet %d: message %d is %x, was %x", i, n, m, right[n])
			}
		}
		out, whole, poisoned := xdp.Damage(bytes.Clone(p), ways, uint64(i))
		left := usable(out)
		if len(left) != whole || poisoned {
			t.Fatalf("packet %d: %d messages are left, and it says %d", i, len(left), whole)
		}
		for n, m := range left {
			if right[n] != m {
				t.Fatalf("packet %d: message %d was altered", i, n)
			}
		}
		out, whole, poisoned = xdp.Damage(bytes.Clone(p), mold.CorruptPayload, uint64(i))
		differ := 0
		for n, m := range usable(out) {
			if right[n] != m {
				differ++
			}
		}
		if whole != len(right) || !poisoned || differ != 1 {
			t.Fatalf("packet %d: %d messages, %d altered, poisoned: %v", i, whole, differ, poisoned)
		}
		kinds["all"]++
	}
	if kinds["all"] < 50 {
		t.Errorf("%d packets", kinds["all"])
	}
}

func TestOptions(t *testing.T) {
	lo := netip.MustParseAddrPort("127.0.0.1:0")
	for _, o := range []xdp.Options{
		{}, {Source: newGen(t, 2_000), Pace: "fast"}, {Source: newGen(t, 2_000), TTL: 1}, {Source: newGen(t, 2_000), Interfaces: [2]string{"nosuch"}},
		{Source: newGen(t, 2_000), Requests: xdp.RequestOptions{Addr: netip.MustParseAddrPort("0.0.0.0:1")}},
		{Source: newGen(t, 2_000), Requests: xdp.RequestOptions{Addr: lo, PayloadBytes: 10}},
		{Source: newGen(t, 2_000), Requests: xdp.RequestOptions{Addr: lo, Sources: []string{"TOO LONG A NAME"}}},
		{Source: newGen(t, 2_000), Requests: xdp.RequestOptions{Addr: lo, Faults: xdp.Faults{LossPPM: 1_000_001}}},
		{Packets: func(*pace.Pacer, uint64, func(uint64, []byte, bool) error) error { return nil }, Failovers: []uint64{5}},
		{Source: newGen(t, 2_000), Lines: mold.LinesOptions{A: mold.Line{LossPPM: 1_000_001}}},
	} {
		if v, err := xdp.New(o); err == nil {
			v.Close()
			t.Errorf("%+v was taken", o)
		}
	}
}

// TestVenueLive: a live generator is played at its rate with stamps of its schedule, and stops when it is told to.
func TestVenueLive(t *testing.T) {
	g, err := xdpgen.New(xdpgen.Options{Live: true, Symbols: 20, Version: wire.V25})
	if err != nil {
		t.Fatal(err)
	}
	const from = 36_000_000_000_000 // ten in the morning
	o := xdp.Options{Source: xdp.Live(g, 20_000, from), Version: wire.V25, Product: xdpgen.Product, Channel: 1}
	o.Lines.A.Group, o.Lines.B.Group = netip.MustParseAddrPort("239.255.79.31:31064"), netip.MustParseAddrPort("239.255.79.32:31064")
	v, err := xdp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- v.Run(ctx) }()
	for patience := time.Now().Add(20 * time.Second); v.Record().Next() <= 10_000; time.Sleep(time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("%d messages", v.Record().Next()-1)
		}
	}
	if took := time.Since(began); took < 450*time.Millisecond {
		t.Errorf("10,000 messages of 20,000 a second in %v", took)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c := v.Counters()
	if m := v.Record().Message(2); wire.Type(m) != wire.TypeSymbolIndexMapping || c.Messages < 10_000 || c.SendFails != [2]uint64{} || c.Lines[0].Sent == 0 || c.Lines[1].Sent == 0 {
		t.Errorf("%+v; message 2 is %x", c, m)
	}
	seconds := uint64(binary.LittleEndian.Uint32(v.Record().Message(1)[4:]))
	if want := g.Midnight()/1e9 + from/1e9; seconds != want {
		t.Errorf("the reset's second is %d, want %d", seconds, want)
	}
}
