package protocol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/testguest"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

const acmeMidnight = uint64(1_767_571_200_000_000_000)

// acme is the example's protocol.
func acme(t testing.TB) *Plugin {
	t.Helper()
	module, err := os.ReadFile("../../plugins/examples/acme/acme.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return spoken(t, module, "acme")
}

// spoken is the protocol of a module's parser.
func spoken(t testing.TB, module []byte, name string) *Plugin {
	t.Helper()
	h, err := plugins.New(plugins.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Compile(module)
	if err != nil {
		t.Fatal(err)
	}
	out, err := FromPlugin(plugins.Stage{Plugin: p}, p.Unit(manifest.Parser, name), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []io.Closer{out, p, h} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return out
}

// acmePacket has adds of orders first, first+1, …, each of 100 at 100.0000.
func acmePacket(first uint64, count int) []byte {
	b := append([]byte("AC\x01"), byte(count))
	b = binary.LittleEndian.AppendUint32(b, 7)
	b = binary.LittleEndian.AppendUint64(b, first)
	for n := range uint64(count) {
		b = append(b, 'A', 40, 'B', 0)
		b = binary.LittleEndian.AppendUint32(b, 3)
		b = binary.LittleEndian.AppendUint64(b, 34_200_000_000_000+n)
		b = binary.LittleEndian.AppendUint64(b, first+n)
		b = binary.LittleEndian.AppendUint64(b, 1_000_000)
		b = binary.LittleEndian.AppendUint32(b, 100)
		b = append(b, 0, 0, 0, 0)
	}
	return b
}

func batch(t testing.TB) *tick.Batch {
	t.Helper()
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Free() })
	return b
}

// TestPluginIsAProtocol: a plugin's framing and rows are those of its packets; a packet of which some came is left to those that did not; one that cannot be read is
// counted, all its messages.
func TestPluginIsAProtocol(t *testing.T) {
	p, to := acme(t), netip.MustParseAddrPort("239.1.1.1:1")
	if p.Looks(acmePacket(1, 2), to) != 90 || p.Looks([]byte("MOLD"), to) != 0 {
		t.Error("it does not know its packets from others'")
	}
	if p.Name != "acme" || p.Dataset != "PLUGIN.ACME" || p.Unnumbered {
		t.Errorf("%+v", p.Protocol)
	}
	if d, err := p.New(Options{}); err != nil {
		t.Fatal(err)
	} else {
		d.Start(acmeMidnight)
		packet := acmePacket(1000, 5)
		h, blocks, err := p.Framing.Parse(packet)
		if err != nil || h.Sequence != 1000 || h.Count != 5 || h.Session == ([10]byte{}) {
			t.Fatalf("%+v, %v", h, err)
		}
		if whole, used := p.Framing.Walk(blocks, 5); whole != 5 || used != len(blocks) {
			t.Errorf("whole %d, used %d of %d", whole, used, len(blocks))
		}
		if whole, used := p.Framing.Walk(blocks, 2); whole != 2 || used != 0 {
			t.Errorf("two of them: whole %d, used %d: such a packet cannot be cut", whole, used)
		}
		b := batch(t)
		if used, n := d.Append(blocks, 1000, 64, b); used != len(blocks) || n != 5 || b.N != 5 {
			t.Fatalf("used %d, %d messages, %d rows", used, n, b.N)
		}
		if b.Kind[4] != tick.KindAdd || b.OrderID[4] != 1004 || b.Price[4] != 100_000_000_000 || b.Sequence[4] != 1004 || b.TsEvent[0] != acmeMidnight+34_200_000_000_000 {
			t.Errorf("row 4: kind %d order %d price %d sequence %d at %d", b.Kind[4], b.OrderID[4], b.Price[4], b.Sequence[4], b.TsEvent[0])
		}
		b.Reset()
		if used, n := d.Append(blocks, 1003, 64, b); used != len(blocks) || n != 2 || b.N != 2 || b.OrderID[0] != 1003 {
			t.Errorf("the last two alone: used %d, %d messages, %d rows, the first of order %d", used, n, b.N, b.OrderID[0])
		}
		if used, n := d.Append(blocks, 1000, 1, b); n != 5 || used != len(blocks) || b.N != 7 {
			t.Errorf("more than were asked for: used %d, %d messages, %d rows", used, n, b.N)
		}
		b.N = tick.MaxRows - 10
		if used, n := d.Append(blocks, 1000, 64, b); used != 0 || n != 0 {
			t.Errorf("a batch without room: used %d, %d messages", used, n)
		}
		b.Reset()
		bad := bytes.Clone(packet)
		bad[16+40+1] = 3 // the second message's length
		if used, n := d.Append(bad, 1000, 64, b); used != len(bad) || n != 5 || b.N != 0 || d.Refused() != 5 {
			t.Errorf("a packet that lies: used %d, %d messages, %d rows, %d refused", used, n, b.N, d.Refused())
		}
		if _, n := d.Append(blocks, 1000, 64, b); n != 5 || b.N != 5 {
			t.Errorf("the packet behind it: %d messages, %d rows", n, b.N)
		}
		ids := 0
		d.Instruments(func(id uint32) bool { ids += int(id); return true })
		if ids != 3 {
			t.Errorf("instruments sum up to %d, want 3", ids)
		}
	}
	if _, _, err := p.Framing.Parse(nil); err == nil {
		t.Error("no bytes are a packet")
	}
	c := config.Config{Feed: []config.Feed{{Protocol: "acme", Plugin: []config.Plugin{{Path: "/x"}}}}}
	c.Defaults()
	if f := &c.Feed[0]; f.Publisher != p.Publisher || f.Dataset != p.Dataset {
		t.Errorf("the configuration says %d %s, the protocol %d %s", f.Publisher, f.Dataset, p.Publisher, p.Dataset)
	}
}

// TestPluginWithoutFraming: packets without numbers are messages of their own, numbered as they come. One that the parser cannot read is refused, and so is one on which it
// traps, after which a spare instance reads on.
func TestPluginWithoutFraming(t *testing.T) {
	p := spoken(t, testguest.Packets("plain"), "plain")
	d, err := p.New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.Start(acmeMidnight)
	b, next, refused := batch(t), uint64(1), uint64(0)
	packet := func(text string) bool {
		h, blocks, err := p.Framing.Parse([]byte(text))
		if err != nil {
			return false // there is no instance just now
		}
		if h.Sequence != next || h.Count != 1 {
			t.Fatalf("packet %q is number %d of %d messages, want %d", text, h.Sequence, h.Count, next)
		}
		next++
		if whole, used := p.Framing.Walk(blocks, 1); whole != 1 || used != len(text) {
			t.Fatalf("%q: whole %d, used %d", text, whole, used)
		}
		b.Reset()
		if used, n := d.Append(blocks, h.Sequence, 64, b); used != len(text) || n != 1 {
			t.Fatalf("%q: used %d, %d messages", text, used, n)
		}
		return b.N == 1
	}
	if !p.Unnumbered || !packet("a") || b.OrderID[0] != 1 || b.Sequence[0] != 1 || b.Kind[0] != tick.KindAdd {
		t.Fatalf("%d rows, the first of order %d", b.N, b.OrderID[0])
	}
	for range 5 {
		for _, bad := range []string{"?", "!"} {
			if packet(bad) {
				t.Errorf("%q became a row", bad)
			}
			refused++
			if d.Refused() != refused {
				t.Errorf("%d packets are refused, want %d", d.Refused(), refused)
			}
			for end := time.Now().Add(time.Minute); !packet("a"); { // until the spare is there
				if time.Now().After(end) {
					t.Fatal("no instance came back within a minute")
				}
			}
			refused = d.Refused()
		}
	}
}

// TestPluginReloadsUnderLoad: versions change a thousand times while packets are read. No packet is lost or comes twice, each pass is read by one version, and versions come
// in order.
func TestPluginReloadsUnderLoad(t *testing.T) {
	reloads := 1000
	if testing.Short() {
		reloads = 100
	}
	h, err := plugins.New(plugins.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	version := func(n int) plugins.Stage {
		p, err := h.Compile(testguest.PacketsOf("plain", fmt.Sprintf("1.0.%d", n), int64(1+n)))
		if err != nil {
			t.Error(err)
		}
		return plugins.Stage{Plugin: p}
	}
	p, err := FromPlugin(version(0), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.Start(acmeMidnight)
	var ready sync.WaitGroup
	var passes atomic.Uint64
	done := make(chan struct{})
	ready.Go(func() {
		defer close(done)
		for n := 1; n <= reloads; n++ {
			c, err := h.NewReader(version(n), 0, plugins.Env{Lane: true})
			if err != nil {
				t.Error(err)
				return
			}
			p.Seat().Set(c)
			for from := passes.Load(); passes.Load() < from+2; {
				runtime.Gosched()
			}
		}
	})
	b, next, last, versions := batch(t), uint64(1), int64(1), 1
	for n, running := 0, true; running; n++ {
		select {
		case <-done:
			running = false // one pass more
		default:
		}
		b.Reset()
		for range 1 + n%9 {
			head, blocks, err := p.Framing.Parse([]byte("a"))
			if err != nil || head.Sequence != next {
				t.Fatalf("packet %d is number %d, %v", next, head.Sequence, err)
			}
			if used, messages := d.Append(blocks, head.Sequence, 64, b); used != 1 || messages != 1 {
				t.Fatalf("packet %d: used %d, %d messages", next, used, messages)
			}
			next++
		}
		for r := range b.N {
			price := b.Price[r] / tick.PriceScale
			if b.OrderID[r] != next-uint64(b.N)+uint64(r) || price != b.Price[0]/tick.PriceScale || price < last {
				t.Fatalf("row %d of %d: order %d of version %d, the pass before of %d", r, b.N, b.OrderID[r], price, last)
			}
		}
		if b.N != 1+n%9 {
			t.Fatalf("%d rows of %d packets", b.N, 1+n%9)
		}
		if is := b.Price[0] / tick.PriceScale; is != last {
			last = is
			versions++
		}
		d.(interface{ EndPass(uint64) }).EndPass(uint64(n))
		passes.Add(1)
		if n%16 == 0 {
			runtime.Gosched()
		}
	}
	ready.Wait()
	if d.Refused() != 0 || versions != reloads+1 {
		t.Errorf("%d packets refused, %d versions of %d", d.Refused(), versions, reloads+1)
	}
	if st := p.Reader().Stats()[0]; st.Rows != next-1 || st.Traps+st.Errors+st.Bypassed != 0 {
		t.Errorf("%+v, but %d packets", st, next-1)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestPluginAllocatesNothing: framing and decoding, once warm.
func TestPluginAllocatesNothing(t *testing.T) {
	p := acme(t)
	d, err := p.New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	d.Start(acmeMidnight)
	b, packet := batch(t), acmePacket(1, 20)
	pass := func() {
		b.Reset()
		h, blocks, err := p.Framing.Parse(packet)
		if err != nil {
			t.Fatal(err)
		}
		p.Framing.Walk(blocks, int(h.Count))
		if _, n := d.Append(blocks, h.Sequence, 64, b); n != 20 || b.N != 20 {
			t.Fatalf("%d messages, %d rows", n, b.N)
		}
	}
	pass()
	if n := testing.AllocsPerRun(500, pass); n != 0 {
		t.Errorf("%g allocations a packet", n)
	}
}

// FuzzPlugin: whatever a packet has in it, framing and decoder agree on how many messages it is, and the batch's rows are such as others may read.
func FuzzPlugin(f *testing.F) {
	f.Add(acmePacket(1, 3), uint8(0))
	f.Add(acmePacket(1, 3), uint8(2))
	f.Add(acmePacket(5, 0), uint8(0))
	f.Add([]byte("AC"), uint8(1))
	p := acme(f)
	d, err := p.New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	d.Start(acmeMidnight)
	b := batch(f)
	f.Fuzz(func(t *testing.T, packet []byte, skip uint8) {
		b.Reset()
		h, blocks, err := p.Framing.Parse(packet)
		if err != nil || h.Count == 0 {
			return
		}
		if whole, used := p.Framing.Walk(blocks, int(h.Count)); whole != int(h.Count) || used != len(blocks) {
			t.Fatalf("walk: %d of %d messages, %d of %d bytes", whole, h.Count, used, len(blocks))
		}
		from := min(uint64(skip), uint64(h.Count)-1)
		if h.Sequence+uint64(h.Count) < h.Sequence {
			return // the session refuses it
		}
		used, n := d.Append(blocks, h.Sequence+from, 64, b)
		if used != len(blocks) || n != int(uint64(h.Count)-from) {
			t.Fatalf("append: %d messages from %d of %d, %d bytes of %d", n, from, h.Count, used, len(blocks))
		}
		for i := range b.N {
			if b.Sequence[i] < h.Sequence+from || b.Kind[i] == 0 || b.Kind[i] >= tick.KindCount {
				t.Fatalf("row %d: sequence %d, kind %d", i, b.Sequence[i], b.Kind[i])
			}
		}
	})
}

// TestParserFailureIsTold: a parser that traps is in the log, by name and version; a packet that it cannot read is not, which anybody may send.
func TestParserFailureIsTold(t *testing.T) {
	var log bytes.Buffer
	h, err := plugins.New(plugins.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Compile(testguest.Packets("raw"))
	if err != nil {
		t.Fatal(err)
	}
	spoken, err := FromPlugin(plugins.Stage{Plugin: p}, p.Unit(manifest.Parser, "raw"), true)
	if err != nil {
		t.Fatal(err)
	}
	d, err := spoken.New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := batch(t)
	d.Append([]byte("?"), 1, 64, b)
	d.Append([]byte("!"), 2, 64, b)
	for _, c := range []io.Closer{spoken, p, h} { // the log is written then
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if text := log.String(); bytes.Count(log.Bytes(), []byte("\n")) != 1 || !bytes.Contains(log.Bytes(), []byte("plugin=raw version=1.0.0")) || !bytes.Contains(log.Bytes(), []byte("unreachable")) {
		t.Errorf("the log says %q", text)
	}
}
