package hwtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/bench/plot"
	"github.com/tickwire/tickwire/internal/hist"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tuning"
)

// symbols of generated sessions, and the messages by which each of them trades: before, a session tells its directory, which makes no prices.
const (
	symbols = 100
	opening = 50 * symbols
)

// pace is the messages a second of sessions whose latency or completeness is looked at: a fifth of the stated packets.
func (r *run) pace() float64 { return max(1000, min(r.Rate/5, 200_000)) }

// latency measures the time from the stamp of a packet (the NIC's, else the kernel's) to its records in the ring, through a whole feed.
func (r *run) latency(g *Group) error {
	pace := r.pace()
	o := exchange.Options{Gen: itchgen.Options{Symbols: symbols}, Pace: fmt.Sprintf("%.0f/s", pace)} // without end: it is stopped
	return r.staged(o, func(s *stage) error {
		s.venue.play(r.ctx)
		if err := s.opens(); err != nil {
			return err
		}
		began := time.Now()
		d, err := s.feed.follow(ringbuf.KindMbp1, ringbuf.JoinLive, began)
		if err != nil {
			return err
		}
		for left := r.For; left > 0 && err == nil; left = r.For - time.Since(began) {
			r.progress(fmt.Sprintf("%s messages/s", thousands(pace)), 1-left.Seconds()/r.For.Seconds())
			err = r.sleep(min(left, 100*time.Millisecond))
		}
		if err = errors.Join(err, d.end(), s.venue.end()); err != nil {
			return err
		}
		if err := s.whole(); err != nil {
			return err
		}
		return r.latencies(g, s, d)
	})
}

func (r *run) latencies(g *Group, s *stage, d *reader) error {
	var pid int
	stages, rest := hist.Parse(s.feed.stats(&pid))
	k := map[string]uint64{}
	for _, c := range rest {
		k[c.Name] = c.Value
	}
	q := meter.QuantilesOf(d.hist)
	if q.Count == 0 {
		return fmt.Errorf("hwtest: no record came of %d messages; the feed said:\n%s", s.venue.Messages(), s.feed.said)
	}
	figures := []Figure{
		{"records", float64(q.Count), ""}, {"p50", float64(q.P50), "ns"}, {"p90", float64(q.P90), "ns"}, {"p99", float64(q.P99), "ns"},
		{"p99.9", float64(q.P999), "ns"}, {"p99.99", float64(q.P9999), "ns"}, {"worst", float64(q.Worst), "ns"}, {"published before received", float64(d.back), ""},
	}
	r.judged(g, "latency.stamp_to_ring.p50", float64(q.P50), figures...)
	r.judged(g, "latency.stamp_to_ring.p99", float64(q.P99))
	r.judged(g, "latency.stamp_to_ring.p9999", float64(q.P9999))
	r.figure(g, Test{ID: "latency.stamp_to_ring.worst", Title: "stamp → ring, the worst", Unit: "ns", Better: "less"}, float64(q.Worst), nil, tuning.Info)
	by := "the kernel's"
	if hw := k["0.xdp.hardware"]; hw > 0 {
		by = fmt.Sprintf("the NIC's (%d packets)", hw)
	}
	r.note(g, "latency.stamps", "stamps are", by)
	p := Plot{Title: fmt.Sprintf("from the stamp of a packet to its record in the ring, %s messages/s", thousands(r.pace())), Note: r.report.Machine.String() + "\n" + r.report.Wires.Note}
	p.Lines = append(p.Lines, line(plot.FromHistogram("stamp → ring", d.hist, false)))
	for _, st := range []struct{ name, shown string }{{"stamp_to_poll", "stamp → poll"}, {"pass", "poll → ring (a pass)"}} {
		for i := range stages {
			if h := &stages[i]; h.Stage == st.name && h.Count() > 0 {
				p.Lines = append(p.Lines, stageLine(st.shown, &h.Snapshot))
				g.test("latency.stamp_to_ring.p50").Figures = append(g.test("latency.stamp_to_ring.p50").Figures,
					Figure{st.shown + ", p50", float64(h.Quantile(0.5)), "ns"}, Figure{st.shown + ", p99", float64(h.Quantile(0.99)), "ns"}, Figure{st.shown + ", worst", float64(h.Max()), "ns"})
			}
		}
	}
	g.Plots = append(g.Plots, p)
	sent := s.venue.Messages()
	lost := float64(sent) - float64(k[messages])
	r.judged(g, "latency.lost", max(0, lost), Figure{"sent", float64(sent), "messages"}, Figure{"published", float64(k[messages]), "messages"}, Figure{"named as lost", float64(k[lostFor]), "messages"},
		Figure{"records lost by the reader", float64(d.lost), "records"})
	return nil
}

// stageLine is a lane's own histogram as a line: known to within a fifth.
func stageLine(name string, s *hist.Snapshot) Line {
	l := Line{Name: name, Dashed: true, Points: [][2]float64{}}
	n, seen := float64(s.Count()), uint64(0)
	for i, c := range s.Counts {
		if c == 0 || s.Bounds[i] == hist.Inf {
			continue
		}
		seen += c
		l.Points = append(l.Points, [2]float64{min(float64(seen)/n, 1-1/(2*n)), float64(s.Bounds[i])})
	}
	return l
}
