package config

import (
	"maps"
	"slices"
)

// protocols are those of package feed/protocol with what a feed's records carry by default. That package's test holds the two together.
var protocols = map[string]struct {
	publisher uint16
	dataset   string
}{
	"itch":     {2, "XNAS.ITCH"},
	"mdp3":     {1, "GLBX.MDP3"},
	"xdp":      {9, "XNYS.PILLAR"},
	"fix":      {40_101, "FIX.MD"},
	"iex":      {40_100, "IEXG.DEEP"},
	"iex-tops": {38, "IEXG.TOPS"},
}

// Protocols are the names that a feed's protocol may have, sorted.
func Protocols() []string { return slices.Sorted(maps.Keys(protocols)) }

// Records gives the publisher and dataset that a protocol's records carry by default; NYSE's other markets and products have their own (nyseDefaults).
func Records(protocol string) (publisher uint16, dataset string) {
	d := protocols[protocol]
	return d.publisher, d.dataset
}
