package process

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/tick"
)

// fixFeed is a session at a FIX venue in the place of a lane's sockets.
//
//	venue ──TCP──► Client (goroutines) ──ring of bytes──► Source ──► lane: direct ──► decoder, books, rings
//
// What is missing comes back by a subscription anew. The client sees to that itself where the session lacks messages; where the messages say so (a
// count of the venue's own, an entry that is not there, a message that cannot be read) the lane sees it, and the housekeeping asks for it:
//
//	lane: decoder, books ──doubtful──► housekeeping ──question──► lane ──missing──► housekeeping ──Resubscribe──► client
type fixFeed struct {
	client  *fixsession.Client
	source  *fixsession.Source
	stream  *pipeline.Stream
	decoder *fix.Decoder
	log     *slog.Logger

	// The lane's.
	next    uint64 // number of the message that comes next, as Source counts; 0: none came yet
	breaks  uint64 // of Source, those that are records
	refused uint64 // by the decoder, when it was last looked at
	doubts  uint64 // of decoder and books, at that time
	all     bool   // since the last answer a message could not be read: nobody knows who lacks what it said

	doubtful atomic.Bool             // lane: somebody lacks something
	question atomic.Bool             // housekeeping: who does now?
	missing  atomic.Pointer[missing] // lane: the answer

	// The housekeeping's.
	counts FIXCounters
	asked  time.Time     // when it asked last
	wait   time.Duration // before it asks again
}

// missing is who lacks something.
type missing struct {
	all     bool // nobody knows who
	symbols []string
}

// FIXCounters are a session's, as they are exported: copied by the housekeeping. See fixsession.Counters.
type FIXCounters struct {
	Bytes, Frames, Garbled, TooLong, Junk, NoNumber, Malformed, Slow, Backlog, Connections, Logons, Logouts uint64
	Messages, Resends, Reasked, Gaps, Rejects, Stale, RingFull, Resubscribe, Renewed, Breaks                uint64
	LiveUp                                                                                                  uint64 // 1: logged on
}

// FIXConfig is a session's configuration as package fixsession wants it.
func FIXConfig(f *config.Feed, log *slog.Logger) (fixsession.Config, error) {
	x := &f.FIX
	version, err := fixsession.ParseVersion(x.Version)
	if err != nil {
		return fixsession.Config{}, err
	}
	c := fixsession.Config{
		Session: fixsession.Session{
			Version: version, SenderCompID: x.Sender, TargetCompID: x.Target, StoreDir: x.StoreDir, Log: log,
			Schedule: fixsession.Schedule{Start: x.Start, End: x.End, StartDay: x.StartDay, EndDay: x.EndDay, Zone: x.Zone},
		},
		Name: f.Name, Address: x.Address, Heartbeat: time.Duration(x.Heartbeat), ResetOnLogon: x.Reset, TLS: FIXTLS(&x.TLS),
		CredentialsFile: x.CredentialsFile, Symbols: x.Symbols, List: x.List, Depth: x.Depth, FullRefresh: x.FullRefresh, Orders: f.Product == "orders",
	}
	return c, c.Validate()
}

// FIXTLS is a connection's TLS as package fixsession wants it.
func FIXTLS(t *config.TLS) fixsession.TLS {
	return fixsession.TLS{Use: t.Use, CertFile: t.Cert, KeyFile: t.Key, CAFile: t.CA, ServerName: t.ServerName}
}

// dial opens the session and makes its messages the lane's input.
func (r *laneRunner) dial(f *config.Feed, log *slog.Logger) error {
	c, err := FIXConfig(f, log.With("lane", r.name))
	if err != nil {
		return err
	}
	x := &fixFeed{stream: r.lane.Main(), log: log.With("lane", r.name)}
	var ok bool
	if x.decoder, ok = x.stream.Decoder().(*fix.Decoder); !ok {
		return errors.New("source tcp: only protocol fix comes by a session")
	}
	if x.client, x.source, err = fixsession.OpenSource(c); err != nil {
		return err
	}
	r.fix = x
	r.input.Source, r.input.Direct, r.input.Latency = waiting{x.source}, x.take, &r.latency
	r.kernel.also(x.tend)
	return errors.Join(
		r.kernel.add(r.name+".fix", &x.counts), r.export.add(r.name+".fix.decoder", &x.decoder.Counters), r.export.add(r.name+".poll", &r.input.Counters),
		r.export.latency(r.name+".lane", "pass", &r.latency.Pass), r.export.latency(r.name+".lane", "stamp_to_ring", &r.latency.Published),
	)
}

// take hands one message to the lane. Where numbers are left out messages may be missing: what became of the books is not known until the
// venue's next whole state. Hot path.
func (x *fixFeed) take(p *nic.Packet, _ uint64) {
	switch {
	case x.next == 0:
		x.stream.SessionStart([10]byte{})
		x.breaks = p.Frame - 1
	case p.Frame > x.next:
		x.broke(p.Frame - x.next)
	}
	x.next = p.Frame + 1
	x.stream.Messages(p.Data, p.Frame, 1, session.Arrival{TsRecv: p.TsRecv, Stamp: p.Stamp})
}

