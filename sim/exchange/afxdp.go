package exchange

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/asavie/xdp"
)

// Sizes of the transmit side. The kernel takes 32 packets a call in copy mode, whatever the ring has.
const (
	txFrames     = 1024 // chunks of packet memory
	txFrameBytes = 2048
	txRing       = 512
	txBatch      = 32
	txPatienceMs = 100 // for the driver to have sent something, when all chunks are with it
	defaultPort  = 31337
)

// transmitter hands frames to the driver, by one AF_XDP socket for each interface. No XDP program is attached: it only sends.
type transmitter struct {
	queues [2]*txQueue // of the lines; the same one twice when they share an interface
	frames [2]*frame
}

type txQueue struct {
	name   string
	socket *xdp.Socket
}

func openAFXDP(o *Options) (_ wire, err error) {
	t := &transmitter{}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	for i, name := range o.Interfaces {
		face, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("exchange: interface %s: %w", name, err)
		}
		l := o.line(i)
		port := l.Source.Port()
		if port == 0 {
			port = defaultPort
		}
		from := l.Source.Addr()
		if !from.IsValid() || from.IsUnspecified() {
			from = addressOf(face)
		}
		if t.frames[i], err = newFrame(face.HardwareAddr, netip.AddrPortFrom(from, port), l.Group, o.TTL, o.VLAN); err != nil {
			return nil, fmt.Errorf("exchange: interface %s: %w", name, err)
		}
		if most := txFrameBytes - t.frames[i].n; o.PayloadBytes > most {
			return nil, fmt.Errorf("exchange: packets of %d bytes, want at most %d with AF_XDP", o.PayloadBytes, most)
		}
		if i == 1 && o.Interfaces[0] == name {
			t.queues[1] = t.queues[0]
			continue
		}
		s, err := xdp.NewSocket(face.Index, o.Queue, &xdp.SocketOptions{
			NumFrames: txFrames, FrameSize: txFrameBytes, FillRingNumDescs: 64, CompletionRingNumDescs: txFrames, TxRingNumDescs: txRing,
		})
		if err != nil {
			return nil, fmt.Errorf("exchange: AF_XDP on %s queue %d (it takes CAP_NET_RAW, and memory that may be locked): %w", name, o.Queue, err)
		}
		t.queues[i] = &txQueue{name, s}
	}
	return t, nil
}

func (t *transmitter) send(line int, packets [][]byte) (sent int, err error) {
	q, f := t.queues[line], t.frames[line]
	for sent < len(packets) {
		n, err := q.transmit(f, packets[sent:min(len(packets), sent+txBatch)])
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// transmit sends some of the packets, at least one when there is no error.
func (q *txQueue) transmit(f *frame, packets [][]byte) (n int, err error) {
	defer func() {
		// The library panics when the kernel refuses, as it does while the link is down. The frames stay in the ring.
		if fault := recover(); fault != nil {
			err = fmt.Errorf("exchange: AF_XDP transmit on %s: %v", q.name, fault)
		}
	}()
	if done := q.socket.NumCompleted(); done > 0 {
		q.socket.Complete(done)
	}
	for waited := 0; ; waited++ {
		if free := q.socket.NumFreeTxSlots(); free > 0 {
			if descs := q.socket.GetDescs(min(len(packets), free)); len(descs) > 0 {
				for i := range descs {
					descs[i].Len = uint32(f.write(q.socket.GetFrame(descs[i]), packets[i]))
				}
				return q.socket.Transmit(descs), nil
			}
		}
		if waited == txPatienceMs {
			return 0, fmt.Errorf("exchange: AF_XDP transmit on %s: the driver has sent nothing for %d ms", q.name, txPatienceMs)
		}
		if _, _, err := q.socket.Poll(1); err != nil {
			return 0, fmt.Errorf("exchange: AF_XDP transmit on %s: %w", q.name, err)
		}
	}
}

func (t *transmitter) close() error {
	var errs []error
	for i, q := range t.queues {
		if q == nil || i == 1 && q == t.queues[0] {
			continue
		}
		for range txPatienceMs { // what the driver still has
			if q.socket.NumTransmitted() == 0 {
				break
			}
			if _, _, err := q.socket.Poll(1); err != nil {
				break
			}
		}
		errs = append(errs, q.socket.Close())
	}
	return errors.Join(errs...)
}
