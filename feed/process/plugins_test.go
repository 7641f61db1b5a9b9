package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/control"
	"github.com/tickwire/tickwire/internal/testguest"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// pluginFeed is a running feed on lo with a sender on its line.
type pluginFeed struct {
	dir   string
	line  *udp.Sender
	mbp1  *ringbuf.Reader
	mbo   *ringbuf.Reader
	next  uint64
	log   *lockedBuffer
	ended chan error
}

func runPluginFeed(t *testing.T, dir, feed string) *pluginFeed {
	t.Helper()
	group := netip.AddrPortFrom(netip.MustParseAddr("239.255.72.9"), freePort(t))
	c, err := config.Parse(fmt.Appendf(nil, `
[instance]
name = "t"
ring_dir = %[1]q
run_dir = %[1]q
[plugins]
cache_dir = %[4]q
[[feed]]
name = "nq"
%[2]s
[[feed.channel]]
[[feed.channel.line]]
interface = "lo"
group = "%[3]s"
`, dir, feed, group, filepath.Join(dir, "cache")), nil)
	must(t, err)
	f := &pluginFeed{dir: dir, next: 1, log: &lockedBuffer{}, ended: make(chan error, 1)}
	p, err := Open(c, &c.Feed[0], slog.New(slog.NewTextHandler(io.MultiWriter(f.log, t.Output()), nil)))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { f.ended <- p.Run(ctx) }()
	f.line, err = udp.NewSender(group, "lo", 0)
	must(t, err)
	for kind, r := range map[ringbuf.Kind]**ringbuf.Reader{ringbuf.KindMbp1: &f.mbp1, ringbuf.KindMbo: &f.mbo} {
		*r, err = ringbuf.Open(ringbuf.Path(dir, "t", "nq", "0", kind), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
		must(t, err)
	}
	t.Cleanup(func() {
		cancel()
		must(t, <-f.ended)
		must(t, p.Close())
		must(t, f.line.Close())
		must(t, f.mbp1.Close())
		must(t, f.mbo.Close())
	})
	return f
}

// rowsUntil sends packets of one message until fn says of a record that it is what was waited for.
func (f *pluginFeed) rowsUntil(t *testing.T, what string, packet func(n uint64) []byte, fn func(r *ringbuf.Mbp1Slot) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		_, err := f.line.Send([][]byte{packet(f.next)})
		must(t, err)
		f.next++
		var recs [64]ringbuf.Mbp1Slot
		n, _, _ := ringbuf.PollSlice(f.mbp1, recs[:])
		for i := range recs[:n] {
			if fn(&recs[i]) {
				return
			}
		}
	}
	t.Fatalf("%s: not within a minute; the log:\n%s", what, f.log.text())
}

// trade is a packet with one order more, whose top of book changes.
func oneOrder(n uint64) []byte { return packet(n, 1) }

