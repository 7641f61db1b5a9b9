package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/session/mdp3loop"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/parsers/mdp3"
)

// cme is what a lane's CME channels are recovered by:
//
//	packets are missing       servers:  the TCP replay, by channel id          session.Replayer, a Link of the channel
//	they will not come, or    the feed itself: levels, learnt anew     resync.Natural, in the lane
//	the start was late        services: the loops of definitions, of levels    mdp3loop.Fetch as parts of package resync's snapshot,
//	                                    and of orders, as the product has them  joined while books are rebuilt, and left again
type cme struct {
	replayers []*replayer
	decoder   *mdp3.Decoder // of the channel that is being opened
	decoders  []*mdp3.Decoder

	mu    sync.Mutex
	loops mdp3loop.Counters // of attempts that have ended
	shown mdp3loop.Counters // as exported

	counted   uint64        // instruments that have lacked a definition, of all channels: the lane's
	undefined atomic.Uint64 // … as the housekeeping may read it
	told      uint64        // … as the log was told: the housekeeping's
}

// replayer asks for one channel, with the copy of its counters that is exported.
type replayer struct {
	*session.Replayer
	link     *session.Link
	counters session.ReplayCounters
}

// cmeRetry is the least time that an answer has: it begins with a connection and a logon. cmeAsk is how many packets a request may name.
const (
	cmeRetry = 100 * time.Millisecond
	cmeAsk   = 2_000
)

// reads notes which decoder reads the channel that is being opened.
func (x *cme) reads(d pipeline.Decoder) {
	if x.decoder, _ = d.(*mdp3.Decoder); x.decoder != nil {
		x.decoders = append(x.decoders, x.decoder)
	}
}

// between is called on the lane, between two passes.
func (x *cme) between() {
	n := uint64(0)
	for _, d := range x.decoders {
		n += d.Counters.UndefinedInstruments
	}
	if n != x.counted {
		x.counted = n
		x.undefined.Store(n)
	}
}

// lookForUndefined tells of instruments whose prices cannot be told, since the last time. Once a second, on the lane's housekeeping.
func (x *cme) lookForUndefined(lane string, log *slog.Logger) {
	if n := x.undefined.Load(); n != x.told {
		log.Warn("instruments have no definition, so that their prices are not known: what has one is left out, and their books are suspect", "lane", lane, "instruments", n-x.told, "in_all", n)
		x.told = n
	}
}

// replay gives a channel its link to the TCP replay, where servers are named; rebuilt: its books come back from loops. Of other venues it is not the business.
func (x *cme) replay(c *session.Config, f *config.Feed, ch *config.Channel, rebuilt bool, log *slog.Logger) error {
	if x.decoder == nil || len(f.Recovery.Servers) == 0 {
		return nil
	}
	password, err := firstLine(f.Recovery.PasswordFile)
	if err != nil {
		return err
	}
	r, err := session.NewReplayer(f.Recovery.Servers, session.ReplayOptions{
		Channel: int(ch.ID), User: f.Recovery.User, Password: password, Interface: f.Recovery.Interface, Log: log.With("channel", ch.Name),
	})
	if err != nil {
		return err
	}
	x.replayers = append(x.replayers, &replayer{Replayer: r, link: r.Link()})
	c.Link, c.AskMessages, c.AskAtOnce, c.Retry = r.Link(), cmeAsk, 1, max(c.Retry, cmeRetry)
	if rebuilt { // a late start is the loops' business
		c.MostAsked = cmeAsk
	}
	return nil
}

// addReplay registers what a CME channel's decoder counts, what it asked for, and what came of it.
func (r *laneRunner) addReplay(at string, ch *session.Channel) error {
	if r.cme.decoder == nil {
		return nil
	}
	err := r.export.add(at+".mdp3", &r.cme.decoder.Counters)
	if len(r.cme.replayers) == 0 {
		return err
	}
	x := r.cme.replayers[len(r.cme.replayers)-1] // the channel's: it was made just now
	r.kernel.also(func() { x.counters = x.Counters() })
	return errors.Join(err, r.export.add(at+".ask", &ch.Ask), r.export.add(at+".recovery", &ch.Recovery), r.kernel.add(at+".replay", &x.counters))
}

