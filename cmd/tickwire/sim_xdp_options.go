package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/feed/protocol"
	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdp/recorded"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

// options makes options of what was typed, and reports all faults at once.
func (s *xdpFlags) options() error {
	o := &s.o
	var errs []error
	also := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if s.rate != "" && o.Pace != "" {
		errs = append(errs, errors.New("--rate and --pace exclude each other"))
	}
	if s.span < 0 {
		errs = append(errs, fmt.Errorf("--for %s is negative", s.span))
	}
	if s.heartbeat < 0 || s.together < 0 || o.Linger < 0 {
		errs = append(errs, errors.New("--heartbeat, --together and --linger are not negative"))
	}
	o.Play.HeartbeatNs, o.Play.TogetherNs = uint64(s.heartbeat), uint64(s.together)
	var err error
	o.Version, err = wire.ParseVersion(s.version)
	also(err)
	also(s.lines.parse())
	o.Interfaces = s.lines.both()
	o.Retransmission, err = netip.ParseAddrPort(s.services[0])
	also(named("--group-retransmission", err))
	o.Refresh, err = netip.ParseAddrPort(s.services[1])
	also(named("--group-refresh", err))
	o.Requests.Addr, err = s.lines.server("--requests", s.requests, simXDPPort)
	also(err)
	o.Requests.Seed = o.Lines.Seed
	if !slices.IsSorted(s.failovers) {
		errs = append(errs, errors.New("--failover: want messages in their order"))
	}
	for _, n := range s.failovers {
		o.Failovers = append(o.Failovers, uint64(n))
	}
	also(parseRequestFaults(&o.Requests.Faults, s.faults))
	if err := s.source(); err != nil {
		also(err)
		o.Packets = recorded.File(s.path, nil, nil) // Validate has the rest to say
	}
	also(o.Validate())
	return errors.Join(errs...)
}

func named(flag string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", flag, err)
}

// source says what is played.
func (s *xdpFlags) source() error {
	o := &s.o
	if s.path != "" {
		if o.Product == 0 {
			o.Product = xdpgen.Product
		}
		if s.rate != "" {
			o.Pace = strings.TrimSuffix(s.rate, "/s") + "/s"
		}
		f, err := os.Open(s.path)
		if err != nil {
			return err
		}
		_ = f.Close()
		o.Packets = recorded.File(s.path, nil, func(c recorded.Counters) { s.played = c })
		return nil
	}
	s.perSecond = simXDPRate
	if text := strings.TrimSuffix(s.rate, "/s"); text != "" {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || !(rate > 0) || rate > 1e9 {
			return fmt.Errorf("--rate %q is no number of messages a second such as 100000/s", s.rate)
		}
		s.perSecond = rate
	}
	if o.Pace != "" && o.Pace != "max" {
		return fmt.Errorf("--pace %s: a generated session has no times of its own: --rate, or --pace max", o.Pace)
	}
	now := uint64(time.Now().UnixNano())
	midnight, err := protocol.XDP.MidnightBefore(now)
	if err != nil {
		return err
	}
	if err := xdpProduct(&s.gen, s.product); err != nil {
		return err
	}
	s.gen.Seed, s.gen.Version, s.gen.Channel, s.gen.Live = o.Lines.Seed, o.Version, o.Channel, true
	zone, err := time.LoadLocation(protocol.XDP.Zone)
	if err != nil {
		return err
	}
	day := time.Unix(0, int64(now)).In(zone)
	s.gen.Date = itchgen.Date{Year: day.Year(), Month: day.Month(), Day: day.Day()}
	g, err := xdpgen.New(s.gen)
	if err != nil {
		return err
	}
	if id := g.ProductID(); o.Product != 0 && o.Product != id {
		return fmt.Errorf("--product-id %d is of a capture: the generated session is one of feed %d", o.Product, id)
	}
	o.Product = g.ProductID()
	o.Source = xdp.Live(g, s.perSecond, now-midnight)
	return nil
}

// parseRequestFaults reads words such as cut=20.
func parseRequestFaults(f *xdp.Faults, words []string) (err error) {
	for _, word := range words {
		name, value, has := strings.Cut(word, "=")
		var fault error
		switch {
		case name == "unavailable" && !has:
			f.Unavailable = true
		case name == "no-data" && !has:
			f.NoData = true
		case name == "silent" && !has:
			f.Silent = true
		case name == "garbage" && !has:
			f.Garbage = []byte("\x07\x00this is no packet\xFF\xFF")
		case name == "refuse" && has && len(value) == 1 && value[0] > '0' && value[0] <= '9':
			f.Refuse = value[0]
		case name == "cut" && has:
			f.CutAfter, fault = strconv.Atoi(value)
		case name == "slow" && has:
			f.Slow, fault = time.ParseDuration(value)
		default:
			fault = errors.New("unknown")
		}
		if fault != nil {
			err = errors.Join(err, fmt.Errorf("--request-fault %q is none of: refuse=1 to refuse=9, unavailable, no-data, silent, garbage, cut=N, slow=TIME", word))
		}
	}
	return err
}
