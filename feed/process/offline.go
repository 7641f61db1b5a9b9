package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// OfflineOptions say what of a capture goes into private rings. Kinds must be given.
type OfflineOptions struct {
	Kinds     []ringbuf.Kind
	Publisher uint16 // 0: that of the capture's market, or the protocol's
	Dataset   string // empty: likewise
	Capture   CaptureOptions
	Only      []string // symbols; empty: all
	Depth     []string // symbols that ten levels are kept of, when KindMbp10 is among Kinds
	From, To  uint64   // ns since the Unix epoch, To excluded; 0: no bound
	// Slots of each ring. It need not hold the capture: the lane waits for the ring's reader. The default is 1<<16.
	Slots uint64
	// Plugins is where the lane's chain of plugins comes from, whose directory must be Offline.Lane's (Lane.Directory); set before Run. The default is none.
	Plugins *plugins.Seat
	// Rows is the lane's: pipeline.Config.Rows. The default is none.
	Rows func(b *tick.Batch, from, n int, chain *plugins.Chain)
}

// Offline runs a capture through the whole pipeline into private rings, whose writer waits for the reader: nothing is
// ever lost, however slow it is.
type Offline struct {
	Capture *Capture
	Lane    *pipeline.Lane
	// Dir is the folder with the rings, laid out as a live feed's: instance "offline", feed "capture", lane "0".
	Dir     string
	Writers map[ringbuf.Kind]*ringbuf.Writer

	kept   protocol.Kept
	shared shared
	stop   atomic.Bool
}

// Names of an offline run's rings.
const (
	OfflineInstance = "offline"
	OfflineFeed     = "capture"
	OfflineLane     = "0"

	offlinePrefix = "tickwire-offline-" // then the process number
)

// OpenOffline opens a capture and makes its rings, in shared memory where there is room, else in the folder for
// temporary files.
func OpenOffline(path string, o OfflineOptions) (*Offline, error) {
	capture, err := OpenCapture(path, o.Capture)
	if err != nil {
		return nil, err
	}
	f := &Offline{Capture: capture, Writers: map[ringbuf.Kind]*ringbuf.Writer{}}
	if err := f.open(&o); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Offline) open(o *OfflineOptions) (err error) {
	if o.Slots == 0 {
		o.Slots = 1 << 16
	}
	publisher, dataset := f.Capture.Records()
	if o.Publisher == 0 {
		o.Publisher = publisher
	}
	if o.Dataset == "" {
		o.Dataset = dataset
	}
	err = f.rings("/dev/shm", o)
	if errors.Is(err, ringbuf.ErrNoSpace) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		first := err
		if err = errors.Join(f.shared.close(), os.RemoveAll(f.Dir)); err == nil {
			f.shared, f.Writers = shared{}, map[ringbuf.Kind]*ringbuf.Writer{}
			if err = f.rings(os.TempDir(), o); err != nil {
				err = errors.Join(first, err)
			}
		}
	}
	if err != nil {
		return err
	}
	if f.kept, err = f.Capture.Protocol().Keep(f.Capture.options.Product, 0); err != nil {
		return err
	}
	directory, err := symbols.New(0)
	if err != nil {
		return err
	}
	decoder, err := f.Capture.Decoder()
	if err != nil {
		return err
	}
	f.Lane, err = pipeline.New(pipeline.Config{
		Publisher: o.Publisher, Decoder: decoder, Books: f.kept.Orders, Prices: f.kept.Prices, Levels: f.kept.Levels, Mends: f.Capture.Protocol().Mends, Natural: f.Capture.Protocol().Natural, Symbols: directory, Out: f.shared.out, Midnight: f.Capture.Midnight,
		FileStamps: f.Capture.Stampless(), MaxPass: pipeline.PassReplay, Depth: o.Depth, Only: o.Only, From: o.From, To: o.To, Plugins: o.Plugins, Rows: o.Rows,
	})
	return err
}

// rings makes the private rings and the side files that readers of symbols need. The folder's name says whose it is.
func (f *Offline) rings(under string, o *OfflineOptions) (err error) {
	ClearDead(under, offlinePrefix)
	if f.Dir, err = os.MkdirTemp(under, fmt.Sprintf("%s%d-", offlinePrefix, os.Getpid())); err != nil {
		return err
	}
	if err = os.Mkdir(filepath.Join(f.Dir, OfflineInstance), 0o700); err != nil {
		return err
	}
	for _, kind := range o.Kinds {
		w, err := ringbuf.Create(ringbuf.Path(f.Dir, OfflineInstance, OfflineFeed, OfflineLane, kind), ringbuf.Options{
			Kind: kind, Slots: o.Slots, Dataset: o.Dataset, Publisher: o.Publisher, Private: true,
		})
		if err != nil {
			return err
		}
		f.shared.take(w, kind)
		f.Writers[kind] = w
	}
	side := func(ext string) string {
		return ringbuf.SidePath(f.Dir, OfflineInstance, OfflineFeed, OfflineLane, ext)
	}
	if f.shared.out.Instruments, err = ringbuf.CreateInst(side(ringbuf.ExtInst), 0, ringbuf.SideOptions{}); err != nil {
		return err
	}
	f.shared.out.Definitions, err = ringbuf.CreateDefinitions(side(ringbuf.ExtDefinitions), o.Dataset, 0, ringbuf.SideOptions{})
	return err
}

// Run plays the capture to its end, to the end of the time that was asked for, or until Stop, and then says in every ring
// that nothing more will come. Each ring needs a reader that moves its gate. between, which may be nil, is called now
// and then on this goroutine.
func (f *Offline) Run(between func()) error {
	var faults []error
	err := f.Capture.Run(f.Lane, PlayOptions{Between: func(uint64) {
		if err := f.shared.out.Definitions.Drain(); err != nil {
			faults = append(faults, err)
			f.stop.Store(true)
		}
		if f.Lane.Past() {
			f.stop.Store(true)
		}
		if between != nil {
			between()
		}
	}}, &f.stop)
	faults = append(faults, f.shared.out.Definitions.Drain())
	now := ringbuf.MonotonicNow()
	for _, w := range f.Writers {
		w.PublishHint()
		w.SetState(ringbuf.StateStopped)
		w.Beat(now)
	}
	return errors.Join(append(faults, err)...)
}

// Stop makes Run end soon. Any goroutine. A reader that leaves must lift its gates too.
func (f *Offline) Stop() { f.stop.Store(true) }

// Summary says in one line each what of the capture did not become records: nothing, on a clean one.
func (f *Offline) Summary() []string { return summary(f.Capture, f.Lane, &f.kept) }

// Close frees everything and removes the rings.
func (f *Offline) Close() error {
	errs := []error{f.Capture.Close(), f.shared.close()}
	if f.Lane != nil {
		errs = append(errs, f.Lane.Close())
	}
	errs = append(errs, f.kept.Close())
	if f.Dir != "" {
		errs = append(errs, os.RemoveAll(f.Dir))
	}
	return errors.Join(errs...)
}
