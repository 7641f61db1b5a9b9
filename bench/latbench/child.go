package latbench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// What the two processes say to one another, a JSON object a line.
//
//	us                                child
//	job ──────────────────────────►   opens the ring, pins itself
//	                             ◄──  true
//	order{Jitter} ────────────────►   spins
//	                             ◄──  histogram
//	order{Begin: ns} ─────────────►   reads; what was due before Begin does not count
//	                             ◄──  true
//	end of input ─────────────────►   reads on until there is nothing
//	                             ◄──  seen
type (
	job struct {
		Ring     string
		Core     int
		Sched    string
		Yield    bool           // shares its core with us
		Orders   netip.AddrPort // strategy: where they go; the zero value: reads only
		Schedule Schedule
	}
	instruction struct {
		Jitter   time.Duration // spin for so long
		PeriodNs float64
		Begin    uint64
	}
	seen struct {
		Parts   [parts]*hdrhistogram.Snapshot
		Records uint64 // all of them, those before Begin too
		Lost    uint64
		Sent    uint64 // orders
		Refused uint64 // orders that the kernel did not take
		Counts  meter.Counts
	}
)

// child is the other process as we see it.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   io.ReadCloser
	enc   *json.Encoder
	dec   *json.Decoder
	ended chan error
}

// start runs command with a job and waits until it is ready. The kernel ends the child when the thread that started it ends, and threads that
// are pinned here end with their goroutines: so a thread of its own starts it and stays until the child is gone. enter runs that thread's work; nil: where
// we are.
func start(command func() (*exec.Cmd, error), enter func(func() error) error, j job) (*child, error) {
	cmd, err := command()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c := &child{cmd: cmd, ended: make(chan error, 1)}
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if enter == nil {
		enter = func(f func() error) error {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			return f()
		}
	}
	started := make(chan error, 1)
	go func() {
		err := enter(func() error {
			err := cmd.Start()
			started <- err
			if err != nil {
				return nil // told
			}
			state, err := cmd.Process.Wait() // not cmd.Wait, which would close what we still read from
			if err == nil && !state.Success() {
				err = fmt.Errorf("latbench: the other process: %s", state)
			}
			return err
		})
		select {
		case started <- err: // enter failed before
		default:
		}
		c.ended <- err
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(err, c.in.Close(), c.out.Close())
	}
	c.enc, c.dec = json.NewEncoder(c.in), json.NewDecoder(c.out)
	var ready bool
	if err := c.ask(j, &ready); err != nil {
		return nil, errors.Join(err, c.kill())
	}
	return c, nil
}

func (c *child) ask(what, answer any) error {
	if err := c.enc.Encode(what); err != nil {
		return fmt.Errorf("latbench: the other process is gone: %w", err)
	}
	if err := c.dec.Decode(answer); err != nil {
		return fmt.Errorf("latbench: the other process failed: %w", err)
	}
	return nil
}

// end tells it that nothing more comes, and takes what it saw.
func (c *child) end() (*seen, error) {
	var s seen
	err := c.in.Close()
	if err == nil {
		if err = c.dec.Decode(&s); err != nil {
			err = fmt.Errorf("latbench: the other process failed: %w", err)
		}
	}
	return &s, errors.Join(err, <-c.ended, c.out.Close())
}

// kill ends it whatever it does.
func (c *child) kill() error {
	_ = c.in.Close()
	_ = c.cmd.Process.Kill() // it may be gone already
	<-c.ended                // it was killed
	return c.out.Close()
}

