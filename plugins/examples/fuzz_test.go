package examples_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/internal/guest"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// FuzzAcme: whatever a packet holds, the host takes the parser's rows, or the parser refuses the packet with words. It is never the plugin that is at fault.
func FuzzAcme(f *testing.F) {
	host, err := plugins.New(plugins.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { host.Close() })
	module, err := os.ReadFile(filepath.Join("acme", "acme.wasm"))
	if err != nil {
		f.Fatal(err)
	}
	plugin, err := host.Compile(module)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { plugin.Close() })
	i, err := plugin.Instance(plugins.Env{Lane: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { i.Close() })
	b, err := tick.NewBatch()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { b.Free() })
	if err := i.Start(0, midnight); err != nil {
		f.Fatal(err)
	}
	f.Add(packet(1, 1, 2).message('D', 0, 5, 6, uint64(901)).message('A', 'B', 5, 2, uint64(900), uint64(1), uint32(300), uint32(0)).b)
	f.Add(packet(1, 1, 2).message('I', 0, 5, 1, "WIDGET").message('I', 0, 5, 1, "A B").b)
	f.Add(packet(1, 1, 2).message('I', 0, 5, 1, "SIXTEEN.LETTERS.").message('I', 0, 5, 1, "").b)
	f.Add(packet(1, 1, 1).message('E', 0, 5, 1, uint64(1), uint64(2), uint32(3), uint32(0)).b)
	f.Add(packet(0xffffffff, 1<<63, 255).b)
	f.Add(packet(1, 1, 0).b)
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 64<<10 {
			return
		}
		refused := func(err error) bool {
			var packet *plugins.PacketError
			if err != nil && (!errors.As(err, &packet) || packet.Text == "") {
				t.Fatal(err)
			}
			return err != nil
		}
		if sure, err := i.Looks(0, p); err != nil || sure > 100 {
			t.Fatal(sure, err)
		}
		frame, err := i.Frame(0, p)
		if refused(err) {
			return
		}
		b.Reset()
		rows, err := i.Parse(0, p[frame.At:], frame.Sequence, int(frame.Count), b)
		if !refused(err) && (rows > int(frame.Count) || rows != b.N) {
			t.Fatalf("%d rows of %d messages, %d in the batch", rows, frame.Count, b.N)
		}
	})
}

// FuzzDelta: bytes that decode are those that their values encode to, or longer ones; others are refused. No trap.
func FuzzDelta(f *testing.F) {
	g := load(f, "delta", nil)
	for _, b := range [][]byte{{}, {0}, {2, 3, 4}, {0x80}, {0x80, 0}, bytes.Repeat([]byte{0xff}, 10), binary.AppendVarint(nil, -1<<63)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g.For(t)
		if len(b) > len(g.In(0)) {
			return
		}
		copy(g.In(0), b)
		rows := g.Call("tw_decode", 0, uint64(len(b)))
		if rows < 0 {
			return
		}
		values := guest.Get[int64](g, 0, manifest.ColumnResult, int(rows))
		guest.Set(g, 0, manifest.ColumnArg, values)
		n := g.Call("tw_encode", 0, uint64(rows))
		if n > int64(len(b)) || n == int64(len(b)) && !bytes.Equal(g.Out(0)[:n], b) {
			t.Fatalf("% x is decoded to %v, which is encoded as % x", b, values, g.Out(0)[:n])
		}
	})
}

// FuzzTreasury: a text that is a price is written in one way, which is read as the same price.
func FuzzTreasury(f *testing.F) {
	g := load(f, "treasury", nil)
	for _, s := range []string{"110-16+", "110-162", "-1-08", "0-00", "99999999-31+", "110-32", "", "-"} {
		f.Add(s)
	}
	read := func(s string) (int64, bool) {
		g.SetTexts(0, manifest.ColumnArg, []string{s})
		g.Call("tw_type", 0, 2, 1)
		return guest.Get[int64](g, 0, manifest.ColumnArg+1, 1)[0], guest.Get[uint8](g, 0, manifest.ColumnNull, 1)[0] == 0
	}
	f.Fuzz(func(t *testing.T, s string) {
		g.For(t)
		if len(s) > 16 {
			return
		}
		px, ok := read(s)
		if !ok {
			return
		}
		g.Call("tw_type", 0, 3, 1)
		written := g.Texts(0, manifest.ColumnArg+3, 1)[0]
		if guest.Get[uint8](g, 0, manifest.ColumnNull, 1)[0] != 0 {
			t.Fatalf("%q is %d, which cannot be written", s, px)
		}
		if again, ok := read(written); !ok || again != px {
			t.Fatalf("%q is %d, written %q, which is %d", s, px, written, again)
		}
	})
}
