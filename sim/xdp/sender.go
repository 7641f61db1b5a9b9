package xdp

import (
	"time"

	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// job is a request that was accepted; its data leaves when it is due.
type job struct {
	request wire.Request
	due     time.Time
}

const mostJobs = 1024

// send is the goroutine of both multicast channels: what was asked for, one job after the other, and a heartbeat each second.
func (s *Server) send() {
	out := outlet{s: s, random: random{s.o.Seed}}
	tick := time.NewTicker(s.o.ChannelHeartbeat)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			out.heartbeat()
		case j := <-s.jobs:
			if !out.until(j.due) {
				return
			}
			out.do(&j.request)
		}
	}
}

// outlet sends packets with faults, at a bounded pace.
type outlet struct {
	s      *Server
	random random
	free   time.Time // when the next packet may leave
	one    [1][]byte
}

// until waits; false: the server closes.
func (o *outlet) until(at time.Time) bool {
	left := time.Until(at)
	if left <= 0 {
		return true
	}
	select {
	case <-o.s.stop:
		return false
	case <-time.After(left):
		return true
	}
}

func (o *outlet) heartbeat() {
	beat := packet(wire.DeliveryHeartbeat, 0, o.s.rec.Next(), uint64(time.Now().UnixNano()), nil)
	for _, to := range []Sender{o.s.retransmission, o.s.refresh} {
		o.one[0] = beat
		if _, err := to.Send(o.one[:]); err != nil {
			o.s.c[cSendFails].Add(1)
		}
	}
}

func (o *outlet) do(r *wire.Request) {
	s, f := o.s, o.s.faults.Load()
	at := uint64(time.Now().UnixNano())
	switch r.Type {
	case wire.TypeRetransmissionReq:
		var packets [][]byte
		messages := 0
		if f.Unavailable {
			packets = [][]byte{unavailable(r.Begin, r.End, r.Product, r.Channel, at)}
		} else {
			packets, messages = s.rec.Retransmission(r.Begin, r.End, r.Product, r.Channel, s.o.PayloadBytes, at)
		}
		s.c[cRetransmitted].Add(uint64(messages))
		for _, p := range packets {
			if p[2] == wire.DeliveryUnavailable {
				s.c[cUnavailable].Add(1)
			}
		}
		o.packets(s.retransmission, packets, f.LossPPM, f)
	case wire.TypeSymbolMappingReq:
		o.packets(s.refresh, s.rec.Mappings(r.Symbol, s.o.PayloadBytes, at), f.RefreshLossPPM, f)
	case wire.TypeRefreshReq:
		if r.Symbol != 0 {
			o.refresh(r.Symbol, wire.DeliveryRefresh, f)
			return
		}
		symbols := s.rec.Symbols()
		for i, symbol := range symbols { // each as of the moment when it leaves
			flag := wire.DeliveryRefreshPart
			switch i {
			case len(symbols) - 1:
				flag = wire.DeliveryRefreshEnd
			case 0:
				flag = wire.DeliveryRefreshStart
			}
			if !o.refresh(symbol, flag, f) {
				return
			}
		}
	}
}

func (o *outlet) refresh(symbol uint32, flag uint8, f *Faults) bool {
	packets := o.s.rec.Refresh(symbol, flag, o.s.o.PayloadBytes, uint64(time.Now().UnixNano()))
	if packets != nil {
		o.s.c[cRefreshed].Add(1)
	}
	return o.packets(o.s.refresh, packets, f.RefreshLossPPM, f)
}

// packets sends with faults; false: the server closes. It draws as often whatever happens.
func (o *outlet) packets(to Sender, packets [][]byte, loss uint32, f *Faults) bool {
	for _, p := range packets {
		if !o.until(o.free) {
			return false
		}
		now := time.Now()
		o.free = maxTime(o.free, now.Add(-10*time.Millisecond)).Add(time.Second / time.Duration(o.s.o.PerSecond))
		lost, spoilt, how := o.random.in(loss), o.random.in(f.SpoilPPM), o.random.next()
		if lost {
			o.s.c[cLost].Add(1)
			continue
		}
		if spoilt {
			o.s.c[cSpoilt].Add(1)
			p = Spoil(p, how)
		}
		o.one[0] = p
		if _, err := to.Send(o.one[:]); err != nil {
			o.s.c[cSendFails].Add(1)
			continue
		}
		o.s.c[cPackets].Add(1)
	}
	return true
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
