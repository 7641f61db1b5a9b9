package xdprefresh

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/session/xdprequest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/parsers/xdp"
	simxdp "github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdp/xdptest"
	"github.com/tickwire/tickwire/sim/xdpgen"
	"github.com/tickwire/tickwire/tick"
)

// config is of a venue's channel, by a client of its own.
func config(t *testing.T, v *xdptest.Channel) Config {
	t.Helper()
	c, err := xdprequest.Open(xdprequest.Options{
		Servers: []string{v.Addr().String()}, Source: "CLIENT1", Interface: "lo", Retry: 10 * time.Millisecond, MaxRetry: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return Config{Client: c, Product: xdpgen.Product, Channel: xdptest.Number, Groups: v.Refresh, Quiet: 300 * time.Millisecond, Tries: 12, Most: 30 * time.Second}
}

// fetched is what came, by symbol, checked as far as each one goes.
type fetched map[uint32]Symbol

func (f fetched) take(t *testing.T) func(*Symbol) error {
	return func(s *Symbol) error {
		if _, twice := f[s.Index]; twice {
			t.Errorf("symbol %d comes twice", s.Index)
		}
		c := *s
		c.Messages = bytes.Clone(s.Messages)
		f[s.Index] = c
		return nil
	}
}

// same holds what was fetched against the venue's own packets: as many parts as there are, byte for byte.
func (f fetched) same(t *testing.T, v *xdptest.Channel) {
	t.Helper()
	symbols := v.Record.Symbols()
	if len(f) != len(symbols) {
		t.Fatalf("%d symbols of %d", len(f), len(symbols))
	}
	parts := 0
	for _, index := range symbols {
		var want []byte
		packets := v.Record.Refresh(index, xdp.DeliveryRefresh, simxdp.MaxPayload, 0)
		parts = max(parts, len(packets))
		for _, p := range packets {
			_, blocks, _ := xdp.ParsePacket(p)
			_, rest, _ := xdp.ParseRefreshHeader(blocks)
			want = append(want, rest...)
		}
		s := f[index]
		if !bytes.Equal(s.Messages, want) || uint64(s.LastSequence) != v.Record.Next()-1 {
			t.Errorf("symbol %d: %d bytes as of %d, want %d as of %d", index, len(s.Messages), s.LastSequence, len(want), v.Record.Next()-1)
		}
		if whole, used := xdp.Walk(s.Messages, s.Count+1); whole != s.Count || used != len(s.Messages) {
			t.Errorf("symbol %d: %d messages, and says %d", index, whole, s.Count)
		}
	}
	if parts < 2 {
		t.Error("no symbol has several parts: the test tests nothing")
	}
}

// midday is a venue in the middle of its day, whose books are full.
func midday(t *testing.T, o xdptest.Options) *xdptest.Channel {
	t.Helper()
	o.Messages, o.Symbols = 20_000, 30
	o.Percent = 60
	v := xdptest.New(t, o)
	if v.Record.Orders() < 500 {
		t.Fatalf("%d orders rest", v.Record.Orders())
	}
	return v
}

// TestFetchAll: all symbols, as the venue has them; on two groups that carry the same, too.
func TestFetchAll(t *testing.T) {
	v := midday(t, xdptest.Options{})
	cfg := config(t, v)
	got := fetched{}
	if err := Fetch(context.Background(), cfg, got.take(t)); err != nil {
		t.Fatal(err)
	}
	got.same(t, v)
	decodes(t, got, v.Record.Orders())
	cfg.Groups = append(cfg.Groups, cfg.Groups[0]) // as lines A and B: each packet comes twice
	got = fetched{}
	if err := Fetch(context.Background(), cfg, got.take(t)); err != nil {
		t.Fatal(err)
	}
	got.same(t, v)
	if c := v.Counters(); c.Requests != 2 {
		t.Errorf("%d requests", c.Requests)
	}
}

// decodes has what was fetched decoded as the lane will: a row for each order that rests, all of them of a snapshot.
func decodes(t *testing.T, got fetched, orders int) {
	t.Helper()
	d, err := xdp.NewDecoder(xdp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer batch.Free()
	rows := 0
	for _, s := range got {
		for b := s.Messages; len(b) > 0; batch.Reset() {
			used, n := d.AppendRefresh(b, uint64(s.LastSequence), s.Count, batch)
			if n == 0 {
				t.Fatalf("symbol %d: %d bytes are not taken", s.Index, len(b))
			}
			b = b[used:]
			for i := range batch.N {
				if batch.Kind[i] == tick.KindAdd {
					rows++
				}
				if batch.Flags[i]&tick.FlagSnapshot == 0 || batch.Instrument[i] != s.Index {
					t.Fatalf("symbol %d: row of %d with flags %x", s.Index, batch.Instrument[i], batch.Flags[i])
				}
			}
		}
	}
	if rows != orders || d.Refused() != 0 {
		t.Errorf("%d orders, want %d; %d refused", rows, orders, d.Refused())
	}
}

// TestFetchOne: one symbol, of several packets.
func TestFetchOne(t *testing.T) {
	v := midday(t, xdptest.Options{})
	cfg := config(t, v)
	for _, index := range v.Record.Symbols()[:10] {
		cfg.Symbol = index
		got := fetched{}
		if err := Fetch(context.Background(), cfg, got.take(t)); err != nil {
			t.Fatal(err)
		}
		if s, ok := got[index]; !ok || len(got) != 1 || xdp.Type(s.Messages) != xdp.TypeSymbolIndexMapping {
			t.Errorf("symbol %d: %d came", index, len(got))
		}
	}
}

// TestFetchOverLoss: the refresh channel loses a sixth of its packets and spoils some: what fn gets is whole all the same, and nothing is lacking.
func TestFetchOverLoss(t *testing.T) {
	v := midday(t, xdptest.Options{Requests: simxdp.RequestOptions{Seed: 9, Faults: simxdp.Faults{RefreshLossPPM: 160_000, SpoilPPM: 30_000}}})
	cfg := config(t, v)
	cfg.Expect = v.Record.Symbols()
	got := fetched{}
	if err := Fetch(context.Background(), cfg, got.take(t)); err != nil {
		t.Fatal(err)
	}
	got.same(t, v)
	if c := v.Counters(); c.Lost == 0 || c.Spoilt == 0 || c.Requests < 2 {
		t.Errorf("%+v", c)
	}
}

// TestNeverInSilence: what does not come is an error that says so: a channel that loses everything, accepts and sends nothing, refuses, has no such
// symbol, or no server.
func TestNeverInSilence(t *testing.T) {
	v := midday(t, xdptest.Options{})
	cfg := config(t, v)
	cfg.Quiet, cfg.Tries = 30*time.Millisecond, 2
	none := func(*Symbol) error { t.Error("a symbol came"); return nil }
	for _, tc := range []struct {
		name   string
		faults simxdp.Faults
		symbol uint32
		want   error
	}{
		{"all lost", simxdp.Faults{RefreshLossPPM: 1_000_000}, 0, ErrIncomplete},
		{"no data", simxdp.Faults{NoData: true}, 0, ErrIncomplete},
		{"no such symbol", simxdp.Faults{}, 1 << 30, ErrIncomplete},
		{"refused", simxdp.Faults{Refuse: xdp.TooManyRefreshes}, 0, nil},
	} {
		v.SetFaults(tc.faults)
		cfg.Symbol = tc.symbol
		err := Fetch(context.Background(), cfg, none)
		if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	v.SetFaults(simxdp.Faults{RefreshLossPPM: 500_000}) // some come, and some of them in part only
	cfg.Symbol = 0
	got := fetched{}
	if err := Fetch(context.Background(), cfg, got.take(t)); !errors.Is(err, ErrIncomplete) {
		t.Errorf("half lost: %v with %d symbols", err, len(got))
	}
	stop := errors.New("enough")
	v.SetFaults(simxdp.Faults{})
	if err := Fetch(context.Background(), cfg, func(*Symbol) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("fn's error: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Fetch(ctx, cfg, none); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	v.Close()
	cfg.Connect = 50 * time.Millisecond
	if err := Fetch(context.Background(), cfg, none); !errors.Is(err, xdprequest.ErrDown) {
		t.Errorf("no server: %v", err)
	}
	cfg.Groups = nil
	if err := Fetch(context.Background(), cfg, none); err == nil {
		t.Error("no groups")
	}
}

// TestSlowServer: data that comes late, after another client's, is waited for.
func TestSlowServer(t *testing.T) {
	v := midday(t, xdptest.Options{Requests: simxdp.RequestOptions{Faults: simxdp.Faults{Delay: 150 * time.Millisecond}, PerSecond: 2_000}})
	got := fetched{}
	if err := Fetch(context.Background(), config(t, v), got.take(t)); err != nil {
		t.Fatal(err)
	}
	got.same(t, v)
}

// TestJoin: a snapshot that is fetched while the day goes on, and the messages behind each symbol's number, come to the orders that the venue has
// at the end.
func TestJoin(t *testing.T) {
	v := midday(t, xdptest.Options{Requests: simxdp.RequestOptions{PerSecond: 500}})
	cfg := config(t, v)
	done := make(chan error, 1)
	go func() {
		for _, p := range v.Packets[v.Published : v.Published+100] {
			time.Sleep(time.Millisecond)
			if err := v.Record.Take(p); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	got := fetched{}
	if err := errors.Join(Fetch(context.Background(), cfg, got.take(t)), <-done); err != nil {
		t.Fatal(err)
	}
	numbers := map[uint32]bool{}
	for index, s := range got {
		numbers[s.LastSequence] = true
		rest := orders(s.Messages)
		for _, p := range v.Packets[v.Published : v.Published+100] { // what the lines brought meanwhile
			h, blocks, _ := xdp.ParsePacket(p)
			for n := h.Sequence; len(blocks) > 0; n++ {
				var m []byte
				if m, blocks = xdp.Next(blocks); n > s.LastSequence && xdp.SymbolOf(m) == index {
					rest.apply(m)
				}
			}
		}
		var last []byte
		for _, p := range v.Record.Refresh(index, xdp.DeliveryRefresh, simxdp.MaxPayload, 0) {
			_, blocks, _ := xdp.ParsePacket(p)
			_, messages, _ := xdp.ParseRefreshHeader(blocks)
			last = append(last, messages...)
		}
		if want := orders(last); !slices.Equal(rest, want) {
			t.Fatalf("symbol %d: %d orders, want %d", index, len(rest), len(want))
		}
	}
	if len(numbers) < 2 {
		t.Error("all symbols are as of one number: nothing was joined")
	}
}

// resting is an order, in the order of arrival.
type resting struct {
	id            uint64
	price, volume uint32
}

type book []resting

func orders(messages []byte) (b book) {
	for len(messages) > 0 {
		var m []byte
		if m, messages = xdp.Next(messages); xdp.Type(m) == xdp.TypeAddOrderRefresh {
			le := binary.LittleEndian
			b = append(b, resting{le.Uint64(m[20:]), le.Uint32(m[28:]), le.Uint32(m[32:])})
		}
	}
	return b
}

// apply is the book's rules as plainly as can be (sheet section 10).
func (b *book) apply(m []byte) {
	le := binary.LittleEndian
	id := uint64(0)
	if len(m) >= 24 {
		id = le.Uint64(m[16:])
	}
	at := slices.IndexFunc(*b, func(r resting) bool { return r.id == id })
	remove := func() { *b = slices.Delete(*b, at, at+1) }
	switch xdp.Type(m) {
	case xdp.TypeAddOrder:
		*b = append(*b, resting{id, le.Uint32(m[24:]), le.Uint32(m[28:])})
	case xdp.TypeModifyOrder:
		r := resting{id, le.Uint32(m[24:]), le.Uint32(m[28:])}
		if (*b)[at].price == r.price {
			(*b)[at] = r
			return
		}
		remove()
		*b = append(*b, r)
	case xdp.TypeDeleteOrder:
		remove()
	case xdp.TypeOrderExecution:
		if (*b)[at].volume -= le.Uint32(m[32:]); (*b)[at].volume == 0 {
			remove()
		}
	case xdp.TypeReplaceOrder:
		remove()
		*b = append(*b, resting{le.Uint64(m[24:]), le.Uint32(m[32:]), le.Uint32(m[36:])})
	}
}

// TestMappings: of one symbol, of all, and over a channel that loses some, when it is known which must come.
func TestMappings(t *testing.T) {
	v := midday(t, xdptest.Options{Requests: simxdp.RequestOptions{Seed: 3, PayloadBytes: 256}})
	cfg := config(t, v)
	symbols := v.Record.Symbols()
	fetch := func() []uint32 {
		t.Helper()
		var got []uint32
		if err := Mappings(context.Background(), cfg, func(index uint32, m []byte) error {
			if len(m) != 44 || xdp.SymbolOf(m) != index {
				t.Errorf("symbol %d: %x", index, m)
			}
			got = append(got, index)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		return got
	}
	if got := fetch(); !slices.Equal(got, symbols) {
		t.Errorf("%d of %d", len(got), len(symbols))
	}
	cfg.Symbol = symbols[5]
	if got := fetch(); !slices.Equal(got, symbols[5:6]) {
		t.Errorf("%v, want %d", got, symbols[5])
	}
	v.SetFaults(simxdp.Faults{RefreshLossPPM: 300_000})
	cfg.Symbol, cfg.Expect = 0, symbols
	if got := fetch(); !slices.Equal(got, symbols) {
		t.Errorf("over loss: %d of %d", len(got), len(symbols))
	}
}

// FuzzCollect: whatever a refresh channel carries, no symbol is given that is not whole: every one that fn gets came part for part.
func FuzzCollect(f *testing.F) {
	part := func(flag uint8, current, total uint16, symbol uint32) []byte {
		b := xdp.AppendShortRefreshHeader(nil, current, total)
		if current == 1 {
			b = xdp.AppendRefreshHeader(nil, current, total, 9, 8)
		}
		return xdp.AppendPacket(nil, flag, 2, 1, 0, 0, xdp.AppendAddRefresh(b, xdp.V25, &xdp.Order{Stamp: xdp.Stamp{Index: symbol}, ID: 5, Side: 'B'}))
	}
	f.Add(slices.Concat(part(17, 1, 1, 5), part(18, 1, 2, 6), part(20, 2, 2, 6)))
	f.Add(slices.Concat(part(19, 1, 3, 5), part(19, 3, 3, 5)))
	f.Add([]byte{16, 0, 17, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		cfg := &Config{Groups: make([]udp.Group, 1)}
		cfg.defaults()
		next := map[uint32]int{} // the obvious way: parts of a symbol in a row, by number
		c := newCollector(cfg, func(s *Symbol) error {
			if next[s.Index] == 0 {
				t.Fatalf("symbol %d was given without its last part", s.Index)
			}
			if whole, used := xdp.Walk(s.Messages, s.Count+1); whole != s.Count || used != len(s.Messages) {
				t.Fatalf("symbol %d: %d messages, and says %d", s.Index, whole, s.Count)
			}
			return nil
		})
		for len(stream) >= 16 {
			n := min(max(int(binary.LittleEndian.Uint16(stream)), 1), len(stream))
			h, blocks, err := xdp.ParsePacket(stream[:n])
			if r, rest, ok := xdp.ParseRefreshHeader(blocks); err == nil && ok && h.Count > 1 {
				symbol := symbolOf(rest, 1)
				if next[symbol] = 0; r.Packet == r.Packets {
					next[symbol] = 1
				}
			}
			if _, err := c.packet(&nic.Packet{Data: stream[:n]}); err != nil {
				t.Fatal(err)
			}
			stream = stream[n:]
		}
		c.lacking(0)
		if c.bytes < 0 {
			t.Fatalf("%d bytes under way", c.bytes)
		}
	})
}
