package xdp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// RequestOptions of a request server. Addr, Product and Channel must be given; the rest works at zero.
type RequestOptions struct {
	// Addr is where it listens, on one interface's address; port 0: any free one, see Server.Addr.
	Addr netip.AddrPort
	// Product and Channel it serves.
	Product, Channel uint8
	// Sources are the ids that may ask. The default, none, is that any id that is well formed may.
	Sources []string
	// Heartbeat is how often clients get one. The default is 60 s.
	Heartbeat time.Duration
	// Patience is how long the answer to a heartbeat may take, and a client may take what is sent. The default is 5 s.
	Patience time.Duration
	// MostMessages of one retransmission; Retransmissions, Refreshes, and refreshes or mappings of all symbols, of a source id's day. The
	// defaults are 1,000; 10,000, 5,000 and 500.
	MostMessages, Retransmissions, Refreshes, All int
	// Legacy refuses ranges that are not there with status 2 and 6, as servers before Pillar did; the default is message 31.
	Legacy bool
	// Clients bounds the connections at a time; one more is closed at once. The default is 16.
	Clients int
	// PayloadBytes is the longest packet's. The default is 1,400.
	PayloadBytes int
	// PerSecond is the most packets of a second on both multicast channels. The default is 20,000.
	PerSecond int
	// ChannelHeartbeat is how often both multicast channels have a heartbeat. The default is 1 s.
	ChannelHeartbeat time.Duration
	// Faults are none by default; SetFaults changes them. Seed is theirs.
	Faults Faults
	Seed   uint64
}

func (o *RequestOptions) defaults() {
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{{&o.Heartbeat, time.Minute}, {&o.Patience, 5 * time.Second}, {&o.ChannelHeartbeat, time.Second}} {
		if *d.at <= 0 {
			*d.at = d.def
		}
	}
	for _, d := range []struct {
		at  *int
		def int
	}{
		{&o.MostMessages, wire.MostRetransmitted}, {&o.Retransmissions, 10_000}, {&o.Refreshes, 5_000}, {&o.All, 500}, {&o.Clients, 16},
		{&o.PayloadBytes, MaxPayload}, {&o.PerSecond, 20_000},
	} {
		if *d.at <= 0 {
			*d.at = d.def
		}
	}
}

// Validate reports all faults at once.
func (o RequestOptions) Validate() error {
	var errs []error
	if a := o.Addr.Addr(); !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		errs = append(errs, fmt.Errorf("xdp: requests at %s: want the address of one interface, such as 127.0.0.1", o.Addr))
	}
	if o.PayloadBytes != 0 && (o.PayloadBytes < MinPayload || o.PayloadBytes > MaxPayload) {
		errs = append(errs, fmt.Errorf("xdp: answers of %d bytes, want %d to %d", o.PayloadBytes, MinPayload, MaxPayload))
	}
	for _, name := range o.Sources {
		if _, err := wire.ParseSourceID(name); err != nil {
			errs = append(errs, err)
		}
	}
	for _, ppm := range []uint32{o.Faults.LossPPM, o.Faults.RefreshLossPPM, o.Faults.SpoilPPM} {
		if ppm > perMillion {
			errs = append(errs, fmt.Errorf("xdp: %d packets of %d, want at most all", ppm, perMillion))
		}
	}
	return errors.Join(errs...)
}

// RequestCounters count what a server did.
type RequestCounters struct {
	Connections   uint64 `json:"connections"`
	TooMany       uint64 `json:"too_many"`  // connections closed at once
	Replaced      uint64 `json:"replaced"`  // connections closed because their source id came again
	Malformed     uint64 `json:"malformed"` // connections closed for what they sent
	Dropped       uint64 `json:"dropped"`   // clients that did not answer a heartbeat, or did not take what was sent
	Requests      uint64 `json:"requests"`
	Refused       uint64 `json:"refused"`       // of those, with a status other than 0
	Retransmitted uint64 `json:"retransmitted"` // messages
	Unavailable   uint64 `json:"unavailable"`   // messages 31
	Refreshed     uint64 `json:"refreshed"`     // symbols
	Packets       uint64 `json:"packets"`       // on both multicast channels, heartbeats not counted
	Lost          uint64 `json:"lost"`          // packets that a fault took
	Spoilt        uint64 `json:"spoilt"`        // packets that a fault spoilt, sent all the same
	SendFails     uint64 `json:"send_fails"`    // packets that the kernel refused
	Limited       uint64 `json:"limited"`       // requests accepted and dropped: too many were waiting
}
