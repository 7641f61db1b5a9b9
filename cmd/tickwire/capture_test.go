package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/control"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/nic/capture"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/nic/udp"
)

// tapFeed is what a feed process does for captures: a host with one lane, its control socket, and a lane that takes the packets of a
// generated session over and over.
func tapFeed(t *testing.T, runDir string) (decoded string) {
	t.Helper()
	day := filepath.Join(t.TempDir(), "day.pcap")
	if code, _, errs := command(t, "gen", "itch", "--messages", "2000", "--out", day); code != exitOK {
		t.Fatal(errs)
	}
	r, err := pcap.Open(day)
	if err != nil {
		t.Fatal(err)
	}
	var packets []nic.Packet
	for {
		var one [1]nic.Packet
		n, err := r.Poll(one[:])
		if n == 1 {
			one[0].Data = append([]byte(nil), one[0].Data...) // a source's memory is its own
			one[0].Stamp = nic.StampHardware
			packets = append(packets, one[0])
		}
		if err != nil {
			break
		}
	}
	_ = r.Close()
	h, err := capture.NewHost(capture.HostOptions{Dir: t.TempDir(), Feed: "f"})
	if err != nil {
		t.Fatal(err)
	}
	tap := h.Lane(capture.LaneInfo{Lane: "0", Interfaces: [2]string{"eth2", "eth3"}})
	s, err := control.Listen(control.Path(runDir, "f"), control.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h.Register(s)
	ctx, cancel := context.WithCancel(context.Background())
	served, laned := make(chan error, 1), make(chan struct{})
	go func() { served <- s.Serve(ctx) }()
	go func() {
		defer close(laned)
		for at := 0; ctx.Err() == nil; time.Sleep(200 * time.Microsecond) {
			if !tap.On() { // each capture begins with the session's first packet
				at = 0
				continue
			}
			n := min(16, len(packets)-at)
			tap.Take(packets[at : at+n])
			if at += n; at == len(packets) {
				at = 0
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-laned
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	_, decoded, _ = command(t, "decode", day)
	return decoded
}

// What a feed receives comes out of the files as the messages that were on the wire.
func TestCaptureFromFeed(t *testing.T) {
	runDir, dir := t.TempDir(), t.TempDir()
	want := tapFeed(t, runDir)
	file := filepath.Join(dir, "x.pcapng")
	code, out, errs := command(t, "capture", "--feed", "f", "--run-dir", runDir, "--out", file, "--count", "40", "--json")
	var report captureReport
	if err := json.Unmarshal([]byte(out), &report); code != exitOK || err != nil || report.Packets != 40 || report.Dropped != 0 || len(report.Files) != 1 {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	code, got, errs := command(t, "decode", file)
	if code != exitOK || got == "" {
		t.Fatalf("decode: exit %d: %s", code, errs)
	}
	raw := func(text string) (messages []string) {
		for line := range strings.Lines(text) {
			var m struct{ Raw string }
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			messages = append(messages, m.Raw)
		}
		return messages
	}
	g, w := raw(got), raw(want)
	if len(g) == 0 || len(g) > len(w) || fmt.Sprint(g) != fmt.Sprint(w[:len(g)]) {
		t.Errorf("%d messages that are not the first of the %d sent", len(g), len(w))
	}
	code, _, errs = command(t, "capture", "--feed", "f", "--run-dir", runDir, "--out", filepath.Join(dir, "r.pcapng"),
		"--rotate-size", "64KiB", "--keep", "2", "--for", "1s", "--compress", "zstd")
	files, _ := filepath.Glob(filepath.Join(dir, "r-*.pcapng.zst"))
	if code != exitOK || len(files) == 0 || len(files) > 2 || !strings.Contains(errs, "packets") {
		t.Errorf("rotated: exit %d, %v: %s", code, files, errs)
	}
	for _, f := range files {
		if code, _, errs := command(t, "decode", f); code != exitOK {
			t.Errorf("decode %s: exit %d: %s", f, code, errs)
		}
	}
}

// A capture without a feed receives by itself; on lo, where packets stay.
func TestCaptureDirect(t *testing.T) {
	dir := t.TempDir()
	day, file := filepath.Join(dir, "day.itch"), filepath.Join(dir, "x.pcapng")
	if code, _, errs := command(t, "gen", "itch", "--messages", "3000", "--out", day); code != exitOK {
		t.Fatal(errs)
	}
	const group = "239.255.91.7:26491"
	type result struct {
		code      int
		out, errs string
	}
	done := make(chan result, 1)
	go func() {
		code, out, errs := command(t, "capture", "--interface", "lo", "--group", group, "--source", "udp", "--count", "20", "--for", "60s", "--out", file, "--json")
		done <- result{code, out, errs}
	}()
	for {
		select {
		case r := <-done:
			var report captureReport
			if err := json.Unmarshal([]byte(r.out), &report); r.code != exitOK || err != nil || report.Packets != 20 {
				t.Fatalf("exit %d, %v: %s%s", r.code, err, r.out, r.errs)
			}
			code, out, errs := command(t, "decode", file)
			if code != exitOK || !strings.Contains(out, `"protocol":"itch"`) {
				t.Errorf("decode: exit %d: %s", code, errs)
			}
			return
		default: // until it has joined and has enough
			if code, _, errs := command(t, "replay", day, "--pace", "max", "--interface", "lo", "--group", group); code != exitOK {
				t.Fatal(errs)
			}
		}
	}
}

// Through AF_XDP the frames of the file are those of the wire, not made ones.
func TestCaptureDirectAFXDP(t *testing.T) {
	pair := nstest.Pair(t, netns.Options{})
	if missing := afxdp.Missing(); missing != "" {
		t.Skip(missing)
	}
	file := filepath.Join(t.TempDir(), "x.pcapng")
	group := netip.MustParseAddrPort("239.255.91.8:26492")
	var code int
	var out, errs string
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = pair.Rx.Do(func() error {
			code, out, errs = command(t, "capture", "--interface", "feed0", "--group", group.String(), "--source", "afxdp", "--count", "20", "--for", "60s", "--out", file, "--json")
			return nil
		})
	}()
	err := pair.Tx.Do(func() error {
		s, err := udp.NewSender(group, "gen0", 1)
		if err != nil {
			return err
		}
		defer s.Close()
		for {
			select {
			case <-done:
				return nil
			default:
				if _, err := s.Send([][]byte{[]byte("a datagram of the wire")}); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
		}
	})
	if err != nil || code != exitOK {
		t.Fatalf("%v, exit %d: %s%s", err, code, out, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(text, []byte("a datagram of the wire")) || bytes.Contains(text, []byte("headers are made")) || !bytes.Contains(text, []byte("feed0")) {
		t.Errorf("%v; exit %d: %s%s", err, code, out, errs)
	}
}

// A capture says what it waits for, and says so again while nothing comes; not while packets come.
func TestCaptureSaysWhatItWaitsFor(t *testing.T) {
	was := captureQuiet
	captureQuiet = 500 * time.Millisecond
	defer func() { captureQuiet = was }()
	out := filepath.Join(t.TempDir(), "x.pcapng")
	code, _, errs := command(t, "capture", "--interface", "lo", "--group", "239.255.91.9:26493", "--source", "udp", "--count", "20", "--for", "2500ms", "--out", out)
	for _, want := range []string{
		"waiting for 20 packets of group 239.255.91.9:26493 on lo, for 2.5s at most; Control-C ends it\n",
		"nothing has come for 1 s; 0 packets so far, still waiting for 20 packets of group 239.255.91.9:26493 on lo, for 2.5s at most",
		"0 packets, ",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("exit %d: no word of %q in:\n%s", code, want, errs)
		}
	}
	runDir := t.TempDir()
	tapFeed(t, runDir)
	code, _, errs = command(t, "capture", "--feed", "f", "--run-dir", runDir, "--lane", "0", "--line", "A", "--for", "2500ms", "--out", out, "--force")
	if code != exitOK || !strings.HasPrefix(errs, "waiting for packets on line A of feed f, lane 0, for 2.5s at most; Control-C ends it\n") || strings.Contains(errs, "nothing has come") {
		t.Errorf("exit %d:\n%s", code, errs)
	}
}

func TestCaptureFaults(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "x.pcapng")
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--feed", "f", "--run-dir", dir}, exitUsage, "--out"},
		{[]string{"--feed", "f", "--run-dir", dir, "--out", out}, exitFailed, "does not run"},
		{[]string{"--out", out}, exitUsage, "no [[feed]]"},
		{[]string{"--feed", "f", "--out", out, "--keep", "3"}, exitUsage, "rotated"},
		{[]string{"--feed", "f", "--out", out, "--buffer", "3MiB"}, exitUsage, "power of two"},
		{[]string{"--feed", "f", "--out", out, "--buffer", "much"}, exitUsage, "no size"},
		{[]string{"--feed", "f", "--out", out, "--group", "x"}, exitUsage, "no address"},
		{[]string{"--interface", "lo", "--out", out}, exitUsage, "--group"},
		{[]string{"--interface", "lo", "--group", "239.1.1.1", "--out", out}, exitUsage, "with its port"},
		{[]string{"--interface", "lo", "--group", "10.1.1.1:5", "--out", out}, exitUsage, "multicast"},
		{[]string{"--interface", "lo", "--feed", "f", "--group", "239.1.1.1:5", "--out", out}, exitUsage, "without a feed"},
		{[]string{"--interface", "nosuch0", "--source", "udp", "--group", "239.1.1.1:5", "--out", out}, exitFailed, "nosuch0"},
		{[]string{"--interface", "lo", "--source", "x", "--group", "239.1.1.1:5", "--out", out}, exitUsage, "none of"},
		{[]string{"--interface", "lo", "--source", "udp", "--line", "C", "--group", "239.1.1.1:5", "--out", out}, exitUsage, "neither A nor B"},
	} {
		code, _, errs := command(t, append([]string{"capture"}, tc.args...)...)
		if code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%v: exit %d, %q; want %d, %q", tc.args, code, errs, tc.code, tc.want)
		}
	}
	tapFeed(t, dir)
	if code, _, errs := command(t, "capture", "--feed", "f", "--run-dir", dir, "--lane", "7", "--out", out); code != exitUsage || !strings.Contains(errs, "it has: 0") {
		t.Errorf("a lane that is not there: exit %d, %s", code, errs)
	}
}
