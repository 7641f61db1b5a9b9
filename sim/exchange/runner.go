package exchange

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/sim/mold"
)

// errStopped ends a session because the context has.
var errStopped = errors.New("exchange: stopped")

const (
	burst      = 64                       // packets of a line that leave with one call
	nap        = 20 * time.Millisecond    // of one sleep at most, so that the context is looked at
	spinFor    = 100 * time.Microsecond   // before a packet is due, with Options.Spin
	onTime     = 50 * time.Microsecond    // later than this, packets leave together
	publishing = 10 * time.Millisecond    // between two copies of the counters for others
	ranking    = time.Second              // between two looks at how late packets were
	patience   = 5 * time.Second          // with a kernel that refuses every packet
	latestNs   = 60_000_000_000           // of lateness that is told apart
	restartGap = uint64(time.Millisecond) // between a session's last packet and the next one's first
)

// runner is the sending thread. Times are ns since it began: those of the schedule.
type runner struct {
	e        *Exchange
	o        *Options
	ctx      context.Context
	lines    *mold.Lines
	midnight uint64 // the beginning, ns since the venue's midnight
	began    time.Time
	paced    bool // packets wait for their time
	hurry    bool // the context has ended: nothing waits any more

	id    [10]byte
	next  uint64 // number of the session's next message
	at    uint64 // time of the latest packet
	sent  bool   // the session has one
	ended bool   // its end was told, or need not be
	beat  []byte

	batches   [2]batch
	late      *hdrhistogram.Histogram
	failing   time.Time // since when the kernel refuses every packet
	published time.Time
	ranked    time.Time
	c         Counters
}

// batch is packets of one line that leave together.
type batch struct {
	store   [burst][]byte
	at      [burst]uint64
	packets [][]byte
}

func newRunner(ctx context.Context, e *Exchange, midnight uint64) (*runner, error) {
	p, err := pace.Parse(e.o.Pace)
	if err != nil {
		return nil, err
	}
	r := &runner{
		e: e, o: &e.o, ctx: ctx, midnight: midnight, paced: !p.Max(), ended: true, late: hdrhistogram.New(1, latestNs, 2),
	}
	lines := e.o.Lines
	also := lines.Lost
	lines.Lost = func(session [10]byte, first uint64, count int) {
		r.c.lose(session, first, count)
		if also != nil {
			also(session, first, count)
		}
	}
	for i := range r.batches {
		r.batches[i].packets = make([][]byte, 0, burst)
	}
	r.lines, err = mold.NewLinesWith(lines, r.out)
	return r, err
}

// run plays all sessions.
func (r *runner) run() error {
	runtime.LockOSThread() // sleeps are the kernel's, to the nanosecond as far as it goes: a Go timer is too coarse for packets
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) == nil {
		defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // 0: back to the default
	}
	r.began = time.Now()
	err := r.sessions()
	if errors.Is(err, errStopped) {
		err = nil
	}
	r.hurry = r.hurry || err != nil
	if fault := r.end(); err == nil && !errors.Is(fault, errStopped) {
		err = fault
	}
	if fault := r.finish(); err == nil {
		err = fault
	}
	r.rank()
	r.publish()
	return err
}

// finish sends what is still delayed: at its time, or at once when the context has ended.
func (r *runner) finish() error {
	err := r.lines.Flush()
	if errors.Is(err, errStopped) {
		err = r.lines.Flush() // in a hurry now
	}
	return errors.Join(err, r.flush())
}

