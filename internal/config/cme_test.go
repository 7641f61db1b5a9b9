package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestCME: what a CME feed needs to ask the replay, and to have its books rebuilt.
func TestCME(t *testing.T) {
	line := "[[feed.channel.line]]\ninterface = \"lo\"\ngroup = \"239.255.79.1:14310\"\n"
	loops := func(kinds ...string) (s string) {
		for i, kind := range kinds {
			s += fmt.Sprintf("[[feed.channel.service]]\nkind = %q\ninterface = \"lo\"\ngroup = \"239.255.79.%d:14311\"\n", kind, 10+i)
		}
		return s
	}
	for _, tc := range []struct{ name, feed, channels, want string }{
		{"both books", "", "[[feed.channel]]\nid = 310\n" + line + loops("levels", "levels", "orders", "definitions"), ""},
		{"prices alone", "product = \"mbp\"\n", "[[feed.channel]]\n" + line + loops("levels", "definitions"), ""},
		{"prices as on the wire", "prices = \"wire\"\n", "[[feed.channel]]\n" + line + loops("levels", "orders"), ""},
		{"conventional prices, said so", "prices = \"conventional\"\n", "[[feed.channel]]\n" + line + loops("levels", "orders", "definitions"), ""},
		{"conventional prices without definitions", "", "[[feed.channel]]\n" + line + loops("levels", "orders"), "no loop of definitions"},
		{"other prices", "prices = \"display\"\n", "[[feed.channel]]\n" + line, "prices"},
		{"orders alone", "product = \"mbo\"\n", "[[feed.channel]]\n" + line + loops("orders", "definitions"), ""},
		{"no orders", "", "[[feed.channel]]\n" + line + loops("levels"), "no loop of orders"},
		{"no levels", "", "[[feed.channel]]\n" + line + loops("orders", "definitions"), "no loop of levels"},
		{"orders nobody keeps", "product = \"mbp\"\n", "[[feed.channel]]\n" + line + loops("levels", "orders"), "product mbp does not have"},
		{"three sides", "", "[[feed.channel]]\n" + line + loops("levels", "orders", "orders", "orders"), "more than sides A and B"},
		{"replay without a number", "recovery.servers = [\"10.0.0.1:5\"]\n", "[[feed.channel]]\n" + line, "by its number"},
		{"two channels on a lane", "", "[[feed.channel]]\nname = \"a\"\n" + line + loops("levels", "orders") + "[[feed.channel]]\nname = \"b\"\n" + strings.Replace(line, "14310", "14320", 1), "where a lane has one channel"},
	} {
		c, err := Parse([]byte("[[feed]]\nname = \"cme\"\nprotocol = \"mdp3\"\n"+tc.feed+tc.channels), nil)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if err == nil && time.Duration(c.Feed[0].Recovery.SilentAfter) != cmeSilence {
			t.Errorf("%s: lines are silent after %s", tc.name, time.Duration(c.Feed[0].Recovery.SilentAfter))
		}
	}
}

// TestPricesOfOthers: there is nothing to choose.
func TestPricesOfOthers(t *testing.T) {
	_, err := Parse([]byte("[[feed]]\nname = \"nyse\"\nprotocol = \"xdp\"\nprices = \"wire\"\n[[feed.channel]]\n[[feed.channel.line]]\ninterface = \"lo\"\ngroup = \"239.255.79.1:14310\"\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "feed[0].prices = \"wire\", but protocol xdp has conventional prices on the wire") {
		t.Errorf("%v", err)
	}
}
