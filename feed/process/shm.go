package process

import (
	"errors"
	"fmt"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/ringbuf"
)

// shared is the shared memory of one lane.
type shared struct {
	out   pipeline.Outputs
	rings []*ringbuf.Writer
}

// ringSet names the rings of a lane and where the configuration gives their size.
func ringSet(r *config.Rings, depth bool) []struct {
	kind  ringbuf.Kind
	slots uint64
} {
	set := []struct {
		kind  ringbuf.Kind
		slots uint64
	}{
		{ringbuf.KindMbo, r.Mbo}, {ringbuf.KindMbp1, r.Mbp1}, {ringbuf.KindTrades, r.Trades},
		{ringbuf.KindEvents, r.Events}, {ringbuf.KindExt, r.Ext},
	}
	if depth {
		set = append(set, struct {
			kind  ringbuf.Kind
			slots uint64
		}{ringbuf.KindMbp10, r.Mbp10})
	}
	return set
}

// openShared makes rings and side files of a lane. day is the start of the definitions file's day, ns.
func openShared(c *config.Config, f *config.Feed, lane string, channel uint16, day uint64) (*shared, error) {
	s := &shared{}
	fail := func(err error) (*shared, error) { return nil, errors.Join(err, s.close()) }
	for _, ring := range ringSet(&f.Rings, len(f.Depth) > 0) {
		w, err := ringbuf.Create(ringbuf.Path(c.Instance.RingDir, c.Instance.Name, f.Name, lane, ring.kind), ringbuf.Options{
			Kind: ring.kind, Slots: ring.slots, Dataset: f.Dataset, Publisher: f.Publisher, Channel: channel,
			Group: c.Instance.Group, HugePages: true,
		})
		if err != nil {
			return fail(err)
		}
		s.take(w, ring.kind)
	}
	side := ringbuf.SideOptions{Group: c.Instance.Group}
	path := func(ext string) string {
		return ringbuf.SidePath(c.Instance.RingDir, c.Instance.Name, f.Name, lane, ext)
	}
	var err error
	if s.out.Instruments, err = ringbuf.CreateInst(path(ringbuf.ExtInst), f.Rings.Instruments, side); err != nil {
		return fail(err)
	}
	if s.out.Last, err = ringbuf.CreateLast(path(ringbuf.ExtLast), s.out.Instruments, f.Publisher, side); err != nil {
		return fail(err)
	}
	if s.out.Definitions, err = ringbuf.CreateDefinitions(path(ringbuf.ExtDefinitions), f.Dataset, day, side); err != nil {
		return fail(err)
	}
	return s, nil
}

// take makes w the ring of its kind.
func (s *shared) take(w *ringbuf.Writer, kind ringbuf.Kind) {
	s.rings = append(s.rings, w)
	w.SetStamps(0) // not a former producer's on the same file
	switch kind {
	case ringbuf.KindMbo:
		s.out.Mbo = w
	case ringbuf.KindMbp1:
		s.out.Mbp1 = w
	case ringbuf.KindTrades:
		s.out.Trades = w
	case ringbuf.KindEvents:
		s.out.Events = w
	case ringbuf.KindExt:
		s.out.Ext = w
	case ringbuf.KindMbp10:
		s.out.Mbp10 = w
	}
}

func (s *shared) close() error {
	var errs []error
	for _, w := range s.rings {
		errs = append(errs, w.Close())
	}
	if s.out.Last != nil {
		errs = append(errs, s.out.Last.Close())
	}
	if s.out.Instruments != nil {
		errs = append(errs, s.out.Instruments.Close())
	}
	if s.out.Definitions != nil {
		errs = append(errs, s.out.Definitions.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("feed: closing shared memory: %w", err)
	}
	return nil
}
