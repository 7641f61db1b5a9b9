package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
)

// sentEvery is how often the screen hears of what was sent.
const sentEvery = 20 * time.Millisecond

// send plays a generated session on both lines until ctx ends, counting messages.
func (d *demoRun) send(ctx context.Context, sent *atomic.Uint64) error {
	_, tx := d.interfaces()
	o := exchange.Options{
		Interfaces: tx,
		Gen:        itchgen.Options{Symbols: d.names, Seed: d.seed},
		Pace:       fmt.Sprintf("%d/s", d.rate),
		Session:    fmt.Sprintf("DEMO%06d", os.Getpid()%1_000_000),
		Lines:      mold.LinesOptions{A: mold.Line{Group: d.groups[0]}, B: mold.Line{Group: d.groups[1]}, Seed: d.seed},
	}
	if err := o.Validate(); err != nil {
		return usageError{err}
	}
	var e *exchange.Exchange
	if err := d.inside(sending, func() (err error) { e, err = exchange.New(o); return err }); err != nil {
		return err
	}
	done := make(chan struct{})
	counting := make(chan struct{})
	go func() {
		defer close(counting)
		tick := time.NewTicker(sentEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				sent.Store(e.Messages())
			}
		}
	}()
	err := e.Run(ctx)
	close(done)
	<-counting
	sent.Store(e.Messages())
	return errors.Join(err, e.Close())
}

// recordSpan is how much of a session is recorded when there is no multicast and no end was given.
const recordSpan = 60 * time.Second

// record writes a session to a file, stamped as if it began now, for a demo without multicast.
func (d *demoRun) record(path string) (err error) {
	span := d.span
	if span <= 0 {
		span = recordSpan
	}
	g, err := itchgen.New(itchgen.Options{Live: true, Symbols: d.names, Seed: d.seed})
	if err != nil {
		return usageError{err}
	}
	now := uint64(time.Now().UnixNano())
	midnight, err := itch.MidnightBefore(now)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	total := uint64(span.Seconds() * float64(d.rate))
	var out []byte
	for n := range total {
		at := len(out)
		out = g.NextAt(append(out, 0, 0), now-midnight+n*1_000_000_000/uint64(d.rate))
		binary.BigEndian.PutUint16(out[at:], uint16(len(out)-at-2))
		if len(out) > 1<<20 || n == total-1 {
			if _, err := f.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	_, err = f.Write([]byte{0, 0})
	return err
}
