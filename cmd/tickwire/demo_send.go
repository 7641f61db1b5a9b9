package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/sim/itchgen"
)

// send generates the session and sends it on both lines until ctx ends, counting messages.
func (d *demoRun) send(ctx context.Context, sent *atomic.Uint64) (err error) {
	g, err := itchgen.New(itchgen.Options{Live: true, Symbols: d.names, Seed: d.seed})
	if err != nil {
		return usageError{err}
	}
	var lines [2]*udp.Sender
	for i := range lines {
		if lines[i], err = udp.NewSender(d.groups[i], "lo", 0); err != nil {
			return err
		}
		defer lines[i].Close()
	}
	midnight, err := itch.MidnightBefore(uint64(time.Now().UnixNano()))
	if err != nil {
		return err
	}
	var session [10]byte
	copy(session[:], fmt.Sprintf("DEMO%06d", os.Getpid()%1_000_000))
	runtime.LockOSThread() // the sleeps below are the kernel's: a Go timer is too coarse for packets
	defer runtime.UnlockOSThread()
	pause := unix.NsecToTimespec(int64(500 * time.Microsecond))
	var packet, message []byte
	began, n := time.Now(), uint64(0)
	for ctx.Err() == nil {
		due := uint64(time.Since(began).Seconds() * float64(d.rate))
		for n < due {
			// A packet has what is due, as much as fits: one message on a calm feed, full ones in a burst.
			packet = moldudp64.AppendHeader(packet[:0], moldudp64.Header{Session: session, Sequence: n + 1})
			count := 0
			for n < due && len(packet) < mostPayload-64 {
				now := uint64(time.Now().UnixNano())
				message = g.NextAt(message[:0], now-midnight)
				packet, _ = moldudp64.AppendBlock(packet, message) // messages are far below a block's bound
				count++
				n++
			}
			binary.BigEndian.PutUint16(packet[18:], uint16(count))
			for _, l := range lines {
				if _, err := l.Send([][]byte{packet}); err != nil {
					return err
				}
			}
			sent.Store(n)
		}
		_ = unix.Nanosleep(&pause, nil)
	}
	end := moldudp64.AppendHeader(packet[:0], moldudp64.Header{Session: session, Sequence: n + 1, Count: moldudp64.EndOfSession})
	for _, l := range lines {
		if _, err := l.Send([][]byte{end}); err != nil {
			return err
		}
	}
	return nil
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
