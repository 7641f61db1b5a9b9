package capture

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/control"
)

// Request is what a capture asks of a feed, the body of POST /capture.
type Request struct {
	Lane   string           `json:"lane,omitempty"`   // "": all lanes
	Lines  []string         `json:"lines,omitempty"`  // A, B; none: both
	Groups []netip.AddrPort `json:"groups,omitempty"` // port 0: any; none: all
	Snap   int              `json:"snap,omitempty"`   // bytes kept of a packet; 0: MaxSnap
	Bytes  uint64           `json:"bytes,omitempty"`  // of each lane's ring, a power of two; 0: DefaultBytes
}

// filter checks the request and turns it round.
func (q *Request) filter() (f filter, err error) {
	for _, l := range q.Lines {
		switch l {
		case "A":
			f.lines |= 1
		case "B":
			f.lines |= 2
		default:
			return f, fmt.Errorf("line %q is neither A nor B", l)
		}
	}
	if len(q.Groups) > 64 {
		return f, fmt.Errorf("%d groups, at most 64: each packet is compared with each", len(q.Groups))
	}
	f.groups = q.Groups
	if q.Snap < 0 || q.Snap > MaxSnap {
		return f, fmt.Errorf("a snap length of %d bytes, want 1 to %d, or 0 for whole packets", q.Snap, MaxSnap)
	}
	return f, nil
}

// Answer is the first line that comes back: the rings are there until the connection ends.
type Answer struct {
	Feed string     `json:"feed"`
	Taps []LaneRing `json:"taps"`
}

// LaneRing is one lane's ring.
type LaneRing struct {
	LaneInfo
	Path string `json:"path"`
}

// LaneInfo names a lane and where its lines come from.
type LaneInfo struct {
	Lane       string    `json:"lane"`
	Interfaces [2]string `json:"interfaces"` // of lines A and B
}

// HostOptions of a Host.
type HostOptions struct {
	Dir   string // <ring_dir>/<instance>, where the rings of the feed lie
	Feed  string
	Group string // that may read the rings, by name or number; "": the process's own
}

// Host gives the lanes of a process to captures, one capture a lane at a time. Safe for concurrent use.
type Host struct {
	o     HostOptions
	gid   int
	mu    sync.Mutex
	lanes []*hosted
}

type hosted struct {
	LaneInfo
	tap Tap
	pid int // of the capture that has it, -1: nobody
}

// NewHost makes a host and removes rings that a killed process of this feed left.
func NewHost(o HostOptions) (*Host, error) {
	h := &Host{o: o, gid: -1}
	if o.Group != "" {
		gid, err := strconv.Atoi(o.Group)
		if err != nil {
			g, err := user.LookupGroup(o.Group)
			if err != nil {
				return nil, fmt.Errorf("capture: group of the rings: %w", err)
			}
			if gid, err = strconv.Atoi(g.Gid); err != nil {
				return nil, fmt.Errorf("capture: group %q has the id %q: %w", o.Group, g.Gid, err)
			}
		}
		h.gid = gid
	}
	for _, pattern := range []string{o.Feed + ".*.tap", "." + o.Feed + ".*.tap.*.new"} {
		old, err := filepath.Glob(filepath.Join(o.Dir, pattern))
		if err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("capture: left by a former run: %w", err)
			}
		}
	}
	return h, nil
}

// Lane adds a lane and returns its tap, whose Take the lane calls. All lanes are added before the first capture.
func (h *Host) Lane(i LaneInfo) *Tap {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &hosted{LaneInfo: i, pid: -1}
	h.lanes = append(h.lanes, l)
	return &l.tap
}

// Register makes the host's command known: POST /capture.
func (h *Host) Register(s *control.Server) { s.HandleStream("POST /capture", h.serve) }

// serve is one capture: its rings live as long as its connection.
func (h *Host) serve(st *control.Stream) error {
	var q Request
	if err := control.Decode(st.Request, &q); err != nil {
		return err
	}
	answer, done, err := h.open(&q, control.PeerOf(st.Context()).PID)
	if err != nil {
		return err
	}
	defer done()
	if err := st.Send(answer); err != nil {
		return err
	}
	<-st.Context().Done()
	return nil
}

