package xdprefresh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tickwire/tickwire/feed/session/xdprequest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
)

// Config of a fetch. Client, Product, Channel and Groups must be given; the rest works at zero.
type Config struct {
	// Client is the connection to the request server.
	Client *xdprequest.Client
	// Product and Channel are the venue's numbers of them.
	Product, Channel uint8
	// Groups are the channel's refresh channels, one or both lines.
	Groups []udp.Group
	// Symbol is the one to fetch. The default is 0: all of the channel, from the first to the last as the delivery flags tell them; a channel of one
	// symbol, whose first is its last, takes Expect.
	Symbol uint32
	// Expect are symbols that must come when all are fetched. The default is none: whatever comes between the first and the last.
	Expect []uint32
	// Connect is how long the client may take to have a connection. The default is 10 s.
	Connect time.Duration
	// Quiet is how long nothing may come before what is lacking is asked for again. The default is 2 s: the Pillar server answers at once.
	Quiet time.Duration
	// Tries is how often something is asked for, at most. The default is 5.
	Tries int
	// Most is how long all of it may take. The default is 2 min.
	Most time.Duration
	// MaxBytes bounds what is collected of symbols that are not whole yet. The default is 64 MiB.
	MaxBytes int
}

func (c *Config) defaults() {
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{{&c.Connect, 10 * time.Second}, {&c.Quiet, 2 * time.Second}, {&c.Most, 2 * time.Minute}} {
		if *d.at <= 0 {
			*d.at = d.def
		}
	}
	if c.Tries <= 0 {
		c.Tries = 5
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 64 << 20
	}
}

// Errors, wrapped with what was seen. A refusal is the client's own error.
var (
	ErrIncomplete = errors.New("xdprefresh: not all of it came")
	ErrTooSlow    = errors.New("xdprefresh: it took too long")
	ErrTooMuch    = errors.New("xdprefresh: more is under way than is believed")
)

// Symbol is one symbol's state.
type Symbol struct {
	Index uint32
	// Messages are 3, 105, 34 and one 106 an order in the order of their priority (BBO: 3, 34, 140), one behind the other; valid for the call.
	Messages []byte
	Count    int
	// LastSequence is the channel's number that the state is as of: messages of the symbol from the next one on are to be applied to it.
	LastSequence uint32
	// LastSymbolSequence is the symbol's own.
	LastSymbolSequence uint32
}

// Fetch fetches one symbol or all. fn gets each symbol once, when it is whole, on the calling goroutine; an error of fn's ends the fetch with that
// error. Whoever builds books joins the lines first and holds what they bring. After an error, the symbols that fn got are good, and others are lacking.
func Fetch(ctx context.Context, cfg Config, fn func(s *Symbol) error) error {
	cfg.defaults()
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Most, ErrTooSlow)
	defer cancel()
	c := newCollector(&cfg, fn)
	return cfg.run(ctx, c.packet, func(try int) ([]uint32, bool) {
		lacking, whole := c.lacking(cfg.Symbol)
		if whole || try < 0 {
			return nil, whole
		}
		c.begin()
		if cfg.Symbol != 0 || c.passed && len(lacking) <= mostSingle {
			return lacking, false
		}
		return []uint32{0}, false // from the first to the last again
	}, cfg.Client.Refresh)
}

// mostSingle is how many symbols are asked for one by one, rather than all again.
const mostSingle = 64

// pollEvery is how often is looked whether there is a connection.
const pollEvery = 20 * time.Millisecond

// ask is one of the client's requests for a symbol, 0: all.
type ask func(product, channel uint8, symbol uint32, done func(xdprequest.Outcome)) error

// run asks for what next says is lacking and takes what comes, until that is nothing. take is called for each packet; next, with a try below 0, says
// only whether all is there.
func (c *Config) run(ctx context.Context, take func(p *nic.Packet) (bool, error), next func(try int) (symbols []uint32, whole bool), ask ask) error {
	if c.Client == nil {
		return errors.New("xdprefresh: no client")
	}
	src, err := udp.Open(udp.Options{Groups: c.Groups})
	if err != nil {
		return fmt.Errorf("xdprefresh: %w", err)
	}
	defer src.Close()
	r := receiver{cfg: c, src: src, take: take}
	for try := 0; ; try++ {
		symbols, whole := next(try)
		if whole {
			return nil
		}
		if try == c.Tries {
			return fmt.Errorf("%w: asked %d times; lacking %s", ErrIncomplete, try, name(symbols))
		}
		for _, symbol := range symbols {
			if err := c.request(ctx, ask, symbol); err != nil {
				return err
			}
		}
		if err := r.receive(ctx, func() bool { _, whole := next(-1); return whole }); err != nil {
			return err
		}
	}
}

// name tells a few symbols.
func name(symbols []uint32) string {
	switch {
	case slices.Equal(symbols, []uint32{0}):
		return "the channel's first symbol, its last one, or many"
	case len(symbols) > 8:
		return fmt.Sprintf("%d symbols, %v among them", len(symbols), symbols[:8])
	}
	return fmt.Sprintf("symbols %v", symbols)
}

// request asks, when there is a connection, and waits for the response. A request without one is taken for sent: data may come.
func (c *Config) request(ctx context.Context, ask ask, symbol uint32) error {
	patience := time.Now().Add(c.Connect)
	for {
		answered := make(chan xdprequest.Outcome, 1)
		err := ask(c.Product, c.Channel, symbol, func(o xdprequest.Outcome) { answered <- o })
		if err == nil {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case o := <-answered:
				if errors.Is(o.Err, xdprequest.ErrNoAnswer) {
					return nil
				}
				if err = o.Error(); err == nil {
					return nil
				}
			}
		}
		if !errors.Is(err, xdprequest.ErrDown) || time.Now().After(patience) {
			return fmt.Errorf("xdprefresh: symbol %d of channel %d: %w", symbol, c.Channel, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
}

// receiver takes packets off the refresh channel.
type receiver struct {
	cfg     *Config
	src     *udp.Source
	take    func(p *nic.Packet) (bool, error)
	packets [64]nic.Packet
}

// receive takes what comes until done, or until nothing that counts has come for Quiet.
func (r *receiver) receive(ctx context.Context, done func() bool) error {
	for last := time.Now(); time.Since(last) < r.cfg.Quiet; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := r.src.Poll(r.packets[:])
		if err != nil {
			return fmt.Errorf("xdprefresh: %w", err)
		}
		for i := range n {
			counts, err := r.take(&r.packets[i])
			if err != nil {
				return err
			}
			if counts {
				last = time.Now()
			}
		}
		if n > 0 {
			if done() {
				return nil
			}
			continue
		}
		if err := r.src.Wait(pollEvery); err != nil {
			return fmt.Errorf("xdprefresh: %w", err)
		}
	}
	return nil
}
