package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/sim/mold"
)

// simPort is a port for groups that nobody has.
func simPort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// TestSim: a generated session is played on lo, its truth is a file that can be played again, and both summaries agree.
func TestSim(t *testing.T) {
	port := simPort(t)
	common := []string{
		"--rate", "200000/s", "--group-a", fmt.Sprintf("239.255.79.1:%d", port), "--group-b", fmt.Sprintf("239.255.79.2:%d", port),
		"--heartbeat", "10ms", "--requests", "127.0.0.1:0", "--snapshots", "127.0.0.1:0", "--both", "1%:5", "--json",
	}
	truth := filepath.Join(t.TempDir(), "truth.itch")
	code, out, errs := command(t, append([]string{"sim", "--messages", "20000", "--symbols", "50", "--expect", truth}, common...)...)
	var c exchange.Counters
	if err := json.Unmarshal([]byte(out), &c); code != exitOK || err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	if c.Messages != 20_000 || c.Next != 20_001 || c.LostMessages == 0 || len(c.Lost) == 0 || c.Gone != 0 || c.Lines[0].InBoth != c.Lines[1].InBoth {
		t.Errorf("%+v", c)
	}
	code, out, errs = command(t, append([]string{"sim", truth, "--requests-lose", "100%"}, common...)...)
	c = exchange.Counters{}
	if err := json.Unmarshal([]byte(out), &c); code != exitOK || err != nil || c.Messages != 20_000 || c.Gone != c.LostMessages || c.Gone == 0 {
		t.Errorf("exit %d, %v: %s%s", code, err, out, errs)
	}
	code, out, errs = command(t, append([]string{"sim", truth}, common[:len(common)-1]...)...)
	for _, want := range []string{"20000 messages of 1 session(s)", "last message 20000", "line A  239.255.79.1", "line B  239.255.79.2", "no receiver can have 0", "re-requests at 127.0.0.1:", "snapshots at"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("exit %d, nothing about %q: %s%s", code, want, out, errs)
		}
	}
	cut := filepath.Join(t.TempDir(), "cut.itch")
	b, err := os.ReadFile(truth)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, b[:len(b)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, append([]string{"sim", cut}, common...)...); code != exitFailed || !strings.Contains(errs, "message 20000 at byte") || !strings.Contains(out, `"messages": 19999`) {
		t.Errorf("a file that is cut off: exit %d: %s%s", code, out, errs)
	}
}

// TestSimConfig: what --print-config prints is a configuration, of the groups and servers given.
func TestSimConfig(t *testing.T) {
	code, out, errs := command(t, "sim", "--print-config", "--group-a", "239.1.2.3:4000", "--snapshots-user", "me")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	path := filepath.Join(t.TempDir(), "tickwire.toml")
	if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, nil)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	f := &cfg.Feed[0]
	if f.Publisher != 40_000 || f.Channel[0].Line[0].Group.String() != "239.1.2.3:4000" || f.Channel[0].Line[1].Group != exchange.GroupB ||
		f.Recovery.Servers[0] != "127.0.0.1:26478" || f.Recovery.Snapshot != "127.0.0.1:26479" || f.Recovery.SnapshotUser != "me" {
		t.Errorf("%+v", f)
	}
}

// TestSimFaults: what is typed wrongly is named, all of it, and nothing is sent.
func TestSimFaults(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{[]string{"--rate", "5", "--pace", "max", "--ttl", "4", "--group-a", "here", "--silence", "c:1s+1s", "--snapshot-fault", "kind", "--requests", "there"},
			[]string{"exclude each other", "TTL 4 on lo", "--group-a", "--silence", "--snapshot-fault", "--requests there"}},
		{[]string{"--loss-a", "5"}, []string{"no share such as 0.1%"}},
		{[]string{"--loss-a", "101%"}, []string{"no share"}},
		{[]string{"--burst-b", "5%"}, []string{"no share and number"}},
		{[]string{"--corrupt-a", "5%:everything"}, []string{"header, length, truncate"}},
		{[]string{"--delay-a", "-5s"}, []string{"no time"}},
		{[]string{"--via", "afxdp"}, []string{"other than lo"}},
		{[]string{"--via", "pigeon"}, []string{"sockets or afxdp"}},
		{[]string{"--interface", "nosuch0"}, []string{"interface nosuch0"}},
		{[]string{"/nowhere.itch"}, []string{"/nowhere.itch"}},
		{[]string{"a", "b"}, []string{"one argument too many"}},
	} {
		code, out, errs := command(t, append([]string{"sim"}, tc.args...)...)
		for _, want := range tc.want {
			if code != exitUsage || out != "" || !strings.Contains(errs, want) {
				t.Errorf("%v: exit %d, nothing about %q: %s%s", tc.args, code, want, out, errs)
			}
		}
	}
}

func TestSimValues(t *testing.T) {
	for text, want := range map[string]share{"0": 0, "0%": 0, "1%": 10_000, "0.1%": 1_000, "50ppm": 50, "100%": 1_000_000, "0.00016%": 2} {
		var s share
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: %d ppm, want %d: %v", text, s, want, err)
		}
	}
	for _, text := range []string{"", "1", "-1%", "NaN%", "1e9ppm", "0.1ppm", "%"} {
		var s share
		if err := s.Set(text); err == nil {
			t.Errorf("%q is a share of %d", text, s)
		}
	}
	for text, want := range map[string]mold.Silence{
		"a:10s+500ms": {AfterNs: 10_000_000_000, ForNs: 500_000_000}, "B:0s+1s/30s": {Line: 1, ForNs: 1_000_000_000, EveryNs: 30_000_000_000},
		"both:1us+1ns": {Line: mold.Both, AfterNs: 1000, ForNs: 1},
	} {
		if got, err := parseSilence(text); err != nil || got != want {
			t.Errorf("%s: %+v, want %+v: %v", text, got, want, err)
		}
	}
	f, err := parseSnapshotFaults([]string{"refuse", "silent", "no-heartbeats", "endless", "garbage", "cut=1", "end=2", "shift=-3", "slow=4", "delay=5s", "late=6s"})
	if err != nil || f.Refuse == 0 || !f.Silent || !f.NoHeartbeats || !f.Endless || f.Garbage == nil || f.CutAfter != 1 || f.EndAfter != 2 || f.Shift != -3 || f.BytesPerSecond != 4 || f.Delay == 0 || f.Late == 0 {
		t.Errorf("%+v: %v", f, err)
	}
}

// TestSimAnyText: whatever is typed, a share stays within a whole and nothing panics.
func TestSimAnyText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"1", "%", "ppm", ":", "+", "/", "s", "ms", "-", ".", "e9", "a", "both", "header", ",", "cut", "=", "NaN", "Inf", "99999999999", " ", "\xff"}
	for range 200_000 {
		text := ""
		for range r.IntN(8) {
			text += words[r.IntN(len(words))]
		}
		var s share
		var l mold.Line
		if err := s.Set(text); err == nil && s > 1_000_000 {
			t.Errorf("%q is %d of a million", text, s)
		}
		_ = (&burstValue{&l.BurstPPM, &l.BurstPackets}).Set(text)
		_ = (&corruptValue{&l}).Set(text)
		_, _ = parseSilence(text)
		_, _ = parseSnapshotFaults([]string{text})
		if l.BurstPPM > 1_000_000 || l.CorruptPPM > 1_000_000 {
			t.Errorf("%q: %+v", text, l)
		}
	}
}