// open makes the rings of a capture; done takes them away.
func (h *Host) open(q *Request, pid int) (a Answer, done func(), err error) {
	want, err := q.filter()
	if err != nil {
		return a, nil, control.Errorf(http.StatusBadRequest, "%v", err)
	}
	if q.Bytes == 0 {
		q.Bytes = DefaultBytes
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var chosen []*hosted
	var names []string
	for _, l := range h.lanes {
		names = append(names, l.Lane)
		if q.Lane == "" || q.Lane == l.Lane {
			if l.pid >= 0 {
				return a, nil, control.Errorf(http.StatusConflict, "lane %s is being captured by process %d: one capture a lane at a time", l.Lane, l.pid)
			}
			chosen = append(chosen, l)
		}
	}
	if len(chosen) == 0 {
		return a, nil, control.Errorf(http.StatusNotFound, "feed %s has no lane %q; it has: %s", h.o.Feed, q.Lane, strings.Join(names, ", "))
	}
	a.Feed = h.o.Feed
	var rings []*ring
	done = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for i, r := range rings {
			chosen[i].tap.off()
			chosen[i].pid = -1
			_ = r.close() // the name may be gone already: nothing more can be done about it
		}
	}
	for _, l := range chosen {
		path := filepath.Join(h.o.Dir, h.o.Feed+"."+l.Lane+".tap")
		r, err := createRing(path, h.o.Feed+"."+l.Lane, q.Bytes, q.Snap, h.gid)
		if err != nil {
			h.mu.Unlock()
			done()
			h.mu.Lock()
			return a, nil, control.Errorf(http.StatusInsufficientStorage, "lane %s: %v", l.Lane, err)
		}
		r.want = want
		rings = append(rings, r)
		l.pid = pid
		l.tap.on(r)
		a.Taps = append(a.Taps, LaneRing{l.LaneInfo, path})
	}
	return a, done, nil
}

// Attached is a capture of a running feed, from the capturing process.
type Attached struct {
	Answer
	Inputs []*Input
	Ended  <-chan struct{} // closed when the feed has ended the capture
	conn   *control.Attachment
}

// Attach asks a feed, by its socket, for a capture.
func Attach(ctx context.Context, socket string, q Request) (*Attached, error) {
	conn, err := control.NewClient(socket).Attach(ctx, http.MethodPost, "/capture", q)
	if err != nil {
		return nil, err
	}
	at := &Attached{conn: conn}
	if err := conn.Next(&at.Answer); err != nil {
		return nil, errors.Join(fmt.Errorf("capture: the feed ended: %w", err), conn.Close())
	}
	for _, t := range at.Taps {
		r, err := OpenReader(t.Path)
		if err != nil {
			return nil, errors.Join(err, at.Close())
		}
		at.Inputs = append(at.Inputs, &Input{Reader: r, LaneInfo: t.LaneInfo})
	}
	ended := make(chan struct{})
	at.Ended = ended
	go func() {
		defer close(ended)
		var v any
		for conn.Next(&v) == nil {
		}
	}()
	return at, nil
}

// Stop ends the capture at the feed; what it had taken can still be read.
func (a *Attached) Stop() { _ = a.conn.Close() }

// Close ends the capture and unmaps its rings.
func (a *Attached) Close() error {
	a.Stop()
	var errs []error
	for _, in := range a.Inputs {
		errs = append(errs, in.Reader.Close())
	}
	return errors.Join(errs...)
}

// Local is a ring within one process, for a capture that receives by itself.
type Local struct {
	Tap    Tap
	Reader *Reader
	ring   *ring
}

// NewLocal makes a ring of anonymous memory.
func NewLocal(q Request) (*Local, error) {
	want, err := q.filter()
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	if q.Bytes == 0 {
		q.Bytes = DefaultBytes
	}
	if q.Bytes < MinBytes || q.Bytes > MaxBytes || q.Bytes&(q.Bytes-1) != 0 {
		return nil, fmt.Errorf("capture: a buffer of %d bytes: want a power of two from %d to %d", q.Bytes, MinBytes, uint64(MaxBytes))
	}
	fd, err := unix.MemfdCreate("tickwire capture", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", os.NewSyscallError("memfd_create", err))
	}
	f := os.NewFile(uintptr(fd), "tickwire capture")
	snap := q.Snap
	if snap == 0 {
		snap = MaxSnap
	}
	l := &Local{}
	if l.ring, err = initRing(f, "local", q.Bytes, snap); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l.ring.want = want
	if l.Reader, err = newReader(f, "local"); err != nil {
		return nil, errors.Join(err, l.ring.close())
	}
	l.Tap.on(l.ring)
	return l, nil
}

// Stop takes the ring from the tap and says that no more comes.
func (l *Local) Stop() {
	l.Tap.off()
	atomic.StoreUint32(l.ring.half(offState), stateClosed)
}

// Close gives the memory back.
func (l *Local) Close() error {
	l.Tap.off()
	return errors.Join(l.Reader.Close(), l.ring.close())
}
