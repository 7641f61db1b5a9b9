package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/ringbuf"
)

// figures are the counters of plugins in a process's counter file. A version goes on counting where the one before it stopped (plugins.Seat.Take); what a plugin
// counted that was unloaded is kept for when it comes back. So a counter never goes back.
//
//	<lane>.plugin.<name>.rows, batches, dropped, flagged, refused, bypassed, errors, traps, cut, fuel, latency_ns
//	<lane>.plugin.<name>.max_latency_ns, live_taken_out                   gauges
//	<lane>.parser.<name>.…                                                the same of the plugin that is the feed's protocol: batches are packets
//	plugin.<name>.<key>                                                   gauges: what the plugin counts itself (import metric)
type figures struct {
	handles map[string]int
	shown   map[string]uint64             // counters: a chain that no lane has taken yet knows less than was shown
	leaving []leaving                     // chains that had plugins which are not there any more
	base    map[string]plugins.StageStats // what plugins counted that were unloaded, by lane and name
	full    bool                          // the file has no room: that was told
}

// leaving is a chain that another one takes the place of: it counts until its lane has left it.
type leaving struct {
	lane  *Lane
	chain *plugins.Chain
	gone  map[string]bool // plugins that the next one has not
}

func key(l *Lane, plugin string) string { return l.Name + ".plugin." + plugin }

// leave notes that a chain of these plugins takes the place of a lane's.
func (f *figures) leave(l *Lane, next []*entry) {
	if l.chain == nil {
		return
	}
	gone := map[string]bool{}
	for _, p := range l.chain.Plugins() {
		gone[p.Manifest().Name] = true
	}
	for _, e := range next {
		delete(gone, e.now.name())
	}
	if len(gone) > 0 {
		f.leaving = append(f.leaving, leaving{l, l.chain, gone})
	}
}

// settle adds what plugins counted on chains that their lanes have left.
func (f *figures) settle() {
	if f.base == nil {
		f.base = map[string]plugins.StageStats{}
	}
	kept := f.leaving[:0]
	for _, x := range f.leaving {
		select {
		case <-x.chain.Closed():
			for _, st := range x.chain.Stats() {
				if k := key(x.lane, st.Plugin); x.gone[st.Plugin] {
					f.base[k] = add(st, f.base[k])
				}
			}
		default:
			kept = append(kept, x)
		}
	}
	f.leaving = kept
}

// add gives a with b's counts added.
func add(st, b plugins.StageStats) plugins.StageStats {
	st.Rows += b.Rows
	st.Batches += b.Batches
	st.Dropped += b.Dropped
	st.Flagged += b.Flagged
	st.Refused += b.Refused
	st.Bypassed += b.Bypassed
	st.Errors += b.Errors
	st.Traps += b.Traps
	st.Cut += b.Cut
	st.Fuel += b.Fuel
	st.LatencySum += b.LatencySum
	st.LatencyMax = max(st.LatencyMax, b.LatencyMax)
	return st
}

// show writes the figures.
func (s *Set) show() {
	if s.o.Stats == nil {
		return
	}
	f := &s.figures
	f.settle()
	for _, l := range s.lanes {
		here := map[string]bool{}
		if l.chain != nil {
			for _, st := range l.chain.Stats() {
				here[key(l, st.Plugin)] = true
				s.showStage(key(l, st.Plugin), add(st, f.base[key(l, st.Plugin)]))
			}
		}
		for k, st := range f.base { // of plugins that are not there any more
			if !here[k] && strings.HasPrefix(k, l.Name+".plugin.") {
				st.Out = false
				s.showStage(k, st)
			}
		}
	}
	if e := s.speaks; e != nil {
		s.each(e, func(l *Lane, packets bool, st plugins.StageStats) {
			if packets {
				s.showStage(l.Name+".parser."+e.now.name(), st)
			}
		})
	}
	for _, e := range s.all() {
		own := e.now.plugin.Metrics()
		names := make([]string, 0, len(own))
		for name := range own {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			s.set("plugin."+e.now.name()+"."+clean(name), ringbuf.StatGauge, uint64(max(0, own[name])))
		}
	}
}

func (s *Set) showStage(prefix string, st plugins.StageStats) {
	for _, v := range []struct {
		name  string
		value uint64
	}{
		{"rows", st.Rows}, {"batches", st.Batches}, {"dropped", st.Dropped}, {"flagged", st.Flagged}, {"refused", st.Refused},
		{"bypassed", st.Bypassed}, {"errors", st.Errors}, {"traps", st.Traps}, {"cut", st.Cut}, {"fuel", st.Fuel}, {"latency_ns", st.LatencySum},
	} {
		s.set(prefix+"."+v.name, ringbuf.StatCounter, v.value)
	}
	s.set(prefix+".max_latency_ns", ringbuf.StatGauge, st.LatencyMax)
	out := uint64(0)
	if st.Out {
		out = 1
	}
	s.set(prefix+".live_taken_out", ringbuf.StatGauge, out)
}

// set shows a value, whose name is registered when it is shown first.
func (s *Set) set(name string, kind ringbuf.StatKind, value uint64) {
	f := &s.figures
	if f.handles == nil {
		f.handles, f.shown = map[string]int{}, map[string]uint64{}
	}
	handle, ok := f.handles[name]
	if !ok {
		var err error
		if handle, err = s.o.Stats.Add(name, kind); err != nil {
			if !f.full {
				f.full = true
				s.log.Error("counters of plugins", "err", fmt.Errorf("%w; further ones are not shown", err))
			}
			handle = -1
		}
		f.handles[name] = handle
	}
	if kind == ringbuf.StatCounter {
		value = max(value, f.shown[name])
		f.shown[name] = value
	}
	if handle >= 0 {
		s.o.Stats.Set(handle, value)
	}
}

// clean makes a plugin's own word fit for a dotted name.
func clean(word string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, strings.ToLower(word))
}
