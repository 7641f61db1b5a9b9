package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/internal/config"
	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

const xdpMessages, xdpSymbols = 20_000, 20

// generatedXDP is gen xdp's capture, of which line A lacks packets that line B has, and what it says by type.
func generatedXDP(t *testing.T, more ...string) (path string, types map[uint16]int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "nyse.pcap")
	args := append([]string{"gen", "xdp", "--messages", fmt.Sprint(xdpMessages), "--symbols", fmt.Sprint(xdpSymbols), "--seed", "4", "--out", path}, more...)
	if code, _, errs := command(t, args...); code != exitOK || !strings.Contains(errs, "20000 messages of 20 symbols") {
		t.Fatalf("exit %d: %s", code, errs)
	}
	g, err := xdpgen.New(xdpgen.Options{Messages: xdpMessages, Symbols: xdpSymbols, Seed: 4, Version: wire.V25})
	if err != nil {
		t.Fatal(err)
	}
	types = map[uint16]int{}
	for m, ok := g.Next(nil); ok; m, ok = g.Next(m[:0]) {
		types[wire.Type(m)]++
	}
	return path, types
}

// TestGenXDP: the same options give the same bytes, decode has each message of one line, and replay plays all of them.
func TestGenXDP(t *testing.T) {
	path, types := generatedXDP(t, "--loss-a", "2")
	again, _ := generatedXDP(t, "--loss-a", "2")
	a, errA := os.ReadFile(path)
	b, errB := os.ReadFile(again)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("two runs differ: %v, %v", errA, errB)
	}
	code, out, errs := command(t, "decode", path)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	seen := map[uint64]string{} // types by number, whichever line
	for line := range strings.Lines(out) {
		var m struct {
			Sequence uint64
			Protocol string
			Type     string
			Fields   map[string]any
			Error    string
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Protocol != "xdp" || m.Error != "" {
			t.Fatalf("%v: %s", err, line)
		}
		seen[m.Sequence] = m.Type
	}
	adds := 0
	for _, typ := range seen {
		if typ == "add_order" {
			adds++
		}
	}
	if len(seen) != xdpMessages || adds != types[wire.TypeAddOrder] {
		t.Errorf("%d messages, %d orders added; want %d, %d", len(seen), adds, xdpMessages, types[wire.TypeAddOrder])
	}
	code, out, errs = command(t, "replay", path, "--pace", "max", "--ring-dir", t.TempDir())
	if code != exitOK {
		t.Errorf("replay: exit %d: %s%s", code, out, errs)
	}
	for _, bad := range [][]string{{}, {"--out", "x.itch"}, {"--out", "x.pcap", "--version", "9"}, {"--out", "x.pcap", "--messages", "5"}, {"--out", "x.pcap", "--loss-a", "101"}} {
		if code, _, errs := command(t, append([]string{"gen", "xdp"}, bad...)...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit %d: %s", bad, code, errs)
		}
	}
}

// TestSimXDP: a generated session and a capture are played on lo, with the faults that were asked for.
func TestSimXDP(t *testing.T) {
	port := simPort(t)
	group := func(n int) string { return fmt.Sprintf("239.255.79.%d:%d", n, port) }
	common := []string{
		"sim", "xdp", "--group-a", group(1), "--group-b", group(2), "--group-retransmission", group(3), "--group-refresh", group(4),
		"--heartbeat", "10ms", "--requests", "127.0.0.1:0",
	}
	code, out, errs := command(t, append(slices.Clone(common), "--messages", "20000", "--symbols", "50", "--rate", "200000/s", "--both", "1%:5", "--json")...)
	var c xdp.Counters
	if err := json.Unmarshal([]byte(out), &c); code != exitOK || err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	lost := uint64(0)
	for _, s := range c.Lost {
		lost += s.Last - s.First + 1
	}
	if c.Messages != 20_000 || lost == 0 || lost != c.LostMessages || c.Lines[0].InBoth != c.Lines[1].InBoth {
		t.Errorf("%d lost in spans: %+v", lost, c)
	}
	path, _ := generatedXDP(t)
	code, out, errs = command(t, append(slices.Clone(common), path, "--pace", "max", "--loss-a", "1%")...)
	for _, want := range []string{"20000 messages in", "line A  " + group(1), "line B  " + group(2), "on neither line: 0 messages", "requests at 127.0.0.1:"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("exit %d, nothing about %q: %s%s", code, want, out, errs)
		}
	}
}

// TestSimXDPConfig: what --print-config prints is a configuration, its records marked as generated.
func TestSimXDPConfig(t *testing.T) {
	code, out, errs := command(t, "sim", "xdp", "--print-config", "--group-refresh", "239.1.2.3:4000", "--channel", "7", "--version", "2.4", "--source-id", "ME")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	cfg, err := config.Parse([]byte(out), nil)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	f := &cfg.Feed[0]
	if f.Protocol != "xdp" || f.Publisher != 40_001 || f.Dataset != "SIM.XDP" || f.Version != "2.4" || f.Channel[0].ID != 7 || f.Recovery.User != "ME" || f.Recovery.ProductID != xdpgen.Product ||
		f.Channel[0].Service[1].Group.String() != "239.1.2.3:4000" || f.Recovery.Servers[0] != "127.0.0.1:26480" {
		t.Errorf("%+v", f)
	}
}

