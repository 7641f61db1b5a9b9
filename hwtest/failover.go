package hwtest

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tuning"
)

// failover breaks one thing after the other under a feed that runs, and takes the time until it is noticed and until it is mended.
func (r *run) failover(g *Group) error {
	pace := min(r.pace(), 10_000)
	// A session without end: it is stopped when the last thing is mended.
	o := exchange.Options{Gen: itchgen.Options{Symbols: symbols}, Pace: fmt.Sprintf("%.0f/s", pace)}
	return r.staged(o, func(s *stage) error {
		s.venue.play(r.ctx)
		if err := s.opens(); err != nil {
			return err
		}
		for i, step := range []struct {
			what string
			run  func(*Group) error
		}{{"line A unplugged", s.unplugged}, {"both links down", s.flap}, {"reset of the port", s.reset}, {"receiver killed", s.killed}} {
			r.progress(step.what, float64(i)/4)
			if err := step.run(g); err != nil {
				return fmt.Errorf("%s: %w", step.what, err)
			}
		}
		const id, title = "failover.ptp4l", "ptp4l restarts, and every packet is still stamped"
		var stamping tuning.Stamping
		if err := r.wires.ask(r.host, "stamping", &stamping); err != nil || stamping.PHC < 0 {
			r.skip(g, id, title, "the port has no clock of its own (no PHC)")
		} else {
			r.skip(g, id, title, "the unit is the site's: `systemctl restart ptp4l`, then `ticktune check --only ptp.rxfilter` (filter ALL)")
		}
		return nil
	})
}

// flows waits until records come that were received after a moment.
func (s *stage) flows(after time.Time) error {
	d, err := s.feed.follow(ringbuf.KindMbo, ringbuf.JoinOldest, after)
	if err != nil {
		return err
	}
	defer d.end()
	return s.await(patience, "no record comes", func() (bool, error) { return d.after(after) != 0, nil })
}