// broke makes so many breaks of the session a gap. Lane.
func (x *fixFeed) broke(n uint64) {
	x.stream.Gap(session.Gap{First: x.next, Last: x.next + n - 1, State: tick.GapLost})
	x.next += n
	x.breaks += n
}

// between looks, between two passes, for what became doubtful: a break is one at once, not when the next message comes. Lane.
func (x *fixFeed) between(r *laneRunner) {
	// Breaks before Drained: what was put before the break has been taken then, and what comes behind it is seen by its number.
	if breaks := x.source.Breaks(); x.next != 0 && breaks != x.breaks && x.source.Drained() {
		x.broke(breaks - x.breaks)
	}
	refused := x.decoder.Refused()
	doubts := refused + x.decoder.Losses()
	if r.kept.Prices != nil {
		c := r.kept.Prices.Counters()
		doubts += c.Absent + c.PriceMismatch + c.OutOfOrder + c.BadSide + c.BadPrice + c.BadCode + c.ZeroSize + c.ThruFrom + c.RanOut
	}
	if doubts != x.doubts {
		x.all = x.all || refused != x.refused
		x.doubts, x.refused = doubts, refused
		x.doubtful.Store(true)
	}
	if x.question.Load() {
		x.question.Store(false)
		x.missing.Store(x.suspects(r))
	}
}

// suspects is who lacks something now. Lane, at most once each leastAsk.
func (x *fixFeed) suspects(r *laneRunner) *missing {
	m := &missing{all: x.all}
	if x.all {
		x.all = false
		return m
	}
	x.decoder.Instruments(func(id uint32) bool {
		if r.books.Suspect(id) || r.kept.Prices != nil && r.kept.Prices.Suspect(id) {
			m.symbols = append(m.symbols, x.decoder.Symbol(id))
		}
		return true
	})
	return m
}

const (
	// leastAsk and mostAsk bound the time between two rounds of subscriptions for what is missing, which doubles while there are new losses.
	leastAsk = 3 * time.Second
	mostAsk  = time.Minute
)

// resubscribe asks for what is missing, when it is time to. Housekeeping.
func (x *fixFeed) resubscribe(now time.Time) {
	m := x.missing.Swap(nil)
	if m == nil {
		if now.Sub(x.asked) >= x.wait && x.doubtful.Swap(false) {
			x.question.Store(true)
		}
		return
	}
	if !m.all && len(m.symbols) == 0 {
		return // what was lost has come back meanwhile
	}
	if x.wait = min(max(2*x.wait, leastAsk), mostAsk); now.Sub(x.asked) > mostAsk {
		x.wait = leastAsk
	}
	x.asked = now
	if m.all {
		x.log.Warn("a message could not be read: everything is subscribed to anew")
		x.client.Resubscribe()
		return
	}
	x.log.Warn("instruments lack something at the venue's own count: they are subscribed to anew", "instruments", len(m.symbols), "first", m.symbols[0])
	x.client.Resubscribe(m.symbols...)
}

// tend asks for what is missing and copies the session's counters. Housekeeping.
func (x *fixFeed) tend() {
	x.resubscribe(time.Now())
	c := x.client.Counters()
	x.counts = FIXCounters{
		Bytes: c.Bytes.Load(), Frames: c.Frames.Load(), Garbled: c.Garbled.Load(), TooLong: c.TooLong.Load(), Junk: c.Junk.Load(),
		NoNumber: c.NoNumber.Load(), Malformed: c.Malformed.Load(), Slow: c.Slow.Load(), Backlog: c.Backlog.Load(),
		Connections: c.Connections.Load(), Logons: c.Logons.Load(), Logouts: c.Logouts.Load(), Messages: c.Messages.Load(),
		Resends: c.Resends.Load(), Reasked: c.Reasked.Load(), Gaps: c.Gaps.Load(), Rejects: c.Rejects.Load(), Stale: c.Stale.Load(),
		RingFull: c.RingFull.Load(), Resubscribe: c.Resubscribe.Load(), Renewed: c.Renewed.Load(), Breaks: x.source.Breaks(),
	}
	x.counts.LiveUp = 0
	if x.source.Up() {
		x.counts.LiveUp = 1
	}
}

func (x *fixFeed) close() error {
	if err := x.client.Close(); err != nil {
		return fmt.Errorf("FIX session: %w", err)
	}
	return nil
}

// waiting is a FIX source that a lane can wait on: a session brings thousands of messages a second at most, so a sleep of a tenth of a
// millisecond between looks costs nobody anything.
type waiting struct{ *fixsession.Source }

// Wait sleeps for a moment.
func (waiting) Wait(d time.Duration) error {
	time.Sleep(min(d, 100*time.Microsecond))
	return nil
}