func (r *runner) sessions() error {
	if r.e.kind == nic.FilePcap || r.e.kind == nic.FilePcapNG {
		return r.capture()
	}
	for n := 0; ; n++ {
		if err := r.session(n); err != nil {
			return err
		}
		last := r.o.Restart.Times >= 0 && n >= r.o.Restart.Times
		if last || r.o.Restart.Roll {
			if err := r.end(); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		r.at += restartGap
	}
}

// begin makes a session the present one. Its first message has number first.
func (r *runner) begin(id [10]byte, first uint64) {
	r.id, r.next, r.sent, r.ended = id, first, false, false
	r.c.Sessions++
}

// emit sends a packet at its time. The first one of a session is not subject to faults: a receiver that begins with it knows what it lacks.
func (r *runner) emit(ts uint64, packet []byte) error {
	if err := r.lines.Advance(ts); err != nil {
		return err
	}
	if err := r.wait(ts); err != nil {
		return err
	}
	if err := r.send(ts, packet); err != nil {
		return err
	}
	r.sent, r.at = true, ts
	if h, _, err := moldudp64.Parse(packet); err == nil && h.Count != moldudp64.EndOfSession {
		r.next = h.Sequence + uint64(h.Count)
		r.c.Messages += uint64(h.Count)
		r.e.messages.Store(r.c.Messages)
	}
	if r.e.recorder.take(packet) {
		r.c.Stalls++
	}
	if err := errors.Join(r.lines.Advance(ts), r.e.recorder.err()); err != nil {
		return err
	}
	if r.paced && time.Since(r.began) < time.Duration(ts)+onTime {
		return r.flush() // nothing else is due: no reason to wait for company
	}
	return nil
}

// send gives a packet to the lines.
func (r *runner) send(ts uint64, packet []byte) error {
	if !r.sent {
		return r.lines.SendSurely(ts, packet)
	}
	return r.lines.Send(ts, packet)
}

// idleNs is after how long without a packet there is a heartbeat. Nothing is idle at full speed.
func (r *runner) idleNs() uint64 {
	if !r.paced {
		return 1 << 62
	}
	return uint64(r.o.Heartbeat)
}

// heartbeat is a packet that says which number comes next.
func (r *runner) heartbeat() []byte {
	r.beat = moldudp64.AppendHeader(r.beat[:0], moldudp64.Header{Session: r.id, Sequence: r.next})
	return r.beat
}

// end tells the end of the present session, if that has not been done, again and again for as long as it is to be told.
func (r *runner) end() error {
	if r.ended || !r.sent {
		return nil
	}
	r.ended = true
	pause := uint64(r.o.Heartbeat)
	times := r.o.Ends
	if !r.hurry {
		times = max(times, int(r.o.Linger/r.o.Heartbeat))
	}
	for n := range times {
		r.at += pause
		packet := moldudp64.AppendHeader(r.beat[:0], moldudp64.Header{Session: r.id, Sequence: r.next, Count: moldudp64.EndOfSession})
		r.beat = packet
		if err := r.tellEnd(packet); errors.Is(err, errStopped) {
			return r.hurriedEnd(packet, times-n)
		} else if err != nil {
			return err
		}
		if !r.paced && !r.hurry && r.o.Linger > 0 {
			if err := r.pause(time.Now().Add(r.o.Heartbeat)); errors.Is(err, errStopped) {
				return r.hurriedEnd(packet, times-n-1)
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *runner) tellEnd(packet []byte) error {
	if err := r.lines.Advance(r.at); err != nil {
		return err
	}
	if err := r.wait(r.at); err != nil {
		return err
	}
	if err := r.lines.SendSurely(r.at, packet); err != nil {
		return err
	}
	return errors.Join(r.lines.Advance(r.at), r.flush())
}

// hurriedEnd tells an end that was begun as often as it is told at least, without waiting.
func (r *runner) hurriedEnd(packet []byte, times int) error {
	for range min(times, r.o.Ends) {
		if err := r.tellEnd(packet); err != nil {
			return err
		}
	}
	return nil
}

// out takes a packet from the lines at its time.
func (r *runner) out(line int, at uint64, packet []byte) error {
	stop := r.wait(at)
	if stop != nil && !errors.Is(stop, errStopped) {
		return stop
	}
	b := &r.batches[line]
	n := len(b.packets)
	b.store[n] = append(b.store[n][:0], packet...)
	b.at[n] = at
	b.packets = append(b.packets, b.store[n])
	if n+1 < burst {
		return stop
	}
	return errors.Join(stop, r.flush())
}

// wait returns at a time of the schedule. Before it sleeps, everything leaves that was taken.
func (r *runner) wait(at uint64) error {
	if !r.paced || r.hurry {
		return r.stopped()
	}
	due := r.began.Add(time.Duration(at))
	if time.Until(due) <= 0 {
		return r.stopped()
	}
	if err := r.flush(); err != nil {
		return err
	}
	return r.pause(due)
}

// stopped looks at the context. From then on nothing waits.
func (r *runner) stopped() error {
	if r.hurry || r.ctx.Err() == nil {
		return nil
	}
	r.hurry = true
	return errStopped
}

// pause sleeps until a moment.
func (r *runner) pause(until time.Time) error {
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		if err := r.stopped(); err != nil {
			return err
		}
		if r.o.Spin {
			if left <= spinFor {
				continue
			}
			left -= spinFor
		}
		ts := unix.NsecToTimespec(int64(min(left, nap)))
		_ = unix.Nanosleep(&ts, nil) // interrupted: the time that is left is reckoned anew
		if time.Since(r.published) > publishing {
			r.publish()
		}
	}
}

// flush hands what was taken to the kernel.
func (r *runner) flush() error {
	now := uint64(time.Since(r.began))
	for line := range r.batches {
		b := &r.batches[line]
		if len(b.packets) == 0 {
			continue
		}
		if r.paced && !r.hurry {
			for _, at := range b.at[:len(b.packets)] {
				_ = r.late.RecordValue(int64(min(max(now, at)-at, latestNs)))
			}
		}
		for rest := b.packets; len(rest) > 0; {
			n, err := r.e.wire.send(line, rest)
			if n > 0 {
				r.failing = time.Time{}
			}
			if err == nil {
				break
			}
			// The one that was refused is lost, those behind it are tried.
			r.c.SendFails[line]++
			r.c.LastFail = strings.TrimPrefix(err.Error(), "exchange: ")
			if r.failing.IsZero() {
				r.failing = time.Now()
			}
			rest = rest[min(n+1, len(rest)):]
			if time.Since(r.failing) > patience {
				b.packets = b.packets[:0]
				return fmt.Errorf("exchange: line %c: no packet left for %s: %w", 'A'+line, patience, err)
			}
		}
		b.packets = b.packets[:0]
	}
	if time.Since(r.published) > publishing {
		r.publish()
	}
	return nil
}

// publish copies the counters for whoever asks.
func (r *runner) publish() {
	r.published = time.Now()
	r.c.Took = int64(r.published.Sub(r.began))
	r.c.Counters = r.lines.Counters()
	r.c.Session, r.c.Next = name(r.id), r.next
	if r.published.Sub(r.ranked) > ranking {
		r.rank()
	}
	r.e.mu.Lock()
	lost := r.e.c.Lost
	r.e.c = r.c
	// Spans are added at the end, and the last one grows: only those are copied.
	from := max(len(lost)-1, 0)
	r.e.c.Lost = append(lost[:from], r.c.Lost[from:]...)
	r.e.mu.Unlock()
}

// rank looks at how late packets were: some ten microseconds of work.
func (r *runner) rank() {
	r.ranked = r.published
	if r.late.TotalCount() > 0 {
		r.c.LateP50, r.c.LateP99, r.c.LateMax = r.late.ValueAtQuantile(50), r.late.ValueAtQuantile(99), r.late.Max()
	}
}

// name is a session's as text.
func name(id [10]byte) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '.'
		}
		return c
	}, string(id[:])))
}
