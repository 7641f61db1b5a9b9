package exchange

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// Sizes of the transmit side. The kernel takes 32 packets a call in copy mode, whatever the ring has.
const (
	txFrames     = 1024 // chunks of packet memory
	txFrameBytes = 2048
	txRing       = 512
	txBatch      = 32
	txPatienceMs = 100 // for the driver to have sent something, when all chunks are with it
	defaultPort  = 31337
	freeing      = 2 * time.Second // for the kernel to free a queue
)

// transmitter hands frames to the driver, by one AF_XDP socket for each interface. No XDP program is attached: it only sends.
type transmitter struct {
	queues [2]*txQueue // of the lines; the same one twice when they share an interface
	frames [2]*frame
}

type txQueue struct {
	name   string
	socket *xdp.Socket
	stuck  bool // the driver has sent nothing for long: nobody waits for it any more
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
		if t.queues[i], err = openQueue(face, o.Queue); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// openQueue binds a socket. The kernel frees the queue of a socket just closed a moment later: that is waited for.
func openQueue(face *net.Interface, queue int) (*txQueue, error) {
	for end := time.Now().Add(freeing); ; time.Sleep(10 * time.Millisecond) {
		s, err := xdp.NewSocket(face.Index, queue, &xdp.SocketOptions{
			NumFrames: txFrames, FrameSize: txFrameBytes, CompletionRingNumDescs: txFrames, TxRingNumDescs: txRing,
			FillRingNumDescs: 64, RxRingNumDescs: 64, // never used; the library's Poll looks at them
		})
		if err == nil {
			return &txQueue{name: face.Name, socket: s}, nil
		}
		// The library's errors are text.
		if !strings.Contains(err.Error(), unix.EBUSY.Error()) || time.Now().After(end) {
			return nil, fmt.Errorf("exchange: AF_XDP on %s queue %d (it takes CAP_NET_RAW, and a queue that no other socket has): %w", face.Name, queue, err)
		}
	}
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
		q.stuck = false
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
		if waited == txPatienceMs || waited == 1 && q.stuck {
			q.stuck = true
			return 0, fmt.Errorf("exchange: AF_XDP transmit on %s: the driver has sent nothing for %d ms", q.name, txPatienceMs)
		}
		wait := 1
		if q.stuck {
			wait = 0
		}
		if _, _, err := q.socket.Poll(wait); err != nil {
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
		errs = append(errs, q.close())
	}
	return errors.Join(errs...)
}

// close also unmaps the socket's rings, which the library forgets: as long as they are mapped the queue stays taken.
func (q *txQueue) close() error {
	var st unix.Stat_t
	if err := unix.Fstat(q.socket.FD(), &st); err != nil {
		return errors.Join(fmt.Errorf("exchange: AF_XDP on %s: %w", q.name, err), q.socket.Close())
	}
	err := q.socket.Close()
	maps, readErr := os.ReadFile("/proc/self/maps")
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return errors.Join(err, unmap(string(maps), fmt.Sprintf("socket:[%d]", st.Ino)))
}

// unmap unmaps what /proc/self/maps says is mapped of a file.
func unmap(maps, name string) error {
	var errs []error
	for line := range strings.Lines(maps) {
		if strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]) != name {
			continue
		}
		var from, to uintptr
		if _, err := fmt.Sscanf(line, "%x-%x ", &from, &to); err != nil {
			errs = append(errs, fmt.Errorf("exchange: /proc/self/maps, %q: %w", line, err))
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MUNMAP, from, to-from, 0); errno != 0 {
			errs = append(errs, os.NewSyscallError("munmap", errno))
		}
	}
	return errors.Join(errs...)
}
