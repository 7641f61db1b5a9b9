package hwtest

import (
	"fmt"
	"time"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/tuning"
)

// cores are those of the receiver and of the sender: the plan's first HOT core, else the last that the process may use, and another one. -1: there
// is only one core, and the scheduler is to share it out.
func (r *run) cores() (receiver, sender int) {
	if meter.Cores() < 2 {
		return -1, -1
	}
	receiver = meter.Core(0)
	if len(r.Plan.Hot) > 0 {
		receiver = r.Plan.Hot[0]
	}
	return receiver, meter.Other(receiver, 0)
}

// wireBytes is what a frame takes on the wire beside its bytes: check sum, preamble and the gap between two.
const wireBytes = 4 + 8 + 12

// assumed is the link's speed where the driver does not tell, bit/s: nobody is asked for more packets than it carries.
const assumed = 10e9

// carries is how many frames of a size a link carries in a second.
func (r *run) carries(size int) float64 {
	speed, ok := r.wires.speed(r.host)
	if !ok {
		speed = assumed
	}
	return speed / 8 / float64(size+wireBytes)
}

// total adds up what the stretches of a group came to.
type total struct {
	sent, taken, disorder uint64
	losses                losses
}

func (t *total) add(k *taker, sent uint64) error {
	l, err := k.lost()
	if err != nil {
		return err
	}
	t.sent, t.taken, t.disorder = t.sent+sent, t.taken+k.count(), t.disorder+k.seen.disorder
	a := &t.losses
	a.seen, a.ringFull, a.fillEmpty, a.other, a.own, a.kicks = a.seen+l.seen, a.ringFull+l.ringFull, a.fillEmpty+l.fillEmpty, a.other+l.other, a.own+l.own, a.kicks+l.kicks
	return nil
}

// receive finds how many packets a second are taken without loss, by size, whether a burst of the ring's depth is, and whether the stated rate is
// for a long time.
func (r *run) receive(g *Group) error {
	sizes, span, halvings := []int{64, 128, 256, 512, 1024, 1500}, time.Second, 8
	if r.Quick {
		sizes, span, halvings = []int{64, 512, 1500}, 100*time.Millisecond, 5
	}
	r.note(g, "receive.layout", "the plan's layout", map[string]string{
		tuning.LayoutA: "A: the receiver spins, the driver's poll has a core of its own", tuning.LayoutB: "B: the receiver runs the driver's poll itself",
		tuning.Plain: "plain: sockets; what is measured here is AF_XDP all the same",
	}[r.Plan.Layout])
	var sum total
	drivers := r.drivers()
	bars := Plot{Title: "packets a second without loss, by bytes of the frame", Unit: "packets/s"}
	for i, size := range sizes {
		r.progress(fmt.Sprintf("frames of %d bytes", size), 0.6*float64(i)/float64(len(sizes)))
		if err := r.ctx.Err(); err != nil {
			return err
		}
		f, how, err := r.rate(&sum, size, span, halvings)
		if err != nil {
			return fmt.Errorf("frames of %d bytes: %w", size, err)
		}
		wanted := min(r.Rate, r.carries(size))
		t := r.figure(g, Test{ID: fmt.Sprintf("receive.rate.%d", size), Title: fmt.Sprintf("packets a second without loss, frames of %d bytes", size), Unit: "packets/s", Better: "more",
			Found: how, Why: "an opening brings more than the day's average"}, f.rate, &Limit{Op: ">=", Value: wanted}, tuning.Major)
		t.Figures = []Figure{{"without loss", f.rate, "packets/s"}, {"offered unpaced", f.offered, "packets/s"}, {"taken of that", f.taken, "packets/s"}, {"on the wire", f.rate * float64(size+wireBytes) * 8 / 1e9, "Gbit/s"}}
		if f.lossy > 0 {
			t.Figures = append(t.Figures, Figure{"loss begins by", f.lossy, "packets/s"})
		} else {
			t.Found += "; the sender was not fast enough to make it lose any"
		}
		bars.Bars = append(bars.Bars, Bar{Name: fmt.Sprintf("%d bytes", size), Value: f.rate, Limit: &wanted})
	}
	g.Plots = append(g.Plots, bars)
	if err := r.burst(g, &sum); err != nil {
		return fmt.Errorf("burst: %w", err)
	}
	if err := r.sustained(g, &sum); err != nil {
		return fmt.Errorf("stated rate: %w", err)
	}
	before := drivers.since()
	figures := append(sum.losses.figures(sum.sent, sum.taken), before.by...)
	r.judged(g, "receive.unexplained", sum.losses.unexplained(sum.sent, sum.taken, &before), figures...).Found = sum.losses.String()
	r.judged(g, "receive.disorder", float64(sum.disorder))
	return nil
}