// loops makes what rebuilds the lane's books from the loops, where services are given.
func (r *laneRunner) loops(f *config.Feed, log *slog.Logger) (err error) {
	var c mdp3loop.Config
	for i := range f.Channel {
		if ch := &f.Channel[i]; ch.Lane == r.name {
			c.Levels = append(c.Levels, loopGroups(ch, config.ServiceLevels)...)
			c.Orders = append(c.Orders, loopGroups(ch, config.ServiceOrders)...)
			c.Definitions = append(c.Definitions, loopGroups(ch, config.ServiceDefinitions)...)
		}
	}
	if f.Source == "file" || len(c.Levels)+len(c.Orders) == 0 {
		return nil
	}
	o := resync.Options{Books: r.books, Log: log.With("lane", r.name), Parts: func(ctx context.Context, fn func(*resync.Part) error) error {
		c, counters := c, mdp3loop.Counters{}
		c.Counters = &counters
		defer r.cme.add(&counters)
		return mdp3loop.Parts(c)(ctx, fn)
	}}
	of := protocol.MDP3.Of(f.Product)
	if of.Prices {
		o.Prices = func() (*pricebook.Books, error) { return pricebook.New(pricebook.Options{Depth: of.Depth}) }
	}
	o.Decoder = func() (resync.Decoder, error) {
		return protocol.MDP3.New(r.decoderOptions(f, firstChannel(protocol.MDP3, f, r.name, r.number)))
	}
	r.resync, err = resync.New(o)
	return err
}

// loopGroups are the groups of a channel's services of one kind: sides A and B, in the order of the configuration.
func loopGroups(ch *config.Channel, kind string) (groups []udp.Group) {
	for i := range ch.Service {
		if s := &ch.Service[i]; s.Kind == kind {
			groups = append(groups, udp.Group{Group: s.Group, Interface: s.Interface, SourceIP: s.SourceIP})
		}
	}
	return groups
}

// add takes what an attempt counted.
func (x *cme) add(c *mdp3loop.Counters) {
	x.mu.Lock()
	defer x.mu.Unlock()
	from, to := reflect.ValueOf(c).Elem(), reflect.ValueOf(&x.loops).Elem()
	for i := range to.NumField() {
		to.Field(i).SetUint(to.Field(i).Uint() + from.Field(i).Uint())
	}
}

// addCME registers what price books, natural refresh and loops count.
func (r *laneRunner) addCME() (err error) {
	if _, ok := r.lane.Main().Decoder().(*mdp3.Decoder); !ok {
		return nil
	}
	if p := r.kept.Prices; p != nil {
		r.export.also(func() { p.Counters() })
		err = r.export.add(r.name+".pricebook", p.Counters())
	}
	if n := r.lane.Natural(); n != nil {
		err = errors.Join(err, r.export.add(r.name+".natural", n))
	}
	if r.resync != nil {
		r.kernel.also(func() {
			r.cme.mu.Lock()
			r.cme.shown = r.cme.loops
			r.cme.mu.Unlock()
		})
		err = errors.Join(err, r.kernel.add(r.name+".loops", &r.cme.shown))
	}
	return err
}

func (x *cme) close() error {
	var errs []error
	for _, r := range x.replayers {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// passwordMost bounds a password's length: longer is no password file.
const passwordMost = 256

// firstLine reads a password from the first line of a file, without its line end; of no file it is empty. Nothing of the file is in an error.
func firstLine(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, passwordMost+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("password file: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); len(line) > passwordMost || strings.ContainsRune(line, '\x01') {
		return "", fmt.Errorf("password file %s: the first line is no password of at most %d characters", path, passwordMost)
	}
	return line, nil
}