// TestPluginsOfAProcess: a feed's configured plugin is in its records, commands on the control socket change it, and counters and the file beside the rings tell.
func TestPluginsOfAProcess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.wasm")
	must(t, os.WriteFile(path, testguest.Mark("mark", "1.0.0", 1, 0), 0o600))
	f := runPluginFeed(t, dir, fmt.Sprintf("idle = \"spin\"\n[[feed.plugin]]\npath = %q", path))
	is := func(v uint64) func(*ringbuf.Mbp1Slot) bool {
		return func(r *ringbuf.Mbp1Slot) bool { return r.Plugin[0] == v }
	}
	f.rowsUntil(t, "version 1", oneOrder, is(1))
	client := control.NewClient(control.Path(dir, "nq"))
	var a lifecycle.Answer
	do := func(what string, r lifecycle.Request) error {
		a = lifecycle.Answer{}
		return client.Do(t.Context(), "POST", "/plugins/"+what, r, &a)
	}
	must(t, os.WriteFile(path, testguest.Mark("mark", "1.1.0", 2, 0), 0o600))
	must(t, do("reload", lifecycle.Request{Name: "mark"}))
	if a.Was != "1.0.0" || a.Is != "1.1.0" || a.Waiting {
		t.Errorf("%+v", a)
	}
	f.rowsUntil(t, "version 2", oneOrder, is(2))
	must(t, do("rollback", lifecycle.Request{Name: "mark"}))
	f.rowsUntil(t, "version 1 again", oneOrder, is(1))
	for what, r := range map[string]lifecycle.Request{
		"is no absolute path": {Path: "m.wasm"}, "no such file": {Path: filepath.Join(dir, "none.wasm")}, "is not loaded": {Name: "none"},
	} {
		command := "load"
		if r.Name != "" {
			command = "unload"
		}
		if err := do(command, r); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%+v: %v, want %q", r, err, what)
		}
	}
	var s lifecycle.Status
	must(t, client.Do(t.Context(), "GET", "/plugins", nil, &s))
	if len(s.Plugins) != 1 || s.Plugins[0].Version != "1.0.0" || s.Plugins[0].Lanes[0].Rows == 0 || s.Custom[0].Name != "mark" {
		t.Errorf("%+v", s)
	}
	names, err := ringbuf.ReadPlugins(ringbuf.SidePath(dir, "t", "nq", "", ringbuf.ExtPlugins))
	must(t, err)
	if len(names.Chain) != 1 || names.Custom[0].Plugin != "mark" || len(names.Former) != 1 {
		t.Errorf("%+v", names)
	}
	must(t, do("unload", lifecycle.Request{Name: "mark"}))
	f.rowsUntil(t, "no plugin", oneOrder, is(0))
	stats, err := ringbuf.OpenStats(ringbuf.SidePath(dir, "t", "nq", "", ringbuf.ExtStats))
	must(t, err)
	defer stats.Close()
	var got map[string]uint64
	for end := time.Now().Add(time.Minute); got["0.lane.plugin_swaps"] != 4 || got["0.plugin.mark.rows"] == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("counters: %v", got)
		}
		got = map[string]uint64{}
		for _, c := range stats.Append(nil) {
			got[c.Name] = c.Value
		}
	}
	if got["runtime.live_pinned_lanes"] != 0 || got["0.plugin.mark.bypassed"] != 0 {
		t.Errorf("pinned lanes %d, bypassed %d", got["runtime.live_pinned_lanes"], got["0.plugin.mark.bypassed"])
	}
	if n := strings.Count(f.log.text(), "their processors are not pinned: plugins run on them"); n != 1 {
		t.Errorf("it is said %d times that lanes are not pinned", n)
	}
}

// TestPluginOnAPinnedLane: a lane whose processor is pinned takes a plugin that comes later, and a trap of it harms nothing: the lane goes out of its window for it.
func TestPluginOnAPinnedLane(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.wasm")
	must(t, os.WriteFile(path, testguest.Mark("mark", "1.0.0", 1, 100), 0o600)) // all orders of the test have 100 shares
	f := runPluginFeed(t, dir, `idle = "spin"`)
	f.rowsUntil(t, "a row", oneOrder, func(*ringbuf.Mbp1Slot) bool { return true })
	client := control.NewClient(control.Path(dir, "nq"))
	var a lifecycle.Answer
	if err := client.Do(t.Context(), "POST", "/plugins/load", lifecycle.Request{Path: path}, &a); err == nil && !a.Trial.Made {
		t.Errorf("it traps on every row, and was taken: %+v", a)
	}
	must(t, os.WriteFile(path, testguest.Mark("mark", "1.0.1", 1, 0), 0o600))
	if a.Plugin == "" {
		must(t, client.Do(t.Context(), "POST", "/plugins/load", lifecycle.Request{Path: path}, &a))
	}
	f.rowsUntil(t, "the plugin", oneOrder, func(r *ringbuf.Mbp1Slot) bool { return r.Plugin[0] == 1 || r.Flags&tick.FlagPublisherSpecific != 0 })
}

