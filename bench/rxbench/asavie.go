package rxbench

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic/udp"
)

// asavie is github.com/asavie/xdp as its documentation has a receiver: fill, poll, receive; Poll sleeps there, and once more with
// a Poll that does not, so that it spins like the others. Its default rings of 64 entries lose frames of every burst, so it gets the
// sizes that libxdp has by default.
type asavie struct {
	program *xdp.Program
	socket  *xdp.Socket
	members *udp.Members
	index   int
	timeout int // ms that Poll may sleep
}

func openAsavie(timeout int) (_ poller, err error) {
	r := &asavie{timeout: timeout}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("asavie/xdp: %w", err), r.close())
		}
	}()
	face, err := net.InterfaceByName("feed0")
	if err != nil {
		return r, err
	}
	r.index = face.Index
	xdp.DefaultXdpFlags = unix.XDP_FLAGS_DRV_MODE
	xdp.DefaultSocketFlags = unix.XDP_COPY
	if r.program, err = xdp.NewProgram(1); err != nil {
		return r, err
	}
	if err = r.program.Attach(r.index); err != nil {
		return r, err
	}
	r.socket, err = xdp.NewSocket(r.index, 0, &xdp.SocketOptions{
		NumFrames: 4096, FrameSize: 2048, FillRingNumDescs: 2048, CompletionRingNumDescs: 64, RxRingNumDescs: 2048, TxRingNumDescs: 64,
	})
	if err != nil {
		return r, err
	}
	if err = r.program.Register(0, r.socket.FD()); err != nil {
		return r, err
	}
	r.socket.Fill(r.socket.GetDescs(r.socket.NumFreeFillSlots()))
	r.members, err = join()
	return r, err
}

func (r *asavie) poll(t *tally) (int, error) {
	if n := r.socket.NumFreeFillSlots(); n > 0 {
		r.socket.Fill(r.socket.GetDescs(n))
	}
	n, _, err := r.socket.Poll(r.timeout)
	if err != nil || n == 0 {
		return 0, err
	}
	if t.late != nil {
		t.now = monotonic()
	}
	descs := r.socket.Receive(n)
	for i := range descs {
		t.frame(r.socket.GetFrame(descs[i]))
	}
	return len(descs), nil
}

func (r *asavie) close() error {
	var errs []error
	if r.members != nil {
		errs = append(errs, r.members.Close())
	}
	if r.program != nil {
		errs = append(errs, r.program.Detach(r.index), r.program.Close())
	}
	if r.socket != nil {
		errs = append(errs, r.socket.Close())
	}
	return errors.Join(errs...)
}

// join joins the group for receivers that take frames past the stack.
func join() (*udp.Members, error) {
	return udp.Join([]udp.Group{{Group: netip.AddrPortFrom(group.Addr(), 0), Interface: "feed0"}})
}
