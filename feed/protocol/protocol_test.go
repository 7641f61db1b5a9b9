package protocol

import (
	"slices"
	"testing"

	"github.com/tickwire/tickwire/internal/config"
)

// The configuration knows the names without importing the registry: the two must agree.
func TestConfigurationKnowsEveryProtocol(t *testing.T) {
	names := Names()
	slices.Sort(names)
	if got := config.Protocols(); !slices.Equal(got, names) {
		t.Fatalf("the configuration knows %v, the registry %v", got, names)
	}
	for _, p := range All {
		if publisher, dataset := config.Records(p.Name); publisher != p.Publisher || dataset != p.Dataset {
			t.Errorf("%s: the configuration says %d %s, the registry %d %s", p.Name, publisher, dataset, p.Publisher, p.Dataset)
		}
	}
}

// Records that were generated must never pass for a venue's.
func TestGeneratedPublishersAreOurs(t *testing.T) {
	seen := map[uint16]string{}
	for _, p := range All {
		if p.Generated < 40_000 {
			t.Errorf("%s: generated records carry publisher %d, below 40,000: a venue's", p.Name, p.Generated)
		}
		for _, id := range []uint16{p.Publisher, p.Generated} {
			if other, taken := seen[id]; taken {
				t.Errorf("%s: publisher %d is %s's", p.Name, id, other)
			}
			seen[id] = p.Name
		}
		if len(p.Versions) == 0 || p.New == nil || p.Zone == "" {
			t.Errorf("%s: an entry needs versions, a decoder and a zone", p.Name)
		}
		if _, err := p.MidnightBefore(1_767_600_000_000_000_000); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if len(p.Dataset) > 15 || len(p.GenSet) > 15 {
			t.Errorf("%s: dataset longer than 15 characters", p.Name)
		}
	}
}
