package latbench

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// midnight is any day's: the figures do not depend on it.
const midnight = 1_767_589_200_000_000_000

// preemptOff keeps the runtime's signals off threads that spin: `tickwire run` gives it to its feeds, and cmd/tickwire to this bench.
const preemptOff = "asyncpreemptoff=1"

// PreemptOff says whether the environment keeps the runtime's preemption signals off.
func PreemptOff() bool {
	return slices.Contains(strings.Split(os.Getenv("GODEBUG"), ","), preemptOff)
}

// Quieted is the environment with the runtime's preemption signals off.
func Quieted(env []string) []string {
	value := preemptOff
	if was := os.Getenv("GODEBUG"); was != "" {
		value = was + "," + preemptOff
	}
	return append(slices.DeleteFunc(slices.Clone(env), func(s string) bool { return strings.HasPrefix(s, "GODEBUG=") }), "GODEBUG="+value)
}

// quiet does to the Go runtime what a feed with idle = "spin" does, and returns what puts it back.
func quiet() (undo func()) {
	processors := runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 6))
	percent := debug.SetGCPercent(-1)
	return func() {
		debug.SetGCPercent(percent)
		runtime.GOMAXPROCS(processors)
	}
}

// window pins the P of a thread that spins; nil where that cannot be done.
func window() *pin.Window {
	if pin.Works() != nil {
		return nil
	}
	return pin.New(pin.Options{Quantum: time.Minute})
}

// rig is a lane with all that it owns, fed by one channel.
type rig struct {
	dir     string
	clock   func() uint64
	rings   map[ringbuf.Kind]*ringbuf.Writer
	books   *book.Books
	lane    *pipeline.Lane
	channel *session.Channel
	input   pipeline.Input
	latency pipeline.Latency
}

// newRig makes one whose lane has a clock: that by which packets are stamped.
func newRig(clock func() uint64) (r *rig, err error) {
	r = &rig{clock: clock, rings: map[ringbuf.Kind]*ringbuf.Writer{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	dir := "/dev/shm"
	if _, err := os.Stat(dir); err != nil {
		dir = ""
	}
	if r.dir, err = os.MkdirTemp(dir, "tickwire-bench-"); err != nil {
		return r, err
	}
	var out pipeline.Outputs
	for kind, place := range map[ringbuf.Kind]**ringbuf.Writer{
		ringbuf.KindMbo: &out.Mbo, ringbuf.KindMbp1: &out.Mbp1, ringbuf.KindTrades: &out.Trades,
		ringbuf.KindEvents: &out.Events, ringbuf.KindExt: &out.Ext,
	} {
		w, err := ringbuf.Create(r.path(kind), ringbuf.Options{Kind: kind, HugePages: true})
		if err != nil {
			return r, err
		}
		r.rings[kind], *place = w, w
	}
	if r.books, err = book.New(book.Options{Prefault: 1 << 17}); err != nil {
		return r, err
	}
	directory, err := symbols.New(0)
	if err != nil {
		return r, err
	}
	r.lane, err = pipeline.New(pipeline.Config{
		Publisher: tick.PublisherSimItch, Books: r.books, Symbols: directory, Out: out, Clock: clock,
		Midnight: func(uint64) (uint64, error) { return midnight, nil },
	})
	if err != nil {
		return r, err
	}
	r.channel = session.NewChannel(session.Config{}, r.lane)
	r.input = pipeline.Input{
		Route: func(*nic.Packet) *session.Channel { return r.channel }, Channels: []*session.Channel{r.channel},
		Idle: pipeline.IdleSpin, PollPinned: true, Latency: &r.latency, Window: window(),
	}
	return r, nil
}

func (r *rig) path(kind ringbuf.Kind) string {
	return filepath.Join(r.dir, "bench.0."+kind.String()+".ring")
}

// fill takes the day's first packets, as fast as it goes: directory, resting orders, and memory that is touched. The rings' too, all around.
func (r *rig) fill(d *day) {
	for i := range d.warm {
		now := r.clock()
		r.lane.SetNow(now)
		r.channel.Packet(&nic.Packet{Data: d.packet(i), TsRecv: now, Stamp: nic.StampHardware}, now)
		r.lane.EndPass()
	}
	for kind, w := range r.rings {
		words := kind.PayloadBytes() / 8
		nothing := make([]uint64, 64*words) // record type 0: no reader takes it for one
		for range w.Header().Slots / 64 {
			w.Publish(pointer(nothing), 64)
		}
		w.PublishHint()
	}
}

// faults are numbers that make the figures those of something else.
func (r *rig) faults() (all []string) {
	c, p := r.lane.Counters(), r.lane.Parser()
	add := func(what string, n uint64) {
		if n != 0 {
			all = append(all, count(n, what))
		}
	}
	add("messages that the parser refused", c.Refused+p.Short+p.Unknown)
	add("gaps", c.Gaps)
	b := r.books.Counters()
	unknown := uint64(0)
	for _, n := range b.Unknown {
		unknown += n
	}
	add("messages of unknown orders", unknown)
	add("orders without room", b.NoRoom)
	return all
}

func (r *rig) close() error {
	var errs []error
	if r.lane != nil {
		errs = append(errs, r.lane.Close())
	}
	for _, w := range r.rings {
		errs = append(errs, w.Close())
	}
	if r.books != nil {
		errs = append(errs, r.books.Close())
	}
	if r.dir != "" {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}
