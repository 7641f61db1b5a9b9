package xdp

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/tick"
)

// reset begins the channel anew: the seconds of before are void. What stays is the mapping, which holds for the day, and the symbols' own
// sequences: message 32 of each symbol follows.
func (d *Decoder) reset(p Product) {
	d.c.NoRow++
	if d.refreshing {
		return
	}
	d.base, d.last, d.newest, d.lagSec = [256]uint64{}, [256]uint64{}, 0, 0
	switch {
	case d.option != AnyProduct && p != d.option:
		d.c.OtherFeed++
	case d.option == AnyProduct && p != d.product:
		d.become(p)
	}
}

// reference sets the second of one matching engine, and of no other.
func (d *Decoder) reference(id, sec uint32) {
	if sec == 0 {
		d.c.Contradict++
		return
	}
	d.c.NoRow++
	if id > 255 || d.refreshing {
		return // no symbol's, or as old as the snapshot
	}
	ns := uint64(sec) * second
	d.base[id], d.last[id] = ns, ns
	d.newest = max(d.newest, ns)
	if d.sendNs == 0 {
		return
	}
	d.lagSec = int64(d.sendNs/second) - int64(sec)
	if d.lagSec >= -2 && d.lagSec <= 2 {
		d.lagSec = 0
	}
}

// doubt forgets the seconds after a gap of the channel before blocks: a message 2 may have been in it. Where numbers begin anew there is no gap.
func (d *Decoder) doubt(blocks []byte) {
	if m, _ := Next(blocks); m == nil || Type(m) == TypeSequenceNumberReset {
		return
	}
	d.c.Doubts++
	d.base = [256]uint64{}
}

// SetSendTime tells the send_time of the packet that the next messages are of, ns since the Unix epoch. Without it times are as good as
// ever while message 2 comes; what has no time of its own (message 3) and what is in doubt (seconds after a gap) is better with it. Hot path.
func (d *Decoder) SetSendTime(ns uint64) { d.sendNs = ns }

// doubtful is the second to add ns to when message 2 of the engine is missing or may have been lost. The publisher's send_time is later than the
// engine's by less than a second, so where ns is far above its own the engine's second is the one before (sheet section 7).
func (d *Decoder) doubtful(system uint8, ns uint64) (base uint64) {
	if d.sendNs != 0 {
		sec, within := int64(d.sendNs/second)-d.lagSec, d.sendNs%second
		if ns > within+second/2 {
			sec--
		}
		if sec > 0 {
			d.c.StopGap++
			return uint64(sec) * second
		}
	}
	if last := d.last[system]; last != 0 {
		d.c.Stale++
		return last
	}
	d.c.Timeless++
	return tick.UndefTime - ns
}

// now is the time of what has none of its own.
func (d *Decoder) now() uint64 {
	if sec := int64(d.sendNs/second) - d.lagSec; d.sendNs != 0 && sec > 0 {
		return uint64(sec)*second + d.sendNs%second
	}
	if d.newest != 0 {
		return d.newest
	}
	return d.midnight
}

// moment is a time in its two parts: those that are not simply nanoseconds of a second that is known, too.
func (d *Decoder) moment(system uint8, ns uint64) (base, within uint64) {
	if ns >= second {
		d.c.OddTimes++
		ns = second - 1
	}
	if base = d.base[system]; base == 0 {
		base = d.doubtful(system, ns)
	}
	return base, ns
}

// stamp is a complete time stamp.
func (d *Decoder) stamp(m []byte) uint64 {
	ns := binary.LittleEndian.Uint32(m[8:])
	if ns >= second {
		d.c.OddTimes++
		ns = second - 1
	}
	return uint64(binary.LittleEndian.Uint32(m[4:]))*second + uint64(ns)
}
