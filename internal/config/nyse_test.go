package config

import (
	"strings"
	"testing"
)

// TestNYSEFaults: what requests cannot do without is asked for by name, and all of it.
func TestNYSEFaults(t *testing.T) {
	const head = "[[feed]]\nname = \"n\"\nprotocol = \"xdp\"\n[feed.recovery]\nservers = [\"10.0.0.1:61000\"]\n"
	const line = "[[feed.channel.line]]\ninterface = \"eth2\"\ngroup = \"239.255.78.11:11064\"\n"
	const refresh = "[[feed.channel.service]]\nkind = \"refresh\"\ngroup = \"239.255.78.14:14064\"\n"
	for _, tc := range []struct {
		name, text string
		want       []string // none: it is good
	}{
		{"good", head + "user = \"FIRM01\"\nproduct_id = 11\n[[feed.channel]]\nid = 1\n" + line + refresh, nil},
		{"nothing", head + "[[feed.channel]]\n" + line, []string{"source id", "product_id is missing", "channel[0].id = 0", "channel[0].service is missing"}},
		{"large id", head + "user = \"FIRM01\"\nproduct_id = 11\n[[feed.channel]]\nid = 256\n" + line + refresh, []string{"channel[0].id = 256"}},
		{"two channels of a lane", head + "user = \"FIRM01\"\nproduct_id = 11\n[[feed.channel]]\nid = 1\n" + line + refresh + "[[feed.channel]]\nid = 2\n" + line +
			strings.Replace(refresh, "refresh", "retransmission", 1), []string{"a lane for each channel"}},
		{"another venue's kind", head + "user = \"FIRM01\"\nproduct_id = 11\n[[feed.channel]]\nid = 1\n" + line + strings.Replace(refresh, "refresh", "levels", 1), []string{"kind"}},
	} {
		_, err := Parse([]byte(tc.text), nil)
		if err == nil {
			if len(tc.want) > 0 {
				t.Errorf("%s: accepted", tc.name)
			}
			continue
		}
		if len(tc.want) == 0 {
			t.Errorf("%s: %v", tc.name, err)
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", tc.name, err, want)
			}
		}
	}
}