// TestSimXDPProducts: what --print-config prints is of the feed that is played.
func TestSimXDPProducts(t *testing.T) {
	for _, tc := range []struct {
		args    []string
		product string
		id      uint8
	}{
		{nil, "integrated", 157}, {[]string{"--product", "bbo"}, "bbo", 152}, {[]string{"--product", "trades", "--market", "nyse"}, "trades", 4},
		{[]string{"--product", "summary", "--market", "texas"}, "integrated", 209},
	} {
		code, out, errs := command(t, append([]string{"sim", "xdp", "--print-config"}, tc.args...)...)
		cfg, err := config.Parse([]byte(out), nil)
		if code != exitOK || err != nil {
			t.Fatalf("%v: exit %d, %v: %s%s", tc.args, code, err, out, errs)
		}
		if f := &cfg.Feed[0]; f.Product != tc.product || f.Recovery.ProductID != tc.id || f.Publisher != 40_001 {
			t.Errorf("%v: %+v", tc.args, f)
		}
	}
}

// TestSimXDPFailover: another publisher takes over in the middle, and the messages that it tells again are counted.
func TestSimXDPFailover(t *testing.T) {
	group := func(n int) string { return fmt.Sprintf("239.255.79.%d:%d", 60+n, 26_700+n) }
	code, out, errs := command(t, "sim", "xdp", "--group-a", group(1), "--group-b", group(2), "--requests", "off", "--messages", "10000", "--symbols", "20", "--rate", "200000/s", "--failover", "4000,8000", "--json")
	var c xdp.Counters
	if err := json.Unmarshal([]byte(out), &c); code != exitOK || err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	if c.Failovers != 2 || c.Messages < 10_000+2*20*3 {
		t.Errorf("%+v", c)
	}
}

// TestGenXDPProducts: captures of the other feeds, read as what they are, of the market that they are of.
func TestGenXDPProducts(t *testing.T) {
	for _, tc := range []struct {
		product, market, schema string
		publisher               int
	}{
		{"bbo", "american", "mbp-1", 11}, {"trades", "nyse", "trades", 45}, {"summary", "national", "statistics", 10}, {"integrated", "arca", "mbo", 43},
	} {
		path := filepath.Join(t.TempDir(), "day.pcap")
		if code, _, errs := command(t, "gen", "xdp", "--product", tc.product, "--market", tc.market, "--messages", "5000", "--symbols", "5", "--together", "1h", "--out", path); code != exitOK {
			t.Fatalf("exit %d: %s", code, errs)
		}
		code, out, errs := command(t, "convert", path, "--schema", tc.schema, "--to", "json", "--out", "-")
		if want := fmt.Sprintf(`"publisher_id":%d`, tc.publisher); code != exitOK || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, nothing about %s: %.300s%s", tc.product, code, want, out, errs)
		}
	}
}

// TestSimXDPFaults: what is typed wrongly is named, all of it, and nothing is sent.
func TestSimXDPFaults(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"--ttl", "4", "--group-a", "here", "--group-refresh", "there", "--silence", "c:1s+1s", "--request-fault", "kind", "--requests", "there", "--payload", "5"},
			[]string{"TTL 4 on lo", "--group-a", "--group-refresh", "--silence", "--request-fault", "--requests there", "packets of 5 bytes"}},
		{[]string{"--rate", "5", "--pace", "max"}, []string{"exclude each other"}},
		{[]string{"--rate", "-5/s"}, []string{"--rate"}},
		{[]string{"--pace", "x10"}, []string{"no times of its own"}},
		{[]string{"--request-fault", "refuse=0"}, []string{"refuse=1 to refuse=9"}},
		{[]string{"--version", "9"}, []string{"9"}},
		{[]string{"/nowhere.pcap"}, []string{"/nowhere.pcap"}},
		{[]string{"--product", "depth"}, []string{"depth", "integrated"}},
		{[]string{"--market", "lse"}, []string{"lse", "arca"}},
		{[]string{"--product-id", "11"}, []string{"157"}},
		{[]string{"--failover", "5,4"}, []string{"--failover"}},
		{[]string{"a", "b"}, []string{"one argument too many"}},
	} {
		code, out, errs := command(t, append([]string{"sim", "xdp"}, tc.args...)...)
		for _, want := range tc.want {
			if code != exitUsage || out != "" || !strings.Contains(errs, want) {
				t.Errorf("%v: exit %d, nothing about %q: %s%s", tc.args, code, want, out, errs)
			}
		}
	}
}