// TestPluginThatStopsTheFeed: with on_trap stop_feed the process ends with an error that names the plugin, and its rings say that they failed.
func TestPluginThatStopsTheFeed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.wasm")
	must(t, os.WriteFile(path, testguest.Refuse("limit", "1.0.0", 1000, 100, "stop_feed"), 0o600))
	group := netip.AddrPortFrom(netip.MustParseAddr("239.255.72.10"), freePort(t))
	c, err := config.Parse(fmt.Appendf(nil, "[instance]\nname = \"t\"\nring_dir = %[1]q\nrun_dir = %[1]q\n[plugins]\ncache_dir = %[2]q\n[[feed]]\nname = \"nq\"\n[[feed.plugin]]\npath = %[3]q\n[[feed.channel]]\n[[feed.channel.line]]\ninterface = \"lo\"\ngroup = \"%[4]s\"\n",
		dir, filepath.Join(dir, "cache"), path, group), nil)
	must(t, err)
	p, err := Open(c, &c.Feed[0], slog.New(slog.DiscardHandler))
	must(t, err)
	defer func() { must(t, p.Close()) }()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(t.Context()) }()
	line, err := udp.NewSender(group, "lo", 0)
	must(t, err)
	defer line.Close()
	for n := uint64(1); ; n++ {
		_, err := line.Send([][]byte{packet(n, 1)})
		must(t, err)
		select {
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), "limit 1.0.0") || !strings.Contains(err.Error(), "feed nq lane 0") {
				t.Errorf("%v", err)
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// acmePacket is a packet of the example's protocol with one order.
func acmePacket(n uint64) []byte {
	b := append([]byte("AC\x01"), 1)
	b = binary.LittleEndian.AppendUint32(b, 7)
	b = binary.LittleEndian.AppendUint64(b, n)
	if n == 1 {
		b = append(b, 'I', 32, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, 3)
		b = binary.LittleEndian.AppendUint64(b, 34_200_000_000_000)
		return append(b, "ANVIL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	}
	b = append(b, 'A', 40, 'B', 0)
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint64(b, 34_200_000_000_000+n)
	b = binary.LittleEndian.AppendUint64(b, n)
	b = binary.LittleEndian.AppendUint64(b, 1_000_000+n)
	b = binary.LittleEndian.AppendUint32(b, 100)
	return append(b, 0, 0, 0, 0)
}

// TestPluginProtocolOfAFeed: a parser plugin is a feed's protocol: packets of its format by multicast become orders, best prices and a directory, a hole in its numbers
// is a gap, and a validator behind it judges its rows.
func TestPluginProtocolOfAFeed(t *testing.T) {
	dir := t.TempDir()
	examples, err := filepath.Abs("../../plugins/examples")
	must(t, err)
	path := filepath.Join(dir, "m.wasm")
	must(t, os.WriteFile(path, testguest.Mark("mark", "1.0.0", 1, 0), 0o600))
	f := runPluginFeed(t, dir, fmt.Sprintf("protocol = \"acme\"\n[[feed.plugin]]\npath = %q\n[[feed.plugin]]\npath = %q", filepath.Join(examples, "acme"), path))
	f.rowsUntil(t, "the second order", acmePacket, func(r *ringbuf.Mbp1Slot) bool {
		return r.Sequence >= 3 && r.Levels[0].BidPx == int64(1_000_000+r.Sequence)*100_000 && r.Plugin[0] == 1 && r.PublisherID == tick.PublisherPlugin
	})
	f.next++ // lost
	f.rowsUntil(t, "orders behind a gap", acmePacket, func(r *ringbuf.Mbp1Slot) bool { return r.Flags&tick.FlagMaybeBadBook != 0 })
	inst, err := ringbuf.OpenInst(ringbuf.SidePath(dir, "t", "nq", "0", ringbuf.ExtInst))
	must(t, err)
	defer inst.Close()
	if in, ok := inst.Lookup(tick.PublisherPlugin, 3); !ok || in.Symbol() != "ANVIL" {
		t.Errorf("%+v", in)
	}
	gaps := 0
	for {
		var recs [64]tick.Mbo
		n, _, _ := ringbuf.PollSlice(f.mbo, recs[:])
		if n == 0 {
			break
		}
		for i := range recs[:n] {
			if g := ringbuf.GapOfMbo(&recs[i]); g != nil && g.First == g.Last {
				gaps++
			}
		}
	}
	if gaps == 0 {
		t.Error("a hole in the numbers is no gap")
	}
}

// TestPluginProtocolChanges: the plugin that is a feed's protocol is reloaded while packets come, taken back when it fails while it is new, taken out when it fails on, with
// status and counters saying so, and is there again with a version that works.
func TestPluginProtocolChanges(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.wasm")
	write := func(version string, price int64) {
		must(t, os.WriteFile(path, testguest.PacketsOf("plain", version, price), 0o600))
	}
	write("1.0.0", 1)
	f := runPluginFeed(t, dir, fmt.Sprintf("protocol = \"plain\"\n[[feed.plugin]]\npath = %q", path))
	good, bad := func(uint64) []byte { return []byte("a") }, func(uint64) []byte { return []byte("!") }
	best := func(price int64) func(*ringbuf.Mbp1Slot) bool {
		return func(r *ringbuf.Mbp1Slot) bool { return r.Levels[0].BidPx == price*tick.PriceScale }
	}
	f.rowsUntil(t, "version 1", good, best(1))
	client := control.NewClient(control.Path(dir, "nq"))
	reload := func() (a lifecycle.Answer) {
		t.Helper()
		must(t, client.Do(t.Context(), "POST", "/plugins/reload", lifecycle.Request{Name: "plain"}, &a))
		return a
	}
	status := func() lifecycle.PluginStatus {
		t.Helper()
		var s lifecycle.Status
		must(t, client.Do(t.Context(), "GET", "/plugins", nil, &s))
		if len(s.Plugins) != 1 || len(s.Plugins[0].Lanes) != 1 || !s.Plugins[0].Lanes[0].Packets {
			t.Fatalf("%+v", s)
		}
		return s.Plugins[0]
	}
	until := func(what string, packet func(uint64) []byte, is func(lifecycle.PluginStatus) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !is(status()); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within a minute: %+v\n%s", what, status(), f.log.text())
			}
			_, err := f.line.Send([][]byte{packet(0)})
			must(t, err)
		}
	}
	write("1.1.0", 2)
	if a := reload(); a.Was != "1.0.0" || a.Is != "1.1.0" || a.Waiting {
		t.Errorf("%+v", a)
	}
	f.rowsUntil(t, "version 2", good, best(2))
	if st := status(); st.Lanes[0].Rows == 0 || st.Lanes[0].Version != "1.1.0" || st.Lanes[0].LatencySum == 0 {
		t.Errorf("%+v", st)
	}
	until("going back", bad, func(s lifecycle.PluginStatus) bool { return s.Version == "1.0.0" })
	until("it being out", bad, func(s lifecycle.PluginStatus) bool { return s.TakenOut })
	if st := status(); !strings.Contains(st.Note, "packets are refused") || st.Lanes[0].Failures != 3 {
		t.Errorf("%+v", st)
	}
	write("1.2.0", 3)
	reload()
	f.rowsUntil(t, "version 3", good, best(3))
	var a lifecycle.Answer
	if err := client.Do(t.Context(), "POST", "/plugins/unload", lifecycle.Request{Name: "plain"}, &a); err == nil || !strings.Contains(err.Error(), "is the feed's protocol") {
		t.Errorf("unloading it: %v", err)
	}
	must(t, os.WriteFile(path, testguest.PacketsOf("plain", "2.0.0", 4)[:60], 0o600))
	if err := client.Do(t.Context(), "POST", "/plugins/reload", lifecycle.Request{Name: "plain"}, &a); err == nil {
		t.Errorf("a broken module is taken: %+v", a)
	}
	must(t, os.WriteFile(path, renamed(t, testguest.PacketsOf("other", "2.0.0", 4), "other", "plain", 1), 0o600))
	if err := client.Do(t.Context(), "POST", "/plugins/reload", lifecycle.Request{Name: "plain"}, &a); err == nil || !strings.Contains(err.Error(), "has no parser plain") {
		t.Errorf("a version that speaks something else: %v, %+v", err, a)
	}
	stats, err := ringbuf.OpenStats(ringbuf.SidePath(dir, "t", "nq", "", ringbuf.ExtStats))
	must(t, err)
	defer stats.Close()
	var got map[string]uint64
	for end := time.Now().Add(time.Minute); got["0.parser.plain.traps"] < 4 || got["0.parser.plain.rows"] == 0 || got["0.parser.plain.live_taken_out"] != 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("counters: %v", got)
		}
		got = map[string]uint64{}
		for _, c := range stats.Append(nil) {
			got[c.Name] = c.Value
		}
	}
}

