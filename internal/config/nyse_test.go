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
		{"a product of another market", head + "user = \"FIRM01\"\nproduct_id = 157\n[[feed.channel]]\nid = 1\n" + line + refresh + "[[feed]]\nname = \"m\"\nprotocol = \"xdp\"\nmarket = \"nyse\"\nrecovery.product_id = 157\n[[feed.channel]]\n" + line,
			[]string{"feed[1].recovery.product_id = 157 is a feed of market \"arca\""}},
		{"another product", head + "user = \"FIRM01\"\nproduct_id = 11\n[[feed.channel]]\nid = 1\n" + line + refresh + "[[feed]]\nname = \"m\"\nprotocol = \"xdp\"\nproduct = \"bbo\"\nrecovery.product_id = 4\n[[feed.channel]]\n" + line,
			[]string{"feed[1].recovery.product_id = 4 is product \"trades\""}},
		{"a market that is none", "[[feed]]\nname = \"n\"\nprotocol = \"xdp\"\nmarket = \"chicago\"\n[[feed.channel]]\n" + line, []string{"market", "texas"}},
		{"a market of Nasdaq's", "[[feed]]\nname = \"n\"\nmarket = \"arca\"\n[[feed.channel]]\n" + line, []string{"market", "only one"}},
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

// TestNYSERecords: whose records they are follows from the market, or from the number of the feed that requests name, unless it is said.
func TestNYSERecords(t *testing.T) {
	for _, tc := range []struct {
		text, dataset, market string
		publisher, id         uint16
		product               string
	}{
		{"", "XNYS.PILLAR", "nyse", 9, 1, ""},
		{"product = \"bbo\"", "XNYS.BBO", "nyse", 44, 1, "bbo"},
		{"product = \"trades\"", "XNYS.TRADES", "nyse", 45, 1, "trades"},
		{"market = \"arca\"", "ARCX.PILLAR", "arca", 43, 3, ""},
		{"market = \"american\"\nproduct = \"bbo\"", "XASE.PILLAR", "american", 11, 9, "bbo"},
		{"market = \"texas\"\npublisher = 40100", "XCHI.PILLAR", "texas", 40_100, 11, ""},
		{"recovery.product_id = 109", "XCIS.PILLAR", "national", 10, 10, "integrated"},
		{"recovery.product_id = 3", "XNYS.BBO", "nyse", 44, 1, "bbo"}, // requests ask for it: its books and records are not Integrated's
		{"recovery.product_id = 153", "ARCX.PILLAR", "arca", 43, 3, "trades"},
		{"publisher = 43", "ARCX.PILLAR", "arca", 43, 3, ""}, // and not NYSE's dataset
		{"publisher = 40001\ndataset = \"SIM.XDP\"", "SIM.XDP", "", 40_001, 0, ""},
	} {
		c, err := Parse([]byte("[[feed]]\nname = \"n\"\nprotocol = \"xdp\"\n"+tc.text+"\n[[feed.channel]]\n[[feed.channel.line]]\ninterface = \"eth2\"\ngroup = \"239.255.78.11:11064\"\n"), nil)
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
			continue
		}
		if f := &c.Feed[0]; f.Publisher != tc.publisher || f.Dataset != tc.dataset || f.Market != tc.market || f.MarketID() != tc.id || f.Product != tc.product {
			t.Errorf("%s: publisher %d, %s, market %q (%d), product %q", tc.text, f.Publisher, f.Dataset, f.Market, f.MarketID(), f.Product)
		}
	}
}
