package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/mold"
)

// Exchange plays one run. All methods but Run are safe for concurrent use.
type Exchange struct {
	o         Options
	kind      nic.FileKind // of o.Path
	wire      wire
	recorder  *recorder
	requests  *mold.RequestServer
	snapshots *glimpse.Server
	messages  atomic.Uint64

	mu     sync.Mutex
	c      Counters
	ran    bool
	closed bool
}

// New opens all sockets and servers, in the network namespace of the calling thread, and sends nothing yet. It reports all faults of the
// options at once.
func New(o Options) (_ *Exchange, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	e := &Exchange{o: o.withDefaults()}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.o.Path != "" {
		if e.kind, err = kindOf(e.o.Path); err != nil {
			return nil, err
		}
	}
	if e.wire, err = openWire(&e.o); err != nil {
		return nil, err
	}
	var books *glimpse.State
	if s := &e.o.Snapshots; s.Addr.IsValid() {
		books = &glimpse.State{}
		if e.snapshots, err = glimpse.NewServer(s.Addr, books, s.Options); err != nil {
			return nil, err
		}
	}
	if e.recorder, err = newRecorder(&e.o, books); err != nil {
		return nil, err
	}
	if r := &e.o.Requests; r.Addr.IsValid() {
		if e.requests, err = mold.NewRequestServer(e.recorder.log, r.Addr, r.RequestOptions); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Options are those of New, with defaults filled in.
func (e *Exchange) Options() Options { return e.o }

// RequestAddr is where the re-request server listens; not valid when there is none.
func (e *Exchange) RequestAddr() netip.AddrPort {
	if e.requests == nil {
		return netip.AddrPort{}
	}
	return e.requests.Addr()
}

// SnapshotAddr is where the snapshot server listens; not valid when there is none.
func (e *Exchange) SnapshotAddr() netip.AddrPort {
	if e.snapshots == nil {
		return netip.AddrPort{}
	}
	return e.snapshots.Addr()
}

// Messages is how many have been sent so far, on any line or on none.
func (e *Exchange) Messages() uint64 { return e.messages.Load() }

// Counters as of some milliseconds ago while Run runs, and exact after it.
func (e *Exchange) Counters() Counters {
	e.mu.Lock()
	c := e.c
	c.Lost = append([]Span(nil), c.Lost...)
	e.mu.Unlock()
	if e.requests != nil {
		c.Requests = e.requests.Counters()
	}
	if e.snapshots != nil {
		c.Snapshots = e.snapshots.Counters()
	}
	if e.recorder != nil {
		c.Unwritten = e.recorder.unwritten.Load()
	}
	c.Gone = c.Missing
	if r := &e.o.Requests; e.requests == nil || r.LossPPM == 1_000_000 || r.WrongPPM == 1_000_000 {
		c.Gone += c.LostMessages
	}
	return c
}

// SetSnapshotFaults changes what the snapshot server does wrong with logins from now on.
func (e *Exchange) SetSnapshotFaults(f glimpse.Faults) {
	if e.snapshots != nil {
		e.snapshots.SetFaults(f)
	}
}

// Run plays until the source has ended, or ctx: then what is still delayed and the end of the session leave at once, and the result is
// nil. It may be called once. The servers go on until Close. It fails when the source cannot be read on, the truth cannot be written, or
// nothing could be sent for five seconds.
func (e *Exchange) Run(ctx context.Context) error {
	e.mu.Lock()
	again := e.ran || e.closed
	e.ran = true
	e.mu.Unlock()
	if again {
		return errors.New("exchange: run once only")
	}
	now := uint64(time.Now().UnixNano())
	midnight, err := itch.MidnightBefore(now)
	if err != nil {
		return err
	}
	r, err := newRunner(ctx, e, now-midnight)
	if err != nil {
		return err
	}
	go e.recorder.run()
	err = r.run()
	close(e.recorder.queue)
	<-e.recorder.done
	return errors.Join(err, e.recorder.err())
}

// Close ends the servers and closes everything. Run has returned before.
func (e *Exchange) Close() error {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	ran := e.ran
	e.mu.Unlock()
	if closed {
		return nil
	}
	var errs []error
	if e.wire != nil {
		errs = append(errs, e.wire.close())
	}
	if e.requests != nil {
		errs = append(errs, e.requests.Close())
	}
	if e.snapshots != nil {
		errs = append(errs, e.snapshots.Close())
	}
	if e.recorder != nil && !ran {
		errs = append(errs, e.recorder.finish())
	}
	return errors.Join(errs...)
}

// Config is a [[feed]] block of tickwire.toml that receives what is sent.
func (e *Exchange) Config() string { return e.o.config(e.RequestAddr(), e.SnapshotAddr()) }

// Config is Exchange.Config without opening anything; servers at any free port are left out.
func (o Options) Config() string {
	o = o.withDefaults()
	return o.config(o.Requests.Addr, o.Snapshots.Addr)
}

func (o *Options) config(requests, snapshots netip.AddrPort) string {
	var b strings.Builder
	b.WriteString("[[feed]]\nname = \"sim\"\npublisher = 40000 # generated: never to be taken for a venue's\ndataset = \"SIM.ITCH\"\nsource = \"udp\"\n\n[[feed.channel]]\n")
	for i := range 2 {
		fmt.Fprintf(&b, "[[feed.channel.line]]\nname = \"%c\"\ninterface = %q%s\ngroup = %q\n", 'A'+i, o.Interfaces[i], o.interfaceNote(i), o.line(i).Group)
	}
	var recovery strings.Builder
	if requests.Port() != 0 {
		fmt.Fprintf(&recovery, "servers = [%q]\n", requests)
	}
	if snapshots.Port() != 0 {
		fmt.Fprintf(&recovery, "snapshot = %q\n", snapshots)
		if o.Snapshots.User != "" {
			fmt.Fprintf(&recovery, "snapshot_user = %q\n# snapshot_password_file = a file whose first line is the password\n", o.Snapshots.User)
		}
	}
	if recovery.Len() > 0 {
		b.WriteString("\n[feed.recovery]\n" + recovery.String())
	}
	return b.String()
}

func (o *Options) interfaceNote(i int) string {
	if o.Interfaces[i] == "lo" {
		return ""
	}
	return " # the receiver's own, towards this one"
}