// renamed is a module in whose bytes a word, the n-th time that it is there, is another one as long.
func renamed(t *testing.T, module []byte, from, to string, n int) []byte {
	t.Helper()
	at := 0
	for ; n > 0; n-- {
		k := bytes.Index(module[at:], []byte(from))
		if k < 0 || len(from) != len(to) {
			t.Fatalf("%q is not there", from)
		}
		at += k + len(from)
	}
	copy(module[at-len(from):], to)
	return module
}

// TestPluginProtocolOfACapture: a capture of a plugin's protocol, two groups with the same packets, one of which lacks some, becomes each order once.
func TestPluginProtocolOfACapture(t *testing.T) {
	module, err := os.ReadFile("../../plugins/examples/acme/acme.wasm")
	must(t, err)
	h, err := plugins.New(plugins.Options{Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer func() { must(t, h.Close()) }()
	p, err := h.Compile(module)
	must(t, err)
	defer func() { must(t, p.Close()) }()
	proto, err := protocol.FromPlugin(plugins.Stage{Plugin: p}, p.Unit(manifest.Parser, "acme"), false)
	must(t, err)
	defer func() { must(t, proto.Close()) }()
	path := filepath.Join(t.TempDir(), "20260105.acme.pcap")
	file, err := os.Create(path)
	must(t, err)
	w := pcap.NewWriter(file)
	const packets = 500
	for n := uint64(1); n <= packets; n++ {
		for line, lacks := range []uint64{7, 11} {
			if n%lacks != 0 {
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 1, 1, byte(1 + line)}), 5000)
				must(t, w.WriteUDP(1_767_623_400_000_000_000+n*1000, netip.MustParseAddrPort("192.0.2.1:40000"), to, 0, acmePacket(n)))
			}
		}
	}
	must(t, w.Flush())
	must(t, file.Close())
	f, err := OpenOffline(path, OfflineOptions{Kinds: []ringbuf.Kind{ringbuf.KindMbo}, Capture: CaptureOptions{Plugin: proto}, Slots: 1 << 12})
	must(t, err)
	defer func() { must(t, f.Close()) }()
	must(t, f.Run(nil))
	r, err := ringbuf.Open(f.Writers[ringbuf.KindMbo].Path(), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer r.Close()
	orders, gaps := 0, 0
	for {
		var recs [64]tick.Mbo
		n, _, _ := ringbuf.PollSlice(r, recs[:])
		if n == 0 {
			break
		}
		for i := range recs[:n] {
			switch {
			case ringbuf.GapOfMbo(&recs[i]) != nil:
				gaps++
			case recs[i].Action == tick.ActionAdd:
				orders++
			}
		}
	}
	lost := packets / (7 * 11) // on both lines
	if orders != packets-1-lost || gaps != lost {
		t.Errorf("%d orders and %d gaps, want %d and %d", orders, gaps, packets-1-lost, lost)
	}
}
