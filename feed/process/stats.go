package process

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/hist"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// exporter copies a lane's counters to the process's .stats file. The lane itself does it, between two passes: its
// counters are plain words that nobody else may look at.
type exporter struct {
	file    *ringbuf.StatsWriter
	entries []exported
	hists   []*hist.Export
	refresh []func() // bring counters up to date that are not plain words
	next    uint64
	turns   atomic.Uint64 // times that export copied: where a lane does it, its sign of life
}

type exported struct {
	handle int
	from   *uint64
}

// gauges are counters' fields that go up and down, beside those whose names tell.
var gauges = []string{"Mode", "HugePages", "Waiting"}

// also has f called before values are copied.
func (e *exporter) also(f func()) { e.refresh = append(e.refresh, f) }

const exportEveryNs = 10_000_000

// add registers every uint64 field of *counters under prefix.
func (e *exporter) add(prefix string, counters any) error {
	v := reflect.ValueOf(counters).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if f.Kind() != reflect.Uint64 || !unicode.IsUpper(rune(name[0])) {
			continue
		}
		kind := ringbuf.StatCounter
		if strings.HasPrefix(name, "Live") || strings.HasSuffix(name, "At") || strings.HasPrefix(name, "Max") || slices.Contains(gauges, name) {
			kind = ringbuf.StatGauge
		}
		if err := e.word(prefix+"."+snake(name), kind, (*uint64)(f.Addr().UnsafePointer())); err != nil {
			return err
		}
	}
	return nil
}

// addLane registers what a lane, its parser and its books count.
func (e *exporter) addLane(name string, r *laneRunner) error {
	parser, books := r.lane.Parser(), r.books.Counters()
	e.also(func() { r.books.Counters() })
	err := errors.Join(e.add(name+".lane", r.lane.Counters()), e.add(name+".itch", parser), e.add(name+".book", books))
	for typ := range parser.ByType {
		if itch.Length(byte(typ)) != 0 {
			err = errors.Join(err, e.word(fmt.Sprintf("%s.itch.type.%c", name, typ), ringbuf.StatCounter, &parser.ByType[typ]))
		}
	}
	for kind, what := range map[tick.Kind]string{
		tick.KindExec: "exec", tick.KindExecAt: "exec_at", tick.KindReduce: "reduce", tick.KindDelete: "delete", tick.KindReplace: "replace",
	} {
		err = errors.Join(err, e.word(name+".book.unknown."+what, ringbuf.StatCounter, &books.Unknown[kind]))
	}
	return err
}

// addChannel registers what a channel and its lines count.
func (e *exporter) addChannel(lane string, c *config.Channel, ch *session.Channel) error {
	err := e.add(lane+".channel."+c.Name, &ch.Session)
	for i := range c.Line {
		err = errors.Join(err, e.add(lane+".channel."+c.Name+".line."+c.Line[i].Name, &ch.Lines[i]))
	}
	return err
}

func (e *exporter) word(name string, kind ringbuf.StatKind, from *uint64) error {
	handle, err := e.file.Add(name, kind)
	e.entries = append(e.entries, exported{handle, from})
	return err
}

// powers registers an array that counts values by powers of two, ns.
func (e *exporter) powers(prefix, stage string, words []uint64) error {
	h, err := hist.RegisterPowers(e.file, prefix, stage, words)
	e.hists = append(e.hists, h)
	return err
}

// latency registers a histogram.
func (e *exporter) latency(prefix, stage string, words *hist.Hist) error {
	h, err := hist.Register(e.file, prefix, stage, words)
	e.hists = append(e.hists, h)
	return err
}

// export copies the values when it is time to, without allocation and without entering the kernel.
func (e *exporter) export(now uint64) {
	if early := e.next - now; early-1 < exportEveryNs { // more than that: the clock was set back
		return
	}
	e.next = now + exportEveryNs
	e.turns.Add(1)
	for _, f := range e.refresh {
		f()
	}
	for _, x := range e.entries {
		e.file.Set(x.handle, *x.from)
	}
	for _, h := range e.hists {
		h.Publish()
	}
}

// last copies the values for the last time: what is read afterwards is the whole.
func (e *exporter) last() {
	e.next = 0
	e.export(0)
}

// snake turns LostMessages into lost_messages, and NotUDP into not_udp.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
