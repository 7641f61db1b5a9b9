package hwtest

import (
	"fmt"
	"time"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
)

// faultsOf are what goes wrong on the lines in a soak: each loses, doubles, reorders and damages packets, both lose some together, and the server
// that could give them again loses requests, and answers some wrongly.
func faultsOf(seed uint64) (mold.LinesOptions, mold.RequestOptions) {
	line := mold.Line{
		LossPPM: 20_000, DuplicatePPM: 10_000, ReorderPPM: 10_000, CorruptPPM: 5_000, BurstPPM: 500, BurstPackets: 20,
		Corrupt: mold.CorruptHeader | mold.CorruptLength | mold.CorruptTruncate, // what a receiver can tell
	}
	b := line
	b.DelayNs, b.JitterNs = 500_000, 100_000
	return mold.LinesOptions{A: line, B: b, BothPPM: 1_000, BothPackets: 5, Seed: seed}, mold.RequestOptions{LossPPM: 50_000, WrongPPM: 50_000}
}

// soak runs a whole feed with faults, for as long as it is told to, and adds up.
func (r *run) soak(g *Group) error {
	pace := min(r.pace(), 50_000)
	total := uint64(pace*r.For.Seconds()) + opening
	o := exchange.Options{Gen: itchgen.Options{Symbols: symbols, Messages: total}, Pace: fmt.Sprintf("%.0f/s", pace), Linger: time.Hour, Ends: 3}
	o.Lines, o.Requests.RequestOptions = faultsOf(r.Seed)
	return r.staged(o, func(s *stage) error {
		d, err := s.feed.follow(ringbuf.KindMbp1, ringbuf.JoinOldest, time.Now())
		if err != nil {
			return err
		}
		s.venue.play(r.ctx)
		began := time.Now()
		for s.venue.Messages() < total {
			r.progress(fmt.Sprintf("%s messages/s, faults on both lines", thousands(pace)), float64(s.venue.Messages())/float64(total))
			if err := r.sleep(50 * time.Millisecond); err != nil {
				_ = d.end()
				return err
			}
			if time.Since(began) > 2*r.For+patience {
				_ = d.end()
				return fmt.Errorf("hwtest: the exchange sent %d of %d messages in %s", s.venue.Messages(), total, time.Since(began).Round(time.Second))
			}
		}
		err = s.whole()
		if end := d.end(); err == nil {
			err = end
		}
		if err != nil && r.ctx.Err() != nil {
			return err
		}
		short := err // what is not all there is a finding, and it is added up below
		if err := s.venue.end(); err != nil {
			return err
		}
		if err := s.sleep(200 * time.Millisecond); err != nil { // counters are copied each 10 ms
			return err
		}
		c := s.venue.Counters()
		k, _ := s.feed.counters()
		sent, published, lost := float64(c.Messages), float64(k[messages]), float64(k[lostFor])
		t := r.judged(g, "soak.unbalanced", max(sent-published-lost, published+lost-sent), Figure{"sent", sent, "messages"}, Figure{"published", published, "messages"},
			Figure{"named as lost", lost, "messages"}, Figure{"on neither line", float64(c.LostMessages), "messages"}, Figure{"records read", float64(d.count), "records"},
			Figure{"asked for", float64(k["0.channel.0.ask.asked_messages"]), "messages"}, Figure{"recovered", float64(k["0.channel.0.ask.recovered"]), "messages"})
		if short != nil {
			t.Found = short.Error()
		}
		r.judged(g, "soak.lost", lost)
		apart, figures := 0.0, []Figure{}
		for i, line := range []string{"A", "B"} {
			took := float64(taken(k, line))
			apart += max(0, float64(c.Lines[i].Sent)-float64(c.SendFails[i])-took)
			figures = append(figures, Figure{"line " + line + ", sent", float64(c.Lines[i].Sent), "packets"}, Figure{"line " + line + ", taken", took, "packets"},
				Figure{"line " + line + ", lost on purpose", float64(c.Lines[i].Lost), "packets"}, Figure{"line " + line + ", damaged on purpose", float64(c.Lines[i].Corrupted), "packets"},
				Figure{"line " + line + ", refused by the kernel", float64(c.SendFails[i]), "packets"})
		}
		r.judged(g, "soak.packets", apart, figures...)
		r.judged(g, "soak.reader", float64(d.lost))
		return nil
	})
}

// taken are packets of a line that the feed counts, in whatever state they came.
func taken(k map[string]uint64, line string) (n uint64) {
	for _, name := range []string{"packets", "short", "foreign", "zero", "far"} {
		n += k["0.channel.0.line."+line+"."+name]
	}
	return n
}