// down is how long a link stays down.
func (s *stage) down() time.Duration {
	if s.Quick {
		return 300 * time.Millisecond
	}
	return 2 * time.Second
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// unplugged pulls line A out. Line B is to go on as if nothing had been.
func (s *stage) unplugged(g *Group) error {
	if !s.wires.apart() {
		for _, l := range []string{"noticed", "pause", "lost", "back"} {
			id := "failover.unplug." + l
			s.skip(g, id, by(id).title, "both lines go over one cable: name two ports and two peers")
		}
		return nil
	}
	d, err := s.feed.follow(ringbuf.KindMbo, ringbuf.JoinLive, time.Now())
	if err != nil {
		return err
	}
	defer d.end()
	downs, lost := s.feed.value("links.downs"), s.feed.value(lostFor)
	out := time.Now()
	if err := s.wires.set(0, false); err != nil {
		return err
	}
	plugged := false
	defer func() {
		if !plugged {
			_ = s.wires.set(0, true)
		}
	}()
	if err := s.await(patience, "the feed does not notice that line A is out", func() (bool, error) { return s.feed.value("links.downs") > downs, nil }); err != nil {
		return err
	}
	noticed := time.Since(out)
	if err := s.sleep(max(0, s.down()-time.Since(out))); err != nil {
		return err
	}
	end := time.Now()
	if err := s.await(patience, "no record comes by line B", func() (bool, error) { return d.after(end) != 0, nil }); err != nil {
		return err
	}
	pause := d.pause(out, end)
	packets := s.feed.value(packetsA)
	in := time.Now()
	if err := s.wires.set(0, true); err != nil {
		return err
	}
	plugged = true
	if err := s.await(patience, "nothing comes by line A any more", func() (bool, error) { return s.feed.value(packetsA) > packets, nil }); err != nil {
		return err
	}
	back := time.Since(in)
	s.judged(g, "failover.unplug.noticed", ms(noticed)).Found = "by the counter of links that went down, which is copied each 10 ms"
	s.judged(g, "failover.unplug.pause", ms(pause))
	s.judged(g, "failover.unplug.lost", float64(s.feed.value(lostFor)-lost))
	s.judged(g, "failover.unplug.back", ms(back))
	return nil
}

// flap sets all links down and up again: what was sent meanwhile is asked for.
func (s *stage) flap(g *Group) error {
	d, err := s.feed.follow(ringbuf.KindMbo, ringbuf.JoinLive, time.Now())
	if err != nil {
		return err
	}
	defer d.end()
	k, _ := s.feed.counters()
	both := func(up bool) error { return errors.Join(s.wires.set(0, up), s.wires.set(1, up)) }
	if err := both(false); err != nil {
		return errors.Join(err, both(true))
	}
	err = s.sleep(s.down() / 2)
	up := time.Now()
	if err := errors.Join(err, both(true)); err != nil {
		return err
	}
	if err := s.await(patience, "no record comes since the links are up", func() (bool, error) { return d.after(up) != 0, nil }); err != nil {
		return err
	}
	back := time.Duration(d.after(up) - uint64(up.UnixNano()))
	// What is missing is asked for: until there is no hole any more.
	if err := s.await(patience, "the gap is not mended", func() (bool, error) {
		now, _ := s.feed.counters()
		return now[messages] > k[messages] && now["0.channel.0.live_holes"] == 0 && now["0.channel.0.live_held"] == 0, nil
	}); err != nil {
		return err
	}
	mended := time.Since(up)
	now, _ := s.feed.counters()
	s.judged(g, "failover.flap.back", ms(back), Figure{"links were down", ms(s.down() / 2), "ms"}, Figure{"no hole any more", ms(mended), "ms"},
		Figure{"asked for", float64(now["0.channel.0.ask.asked_messages"] - k["0.channel.0.ask.asked_messages"]), "messages"})
	s.judged(g, "failover.flap.lost", float64(now[lostFor]-k[lostFor]))
	return nil
}

// reset has the driver reset the port.
func (s *stage) reset(g *Group) error {
	const id, title = "failover.reset", "the port is reset: messages come again"
	d, err := s.feed.follow(ringbuf.KindMbo, ringbuf.JoinLive, time.Now())
	if err != nil {
		return err
	}
	defer d.end()
	began := time.Now()
	if err := s.wires.inRx(func() error { return resetPort(s.wires.rx[0]) }); errors.Is(err, unix.EOPNOTSUPP) {
		s.skip(g, id, title, "the driver has no reset (EOPNOTSUPP)")
		return nil
	} else if err != nil {
		s.unknown(g, id, title, tuning.Major, err)
		return nil
	}
	done := time.Now()
	if err := s.await(patience, "no record comes since the port was reset", func() (bool, error) { return d.after(done) != 0, nil }); err != nil {
		return err
	}
	s.figure(g, Test{ID: id, Title: title, Unit: "ms", Better: "less", Why: "no prices until then"}, ms(time.Since(began)), s.limit(by("failover.flap.back")), tuning.Major)
	return nil
}

// resetPort is `ethtool --reset IF dedicated`: what the port does not share with others.
func resetPort(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := struct{ cmd, data uint32 }{unix.ETHTOOL_RESET, 0xFFFF} // ETH_RESET_DEDICATED
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = unsafe.Pointer(&value)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return errno
	}
	return nil
}

// killed ends the receiver as nothing else does, and starts the next one once that is noticed: a supervisor does it at once, readers see a ring that is
// silent for 50 ms.
func (s *stage) killed(g *Group) error {
	ring, err := ringbuf.Open(s.feed.ring(ringbuf.KindMbp1), ringbuf.ReaderOptions{})
	if err != nil {
		return err
	}
	at := time.Now()
	silent := make(chan time.Duration, 1)
	go func() {
		for until := at.Add(patience); ring.Alive() && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		silent <- time.Since(at)
	}()
	if err := s.feed.kill(); err != nil {
		<-silent
		return errors.Join(err, ring.Close())
	}
	exit := time.Since(at)
	noticed := <-silent // the ring is nobody's but ours again
	if err := ring.Close(); err != nil {
		return err
	}
	next, err := s.startFeed(s.dir, s.venue.Exchange)
	if err != nil {
		return err
	}
	s.feed = next
	polls := time.Since(at)
	if err := s.flows(at); err != nil {
		return err
	}
	back := time.Since(at)
	if err := s.await(patience, "books are not whole again", func() (bool, error) {
		k, _ := s.feed.counters()
		return k[messages] > 0 && k["0.resync.live_state"] == 0 && k["0.channel.0.live_holes"] == 0, nil
	}); err != nil {
		return err
	}
	s.judged(g, "failover.kill.noticed", ms(noticed), Figure{"the supervisor saw it end", ms(exit), "ms"})
	s.judged(g, "failover.kill.back", ms(back), Figure{"its successor polls", ms(polls), "ms"}, Figure{"books are whole again", ms(time.Since(at)), "ms"})
	return nil
}
