package hwtest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/nic/clock"
	"github.com/tickwire/tickwire/tuning"
)

// nic is what the receiving port can do.
func (r *run) nic(g *Group) error {
	var d tuning.Driver
	if err := r.wires.ask(r.host, "driver", &d); err != nil {
		r.unknown(g, "nic.driver", "driver", tuning.Major, err)
	} else {
		r.note(g, "nic.driver", "driver", strings.TrimSpace(d.Driver+" "+d.Version+", firmware "+orNone(d.Firmware)))
	}
	for i, step := range []struct {
		what string
		run  func(*Group) error
	}{
		{"XDP in the driver", r.native}, {"zero-copy", r.zeroCopy}, {"starvation", r.starvation}, {"stamps", r.stamps}, {"steering", r.steering}, {"multicast filter", r.filter},
	} {
		r.progress(step.what, float64(i)/6)
		if err := step.run(g); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// tries opens a source in one mode and closes it.
func (r *run) tries(mode afxdp.Mode) error {
	t := &taker{core: -1}
	err := t.open(r.wires, afxdp.Options{Mode: mode, Least: mode})
	return errors.Join(err, t.close())
}

func (r *run) native(g *Group) error {
	const id, title, why = "nic.native_xdp", "XDP runs in the driver", "before the driver hands a frame to the stack there is no time lost on it"
	err := r.tries(afxdp.Copy)
	if err == nil {
		r.fact(g, id, title, true, tuning.Crit, "attached and bound, copy mode", why)
		return nil
	}
	if generic := r.tries(afxdp.Generic); generic != nil {
		return errors.Join(err, generic)
	}
	r.fact(g, id, title, false, tuning.Crit, fmt.Sprintf("only generic mode works: %v", err), why)
	return nil
}

func (r *run) zeroCopy(g *Group) error {
	const id, title, why = "nic.zero_copy", "the NIC writes into our memory (zero-copy)", "copying costs 0.2 to 0.5 µs a packet, and half the rate"
	err := r.tries(afxdp.ZeroCopy)
	refused := fmt.Sprintf("the driver refuses zero-copy, copy mode is used: %v", err)
	switch {
	case err == nil:
		r.fact(g, id, title, true, tuning.Major, "bound", why)
	case r.wires.pair != nil && errors.Is(err, unix.EOPNOTSUPP):
		r.skip(g, id, title, refused+" (a veth has none)")
	case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL):
		r.fact(g, id, title, false, tuning.Major, refused, why)
	default:
		r.unknown(g, id, title, tuning.Major, err)
	}
	return nil
}

// sends runs f with a load on a thread in the sending namespace. Where the kernel makes no frames (before Linux 5.18) a socket sends them.
func (r *run) sends(size int, f func(load, string) error) error {
	return r.wires.inTx(func() error {
		l, how, err := r.wires.newLoad(size, !r.noKernelLoad)
		if err != nil && !r.noKernelLoad {
			r.noKernelLoad = true
			l, how, err = r.wires.newLoad(size, false)
		}
		if err != nil {
			return err
		}
		defer l.Close()
		return f(l, how)
	})
}

const testFrame = 200 // bytes of frames where the size does not matter

// starvation has packets come while nobody takes any, then takes them, and looks whether it goes on.
func (r *run) starvation(g *Group) error {
	const id, title, why = "nic.starved_recovers", "packets come again after nobody took any", "some drivers stop for ever when they run out of memory and are not woken"
	t := &taker{core: -1}
	defer t.close()
	if err := t.open(r.wires, afxdp.Options{Ring: 64, Frames: 128}); err != nil {
		return err
	}
	sent := uint64(0)
	drivers := r.drivers()
	return r.sends(testFrame, func(l load, _ string) error {
		n, _, err := l.Send(0, 8*batch, slow/2)
		if err != nil {
			return err
		}
		sent += uint64(n)
		if err := t.still(); err != nil {
			return err
		}
		t.start()
		starved := t.settled(uint64(n), 5*quiet)
		m, _, err := l.Send(sent, 4*batch, 500) // slow enough for the smallest ring on a busy machine
		if err != nil {
			return err
		}
		sent += uint64(m)
		after := t.settled(starved+uint64(m), 5*quiet) - starved
		if err := t.stop(); err != nil {
			return err
		}
		lost, err := t.lost()
		if err != nil {
			return err
		}
		if starved == uint64(n) {
			r.note(g, "nic.starved", "packets that waited while nobody took any", fmt.Sprintf("all %d: the NIC's own memory held them, so it was not starved", n))
		}
		recovered := r.fact(g, id, title, after > 0, tuning.Crit, fmt.Sprintf("%d of %d that were sent while nobody took any, then %d of %d; the kernel was woken %d times", starved, n, after, m, lost.kicks), why)
		recovered.Figures = lost.figures(sent, t.count())
		before := drivers.since()
		r.judged(g, "nic.starved_unexplained", lost.unexplained(sent, t.count(), &before), append(lost.figures(sent, t.count()), before.by...)...)
		return nil
	})
}

// still waits until the program sees no more frames. Nobody may be polling.
func (t *taker) still() error {
	seen := ^uint64(0)
	for range 200 {
		l, err := t.lost()
		if err != nil {
			return err
		}
		if l.seen == seen {
			return nil
		}
		seen = l.seen
		time.Sleep(quiet / 2)
	}
	return errors.New("hwtest: frames come though none are sent")
}

// hardwareClock opens the receiving port's own clock. Without one, why says so, and judged whether that is a finding: a port of a cable whose driver has
// a clock is to stamp by it.
func (r *run) hardwareClock() (phc *clock.PHC, why string, judged bool) {
	var stamping tuning.Stamping
	if err := r.wires.ask(r.host, "stamping", &stamping); err != nil {
		return nil, fmt.Sprintf("the driver does not say what it stamps: %v", err), r.wires.pair == nil
	}
	if stamping.PHC < 0 {
		return nil, "the port has no clock of its own (no PHC): the kernel's stamps are used", false
	}
	err := r.wires.inRx(func() (err error) {
		if !clock.StampsAll(r.wires.rx[0]) { // it was told to, with the cables
			return errors.New("the NIC does not stamp every packet (filter ALL)")
		}
		phc, err = clock.OpenPHC(r.wires.rx[0], clock.FitOptions{})
		return err
	})
	if err != nil {
		return nil, err.Error(), true
	}
	return phc, "", true
}

// stamps looks at the times of arrival that packets carry.
func (r *run) stamps(g *Group) error {
	t := &taker{core: -1}
	defer t.close()
	o := afxdp.Options{}
	phc, lacking, judged := r.hardwareClock()
	if phc != nil {
		defer phc.Close()
		o.Stamp = func(string) func(uint64) (uint64, bool) { return phc.Convert }
	}
	if err := t.open(r.wires, o); err != nil {
		return err
	}
	t.start()
	const n = 64 * batch
	began := time.Now()
	if err := r.sends(testFrame, func(l load, _ string) error { _, _, err := l.Send(0, n, 20_000); return err }); err != nil {
		return err
	}
	t.settled(n, 5*quiet)
	if err := t.stop(); err != nil {
		return err
	}
	took, s := t.count(), &t.seen
	figures := []Figure{}
	for src, k := range s.by {
		if k > 0 {
			figures = append(figures, Figure{Name: "stamped by " + nic.StampSource(src).String(), Value: float64(k), Unit: "packets"})
		}
	}
	off := time.Duration(int64(s.stamp) - time.Now().UnixNano())
	sane := took > 0 && s.zero == 0 && s.stamp >= uint64(began.UnixNano()) && off <= time.Second
	found := fmt.Sprintf("%d packets, %d without a stamp", took, s.zero)
	if !sane && took > 0 {
		found += fmt.Sprintf("; the last is %s off this machine's clock", off)
	}
	r.fact(g, "nic.stamps", "packets carry a time of arrival that is none of another day", sane, tuning.Crit, found, "every latency, and the order of two lines, is told by it").Figures = figures
	back := r.fact(g, "nic.stamps_monotone", "the times never go back", took > 0 && s.back == 0, tuning.Major, fmt.Sprintf("%d of %d went back", s.back, took), "a record would be told in the wrong order")
	back.Figures = []Figure{{Name: "went back", Value: float64(s.back), Unit: "packets"}}
	const id, title, why = "nic.hardware_stamps", "the NIC stamps packets", "the kernel's stamp is late by what the driver's poll waited"
	switch by := s.by[nic.StampHardware]; {
	case phc != nil:
		r.fact(g, id, title, by == took && took > 0, tuning.Major, fmt.Sprintf("%d of %d; %s", by, took, phc.Source()), why)
	case judged:
		r.fact(g, id, title, false, tuning.Major, lacking, why)
	default:
		r.skip(g, id, title, lacking)
	}
	return nil
}

// steering looks whether a rule of the NIC brings a flow to its queue.
func (r *run) steering(g *Group) error {
	const id, title, why = "nic.ntuple", "rules steer a flow to its queue", "a flow on another queue is not received"
	var rules tuning.Rules
	if err := r.wires.ask(r.host, "rules", &rules); errors.Is(err, unix.EOPNOTSUPP) {
		r.skip(g, id, title, "the driver has no rules (EOPNOTSUPP): every queue is polled")
		return nil
	} else if err != nil {
		r.unknown(g, id, title, tuning.Crit, err)
		return nil
	}
	at := slices.IndexFunc(rules, func(rule tuning.Rule) bool { return rule.Group == lines[0].String() })
	if at < 0 {
		r.skip(g, id, title, fmt.Sprintf("none of %d rules is for the test's group: `ticktune flow add %s %s 0`, and look again", len(rules), r.wires.rx[0], lines[0]))
		return nil
	}
	t := &taker{core: -1}
	defer t.close()
	if err := t.openOn(r.wires, rules[at].Queue, afxdp.Options{}); err != nil {
		return err
	}
	t.start()
	const n = 16 * batch
	if err := r.sends(testFrame, func(l load, _ string) error { _, _, err := l.Send(0, n, 20_000); return err }); err != nil {
		return err
	}
	t.settled(n, 5*quiet)
	if err := t.stop(); err != nil {
		return err
	}
	if err := t.source.Refresh(); err != nil {
		return err
	}
	wrong := t.source.Kernel()[0].Program.WrongQueue + t.source.Kernel()[0].Program.NoSocket
	r.fact(g, id, title, wrong == 0 && t.count() == n, tuning.Crit, fmt.Sprintf("%d of %d came on queue %d, %d on another", t.count(), n, rules[at].Queue, wrong), why)
	return nil
}

// filter looks whether joining a group programs the port's filter of multicast addresses, and leaving clears it.
func (r *run) filter(g *Group) error {
	ip := lines[0].Addr().As4()
	mac := hex.EncodeToString([]byte{0x01, 0x00, 0x5E, ip[1] & 0x7F, ip[2], ip[3]})
	listed := func() (has bool, err error) {
		err = r.wires.inRx(func() error {
			text, err := os.ReadFile("/proc/thread-self/net/dev_mcast")
			for l := range bytes.Lines(text) {
				if f := strings.Fields(string(l)); len(f) == 5 && f[1] == r.wires.rx[0] && f[4] == mac {
					has = true
				}
			}
			return err
		})
		return has, err
	}
	t := &taker{core: -1}
	defer t.close()
	if err := t.open(r.wires, afxdp.Options{}); err != nil {
		return err
	}
	joined, err := listed()
	if err = errors.Join(err, t.close()); err != nil {
		return err
	}
	t.source = nil
	left, err := listed()
	if err != nil {
		return err
	}
	r.fact(g, "nic.multicast_filter", "joining a group programs the port's filter, leaving clears it", joined && !left, tuning.Crit,
		fmt.Sprintf("%s listed while joined: %v, after: %v", mac, joined, left), "a NIC that does not know the group drops its packets uncounted")
	return nil
}