// Child is the other process: a reader of a ring, or a strategy. It talks on in and out, and pins the calling goroutine's thread for good.
func Child(in io.Reader, out io.Writer) error {
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	var j job
	if err := dec.Decode(&j); err != nil {
		return fmt.Errorf("latbench: no job came: %w", err)
	}
	defer quiet()()
	if err := meter.Pin(j.Core, j.Sched); err != nil {
		return err
	}
	r, err := ringbuf.Open(j.Ring, ringbuf.ReaderOptions{StaleAfter: time.Hour})
	if err != nil {
		return err
	}
	defer r.Close()
	e := &eye{r: r, job: &j, window: window()}
	for i := range e.parts {
		e.parts[i] = meter.NewHistogram()
	}
	if j.Orders.IsValid() {
		if e.orders, err = dial(j.Orders); err != nil {
			return err
		}
		defer e.orders.close()
	}
	if err := enc.Encode(true); err != nil {
		return err
	}
	for {
		var o instruction
		if err := dec.Decode(&o); err != nil {
			return fmt.Errorf("latbench: nobody said when it begins: %w", err)
		}
		if o.Jitter > 0 {
			e.enter()
			h := jitter(o.PeriodNs, o.Jitter)
			e.window.Leave()
			if err := enc.Encode(h.Export()); err != nil {
				return err
			}
			continue
		}
		if err := r.Join(ringbuf.JoinLive); err != nil { // what filled the books is no business of ours
			return err
		}
		e.begin = o.Begin
		break
	}
	go func() {
		_, _ = io.Copy(io.Discard, io.MultiReader(dec.Buffered(), in))
		e.ended.Store(true)
	}()
	watch := meter.NewWatch(0)
	defer watch.Close()
	watch.Begin()
	if err := enc.Encode(true); err != nil {
		return err
	}
	e.enter()
	if r.Kind() == ringbuf.KindMbp1 {
		look(e, func(m *ringbuf.Mbp1Slot) (uint64, uint32, bool) {
			return m.TsRecv, m.Sequence, m.RType != 0 && m.Flags&tick.FlagLast != 0
		})
	} else {
		look(e, func(m *tick.Mbo) (uint64, uint32, bool) {
			return m.TsRecv, m.Sequence, m.RType == tick.RTypeMbo && m.Flags&tick.FlagLast != 0
		})
	}
	e.window.Leave()
	s := seen{Records: e.records, Lost: r.Lost(), Sent: e.sent, Refused: e.refused, Counts: watch.End()}
	for i, h := range e.parts {
		s.Parts[i] = h.Export()
	}
	return enc.Encode(&s)
}

// eye is what reads.
type eye struct {
	r       *ringbuf.Reader
	job     *job
	window  *pin.Window
	orders  *socket
	parts   [parts]*hdrhistogram.Histogram
	begin   uint64 // CLOCK_MONOTONIC, ns: what was due before does not count
	ended   atomic.Bool
	records uint64
	sent    uint64
	refused uint64
}

func (e *eye) enter() { e.window.Enter(ringbuf.MonotonicNow()) }

// batch is how many records are read at once. The clock is read behind the last of them, so all count as read then.
const batch = 16

// emptyBefore is how many polls without a record say, once nothing more is sent, that there is none.
const emptyBefore = 4096

// look reads until the end: for each venue event (its last record) the time from when it was due to now, behind the validation of the
// copy. Hot path, while the P is pinned: no allocation, and no call into the kernel but for an order.
func look[T any](e *eye, get func(*T) (due uint64, sequence uint32, last bool)) {
	var recs [batch]T
	begin := e.begin
	for empty := 0; empty < emptyBefore || !e.ended.Load(); {
		n, _, _ := ringbuf.PollSlice(e.r, recs[:])
		if n == 0 {
			empty++
			if e.job.Yield {
				yield()
			}
			continue
		}
		empty = 0
		now := ringbuf.MonotonicNow()
		for i := range recs[:n] {
			due, sequence, last := get(&recs[i])
			if !last {
				continue
			}
			if e.orders != nil {
				e.answer(sequence)
				continue
			}
			if due >= begin {
				meter.Record(e.parts[e.job.Schedule.part(due-begin)], now-min(now, due))
			}
		}
		e.records += uint64(n)
	}
}

func pointer(words []uint64) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(words)) }

func count(n uint64, what string) string { return fmt.Sprintf("%d %s", n, what) }