// taking runs f with a receiver at work and a load, each on its core.
func (r *run) taking(sum *total, size int, o afxdp.Options, f func(*bout, string) error) error {
	on, from := r.cores()
	t := &taker{core: on, inline: r.Plan.Layout == tuning.LayoutB}
	defer t.close()
	o.BusyPoll = t.inline
	if err := t.open(r.wires, o); err != nil {
		return err
	}
	t.start()
	b := &bout{take: t}
	if err := r.sends(size, func(l load, how string) error {
		if from >= 0 {
			_ = pin.Thread(from) // without the right to, the figures are those of a thread that moves
		}
		b.load = l
		return f(b, how)
	}); err != nil {
		return err
	}
	t.settled(b.next, 3*quiet)
	if err := t.stop(); err != nil {
		return err
	}
	return sum.add(t, b.next)
}

func (r *run) rate(sum *total, size int, span time.Duration, halvings int) (f found, how string, err error) {
	search := func() error {
		return r.taking(sum, size, afxdp.Options{}, func(b *bout, by string) (err error) {
			how = by
			f, err = b.search(span, halvings)
			return err
		})
	}
	if err = search(); isSilent(err) && !r.noKernelLoad {
		r.noKernelLoad = true // a driver that sends no frames of a program
		err = search()
	}
	return f, how, err
}

// burst sends as many packets as the receive ring holds, as fast as it goes, again and again.
func (r *run) burst(g *Group, sum *total) error {
	r.progress("bursts", 0.6)
	const ring, times = 4096, 20
	lost, worst := uint64(0), uint64(0)
	fastest := 0.0
	err := r.taking(sum, testFrame, afxdp.Options{Ring: ring}, func(b *bout, _ string) error {
		for range times {
			s, err := b.try(ring, 0)
			if err != nil {
				return err
			}
			lost, worst, fastest = lost+s.sent-s.taken, max(worst, s.sent-s.taken), max(fastest, s.rate)
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.judged(g, "receive.burst", float64(lost), Figure{"bursts", times, ""}, Figure{"packets of each", ring, "packets"}, Figure{"lost of the worst", float64(worst), "packets"},
		Figure{"fastest", fastest, "packets/s"})
	return nil
}

// sustained sends at the stated rate for as long as is asked for.
func (r *run) sustained(g *Group, sum *total) error {
	rate := min(r.Rate, r.carries(testFrame))
	sent, lost := uint64(0), uint64(0)
	var took time.Duration
	err := r.taking(sum, testFrame, afxdp.Options{Ring: 1 << 14}, func(b *bout, _ string) error {
		const piece = 250 * time.Millisecond
		began := time.Now()
		for took < r.For && r.ctx.Err() == nil {
			r.progress(fmt.Sprintf("%s packets/s", thousands(rate)), 0.65+0.35*took.Seconds()/r.For.Seconds())
			// What the last piece left behind is caught up with, at twice the rate at most.
			span := max(min(piece, r.For-took), time.Millisecond).Seconds()
			due := min(rate*(took.Seconds()+span)-float64(b.next), 2*rate*span)
			n, _, err := b.load.Send(b.next, max(1, int(due)), max(due, 1)/span)
			if err != nil {
				return err
			}
			b.next += uint64(n)
			took = time.Since(began)
		}
		sent = b.next
		lost = sent - min(sent, b.take.settled(sent, 3*quiet))
		return r.ctx.Err()
	})
	if err != nil {
		return err
	}
	reached := float64(sent) / took.Seconds()
	t := r.judged(g, "receive.sustained", float64(lost), Figure{"sent", float64(sent), "packets"}, Figure{"rate as stated", rate, "packets/s"},
		Figure{"rate as sent", reached, "packets/s"}, Figure{"time", took.Seconds(), "s"})
	t.Found = fmt.Sprintf("of %s, at %s packets/s for %s", thousands(float64(sent)), thousands(reached), took.Round(time.Millisecond))
	if t.Status == tuning.Pass && reached < 0.95*rate {
		t.Status, t.Reason = tuning.Warn, fmt.Sprintf("the sender reached %s packets/s of the %s that are stated", thousands(reached), thousands(rate))
	}
	return nil
}
