package process

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/tick"
)

// fixFeed is a session at a FIX venue in the place of a lane's sockets.
//
//	venue ──TCP──► Client (goroutines) ──ring of bytes──► Source ──► lane: direct ──► decoder, books, rings
type fixFeed struct {
	client *fixsession.Client
	source *fixsession.Source
	stream *pipeline.Stream
	next   uint64 // number of the message that comes next, as Source counts; 0: none came yet
	counts FIXCounters
}

// FIXCounters are a session's, as they are exported: copied by the housekeeping. See fixsession.Counters.
type FIXCounters struct {
	Bytes, Frames, Garbled, TooLong, Junk, NoNumber, Malformed, Slow, Backlog, Connections, Logons, Logouts uint64
	Messages, Resends, Reasked, Gaps, Rejects, Stale, RingFull, Resubscribe, Breaks                         uint64
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
	x := &fixFeed{stream: r.lane.Main()}
	if x.client, x.source, err = fixsession.OpenSource(c); err != nil {
		return err
	}
	r.fix = x
	r.input.Source, r.input.Direct, r.input.Latency = waiting{x.source}, x.take, &r.latency
	r.kernel.also(x.refresh)
	return errors.Join(
		r.kernel.add(r.name+".fix", &x.counts), r.export.add(r.name+".poll", &r.input.Counters),
		r.export.latency(r.name+".lane", "pass", &r.latency.Pass), r.export.latency(r.name+".lane", "stamp_to_ring", &r.latency.Published),
	)
}

// take hands one message to the lane. Where numbers are left out messages may be missing: what became of the books is not known until the
// venue's next whole state.
func (x *fixFeed) take(p *nic.Packet, _ uint64) {
	switch {
	case x.next == 0:
		x.stream.SessionStart([10]byte{})
	case p.Frame > x.next:
		x.stream.Gap(session.Gap{First: x.next, Last: p.Frame - 1, State: tick.GapLost})
	}
	x.next = p.Frame + 1
	x.stream.Messages(p.Data, p.Frame, 1, session.Arrival{TsRecv: p.TsRecv, Stamp: p.Stamp})
}

// refresh copies the session's counters. Housekeeping.
func (x *fixFeed) refresh() {
	c := x.client.Counters()
	x.counts = FIXCounters{
		Bytes: c.Bytes.Load(), Frames: c.Frames.Load(), Garbled: c.Garbled.Load(), TooLong: c.TooLong.Load(), Junk: c.Junk.Load(),
		NoNumber: c.NoNumber.Load(), Malformed: c.Malformed.Load(), Slow: c.Slow.Load(), Backlog: c.Backlog.Load(),
		Connections: c.Connections.Load(), Logons: c.Logons.Load(), Logouts: c.Logouts.Load(), Messages: c.Messages.Load(),
		Resends: c.Resends.Load(), Reasked: c.Reasked.Load(), Gaps: c.Gaps.Load(), Rejects: c.Rejects.Load(), Stale: c.Stale.Load(),
		RingFull: c.RingFull.Load(), Resubscribe: c.Resubscribe.Load(), Breaks: x.source.Breaks(),
	}
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
