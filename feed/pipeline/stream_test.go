package pipeline

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// wordDecoder reads messages of five bytes: kind of row, instrument, order, price and size; or '!' for one that it refuses. Two rows come of a
// message of kind 'D': it is a delete and an add.
type wordDecoder struct {
	known   []uint32
	refused uint64
	started []uint64
}

func (d *wordDecoder) Append(b []byte, first uint64, most int, out *tick.Batch) (used, n int) {
	for n < most && len(b)-used >= 5 && out.N <= tick.MaxRows-2 {
		m := b[used : used+5]
		used, n = used+5, n+1
		if m[0] == '!' {
			d.refused++
			continue
		}
		if !slices.Contains(d.known, uint32(m[1])) {
			d.known = append(d.known, uint32(m[1]))
		}
		kinds := []tick.Kind{tick.KindAdd}
		if m[0] == 'D' {
			kinds = []tick.Kind{tick.KindDelete, tick.KindAdd}
		}
		for k, kind := range kinds {
			i := out.N
			out.N++
			out.Kind[i], out.Instrument[i], out.Side[i], out.OrderID[i] = kind, uint32(m[1]), tick.SideBid, uint64(m[2])
			out.Price[i], out.Size[i], out.Sequence[i], out.TsEvent[i] = int64(m[3])*tick.PriceScale, uint64(m[4]), first+uint64(n)-1, testMidnight
			out.Flags[i], out.Aux[i], out.Sub[i] = tick.FlagSnapshot, 0, 0
			if k < len(kinds)-1 {
				out.Flags[i] |= tick.FlagMore
			}
		}
	}
	return used, n
}

func (d *wordDecoder) Start(midnight uint64) { d.started = append(d.started, midnight); d.known = nil }
func (d *wordDecoder) Refused() uint64       { return d.refused }
func (d *wordDecoder) Instruments(fn func(uint32) bool) {
	for _, id := range d.known {
		if !fn(id) {
			return
		}
	}
}

// TestStreams: two channels of one lane. What befalls one, a loss, a refused message, a new session, leaves the other's books alone.
func TestStreams(t *testing.T) {
	one, two := &wordDecoder{}, &wordDecoder{}
	b := newBench(t, func(c *Config) { c.Decoder = one })
	other := b.lane.Stream(two, 9)
	at := session.Arrival{TsRecv: testMidnight + 1}
	send := func(s session.Sink, first uint64, m string) { s.Messages([]byte(m), first, len(m)/5, at) }

	send(b.lane, 1, "A\x01\x0a\x64\x05A\x02\x0b\x64\x05")
	send(other, 1, "A\x03\x0c\x64\x05")
	b.lane.EndPass()
	var channels []uint8
	for _, r := range b.raw(t) {
		channels = append(channels, r.ChannelID)
	}
	if !slices.Equal(channels, []uint8{3, 3, 9}) {
		t.Fatalf("records of channels %v", channels)
	}

	other.Gap(session.Gap{First: 2, Last: 3, State: tick.GapLost})
	if b.books.Suspect(1) || b.books.Suspect(2) || !b.books.Suspect(3) {
		t.Error("a loss on one channel makes the other's books suspect, or not its own")
	}
	send(other, 4, "A\x04\x0d\x64\x05") // met after the loss: it may have had orders before
	send(b.lane, 3, "A\x01\x0e\x63\x05")
	b.lane.EndPass()
	for _, line := range b.raw(t) {
		bad := line.Flags&tick.FlagMaybeBadBook != 0
		if line.RType == tick.RTypeMbo && bad != (line.InstrumentID == 4) {
			t.Errorf("instrument %d: flags %#x", line.InstrumentID, line.Flags)
		}
		if line.RType == tick.RTypeMbo && (line.Flags&tick.FlagSnapshot == 0 || line.Flags&tick.FlagMore != 0) {
			t.Errorf("instrument %d: the decoder's flags became %#x", line.InstrumentID, line.Flags)
		}
	}

	send(b.lane, 4, "!\x00\x00\x00\x00")
	if !b.books.Suspect(1) || !b.books.Suspect(2) {
		t.Error("a refused message leaves its channel's books trusted")
	}
	send(other, 5, "A\x05\x0f\x64\x00!\x00\x00\x00\x00") // 5 has no order, and its latest value is marked
	b.lane.EndPass()
	if v, ok := b.last.Last(2, 5); !ok || v.Flags&tick.FlagMaybeBadBook == 0 {
		t.Fatalf("instrument 5: %v %+v", ok, v)
	}
	other.SessionStart([10]byte{})
	for id := uint32(3); id <= 5; id++ {
		if v, ok := b.last.Last(2, id); !ok || v.Flags&tick.FlagMaybeBadBook != 0 || v.Levels[0] != tick.EmptyPair {
			t.Errorf("the latest value of instrument %d is the session's before: %v %+v", id, ok, v)
		}
	}
	if b.books.Suspect(3) || len(two.started) != 1 || two.started[0] != testMidnight {
		t.Errorf("after a new session: suspect %t, started %v", b.books.Suspect(3), two.started)
	}
	if b.books.Top(3).BidPx != tick.UndefPrice || b.books.Top(4).BidPx != tick.UndefPrice {
		t.Error("a new session leaves its channel's orders")
	}
	if b.books.Top(1).BidPx != 100*tick.PriceScale || b.books.Top(2).BidPx != 100*tick.PriceScale {
		t.Error("a new session of one channel takes the other's orders")
	}
	var cleared []uint32
	for _, r := range b.raw(t) {
		if r.RType == tick.RTypeMbo && r.Action == tick.ActionClear {
			cleared = append(cleared, r.InstrumentID)
		}
	}
	if !slices.Equal(cleared, []uint32{3, 4, 5}) {
		t.Errorf("R was sent for %v", cleared)
	}
}

// raw gives what the order ring has.
func (b *bench) raw(t testing.TB) (all []tick.Mbo) {
	t.Helper()
	for {
		var recs [64]tick.Mbo
		n, _, st := ringbuf.PollSlice(b.readers[ringbuf.KindMbo], recs[:])
		if n == 0 {
			if st != ringbuf.None {
				t.Fatalf("mbo ring: %v", st)
			}
			return all
		}
		all = append(all, recs[:n]...)
	}
}

// TestTimeOfSending: ts_in_delta leads back to when the venue sent a packet, where it says so, else to the event.
func TestTimeOfSending(t *testing.T) {
	b := newBench(t, nil)
	for i, sent := range []uint64{0, testMidnight + 1_000, testMidnight + 400, 0} {
		m := msg('A', 7, uint64(100*i), uint64(i+1), byte('B'), uint32(100), "AAPL    ", uint32(1_500_000))
		block := append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
		b.lane.Messages(block, uint64(i+1), 1, session.Arrival{TsRecv: testMidnight + 5_000, Sent: sent})
		b.lane.EndPass()
		var recs [4]tick.Mbo
		n, _, _ := ringbuf.PollSlice(b.readers[ringbuf.KindMbo], recs[:])
		want := sent
		if sent == 0 {
			want = testMidnight + uint64(100*i)
		}
		if n != 1 || recs[0].TsRecv-uint64(recs[0].TsInDelta) != want {
			t.Errorf("%d: %d records, %+v; want it sent at %d", i, n, recs[0], want)
		}
	}
}
