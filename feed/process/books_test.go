package process

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/iex"
	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/fixgen"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/sim/xdpgen"
	"github.com/tickwire/tickwire/tick"
)

func create(t *testing.T, name string, write func(*os.File) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	must(t, err)
	must(t, write(f))
	must(t, f.Close())
	return path
}

// cut leaves a capture's first packets, so many of a hundred: books are full then, while those of a whole day are empty.
func cut(t *testing.T, path string, percent int) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	const head, each = 24, 16
	for at := head; ; at += each + int(binary.LittleEndian.Uint32(b[at+8:])) {
		if at >= len(b)/100*percent {
			must(t, os.Truncate(path, int64(at)))
			return path
		}
	}
}

func TestReadersBookITCH(t *testing.T) {
	path := create(t, "20260105.pcap", func(f *os.File) error {
		g, err := itchgen.New(itchgen.Options{Messages: 30_000, Symbols: 40, Seed: 3})
		must(t, err)
		return itchgen.WritePcap(f, g, itchgen.Lines{}, nil)
	})
	checkBooks(t, path, "itch", "", true, nil)
	checkBooks(t, cut(t, path, 60), "itch", "", true, nil)
}

func TestReadersBookXDP(t *testing.T) {
	for _, v := range []xdp.Version{xdp.V25, xdp.V21} {
		path := create(t, "20260105.pcap", func(f *os.File) error {
			g, err := xdpgen.New(xdpgen.Options{Messages: 30_000, Symbols: 40, Seed: 3, Version: v})
			must(t, err)
			return xdpgen.WritePcap(f, g, itchgen.Lines{}, nil)
		})
		checkBooks(t, path, "xdp", "", true, nil)
		checkBooks(t, cut(t, path, 60), "xdp", "", true, nil)
	}
}

func TestReadersBookMDP3(t *testing.T) {
	for _, product := range []string{"both", "mbp", "mbo"} {
		for _, long := range []bool{false, true} {
			var g *mdp3gen.Gen
			path := create(t, "20260105.pcap", func(f *os.File) (err error) {
				g, err = mdp3gen.New(mdp3gen.Options{Messages: 20_000, Instruments: 20, Seed: 3, LongQty: long})
				must(t, err)
				return mdp3gen.WritePcap(f, g, mdp3gen.Lines{}, nil)
			})
			depth := map[uint32]int{}
			if product == "both" {
				for i := range g.Instruments() {
					depth[uint32(g.Security(i))], _ = g.Depth(i)
				}
			}
			c := checkBooks(t, path, "mdp3", product, false, depth)
			if c.mismatches != 0 {
				c.fault("%d times orders and levels did not agree", c.mismatches)
			}
			for i := range g.Instruments() { // what is left is what the market has
				b := of(c.books, uint32(g.Security(i)))
				if product != "mbp" {
					n := 0
					for side := range 2 {
						for _, o := range g.Orders(i, side) {
							n++
							if r := b.orders[o.ID]; r == nil || *r != (readersOrder{side, o.Price, o.Size}) {
								c.fault("%s: order %d is %v, want %v", g.Symbol(i), o.ID, r, o)
							}
						}
					}
					if n != len(b.orders) {
						c.fault("%s: %d orders, want %d", g.Symbol(i), len(b.orders), n)
					}
					continue
				}
				for side := range 2 {
					levels := g.Levels(i, side)
					if len(levels) != len(b.sides[side]) {
						c.fault("%s: %d levels, want %d", g.Symbol(i), len(b.sides[side]), len(levels))
					}
					for _, l := range levels {
						if r := b.sides[side][l.Price]; r == nil || r.size != l.Size {
							c.fault("%s: level %v is %v", g.Symbol(i), l, r)
						}
					}
				}
			}
		}
	}
}

func TestReadersBookFIX(t *testing.T) {
	for _, v := range []fixsession.Version{fixsession.V44, fixsession.V50SP2} {
		path := create(t, "20261125.fix", func(f *os.File) error {
			_, err := fixgen.Write(f, fixgen.Options{Seed: 4}, v, 10_000)
			return err
		})
		for _, product := range []string{"levels", "prices"} {
			checkBooks(t, path, "fix", product, true, nil)
		}
	}
}

// Best prices alone, and prints alone, of NYSE, by hand.
func TestReadersBookXDPQuotes(t *testing.T) {
	le := binary.LittleEndian
	r := rand.New(rand.NewPCG(3, 1))
	seconds := uint32(time.Date(2026, 1, 5, 15, 0, 0, 0, time.UTC).Unix())
	path := create(t, "20260105.pcap", func(f *os.File) error {
		w := pcap.NewWriter(f)
		sequence := uint32(1)
		put := func(messages int, blocks []byte) {
			p := xdp.AppendPacket(nil, 11, uint8(messages), sequence, seconds, 5, blocks)
			must(t, w.WriteUDP(uint64(seconds)*1e9+uint64(sequence), netip.MustParseAddrPort("192.0.2.1:9"), netip.MustParseAddrPort("224.0.59.76:11076"), 0, p))
			sequence += uint32(messages)
		}
		blocks := xdp.AppendTimeReference(nil, 1, seconds)
		for n := range uint32(4) {
			blocks = xdp.AppendMapping(blocks, &xdp.Mapping{Index: n + 1, Symbol: fmt.Sprint("SYM", n), Market: 1, System: 1, Scale: 4})
		}
		put(5, blocks)
		var number [5]uint32
		for range 4000 {
			index := 1 + r.Uint32N(4)
			number[index]++
			m := make([]byte, 34)
			le.PutUint16(m, 34)
			le.PutUint16(m[2:], xdp.TypeQuote)
			for i, v := range []uint32{3, index, number[index]} {
				le.PutUint32(m[4+4*i:], v)
			}
			for s := range 2 { // ask, bid
				if r.IntN(6) > 0 {
					le.PutUint32(m[16+8*s:], 1_000_000+uint32(1-s)*5_000+100*r.Uint32N(12))
					le.PutUint32(m[20+8*s:], 1+r.Uint32N(500))
				}
			}
			m[32], m[33] = 'R', "  AB"[r.IntN(4)]
			put(1, m)
		}
		return w.Flush()
	})
	if c := checkBooks(t, path, "xdp", "bbo", true, nil); c.records[tick.ActionAdd] != 8000 {
		t.Errorf("%v", c.records)
	}
}

// A session of orders in FIX, by hand: each has an id, under which it is changed, replaced and taken away, several of them in a message.
func TestReadersBookFIXOrders(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	sequence := 0
	message := func(typ, body string) string {
		sequence++
		head := fmt.Sprintf("35=%s|49=V|56=C|34=%d|52=20261125-14:30:%02d.%03d|", typ, sequence, sequence/1000, sequence%1000)
		m := strings.ReplaceAll(fmt.Sprintf("8=FIX.4.4|9=%d|%s%s", len(head)+len(body), head, body), "|", "\x01")
		sum := 0
		for _, c := range []byte(m) {
			sum += int(c)
		}
		return fmt.Sprintf("%s10=%03d\x01", m, sum%256)
	}
	side := map[string]int{}
	price := func(s int) float64 { return 100 + float64(2*s-1)*(0.5+float64(r.IntN(12))/4) }
	path := create(t, "20261125.fix", func(f *os.File) error {
		fmt.Fprint(f, message("W", "55=A|268=0|"))
		for range 4000 {
			body, n := "", 1+r.IntN(4)
			for k := range n {
				ids := slices.Sorted(maps.Keys(side))
				what := r.IntN(5)
				if len(ids) == 0 || what < 2 && len(ids) < 60 {
					id := fmt.Sprint("o", sequence, "-", k)
					side[id] = r.IntN(2)
					body += fmt.Sprintf("279=0|269=%d|278=%s|55=A|270=%.2f|271=%d|", side[id], id, price(side[id]), 1+r.IntN(50))
					continue
				}
				id := ids[r.IntN(len(ids))]
				switch s := side[id]; what {
				case 2:
					body += fmt.Sprintf("279=1|269=%d|278=%s|55=A|270=%.2f|271=%d|", s, id, price(s), 1+r.IntN(50))
				case 3:
					again := fmt.Sprint("r", sequence, "-", k)
					delete(side, id)
					side[again] = s
					body += fmt.Sprintf("279=1|269=%d|278=%s|280=%s|55=A|270=%.2f|271=%d|", s, again, id, price(s), 1+r.IntN(50))
				default:
					delete(side, id)
					body += fmt.Sprintf("279=2|269=%d|278=%s|55=A|", s, id)
				}
			}
			if r.IntN(10) == 0 {
				n++
				body += fmt.Sprintf("279=0|269=2|278=t%d|55=A|270=100|271=3|", sequence)
			}
			fmt.Fprint(f, message("X", fmt.Sprintf("268=%d|%s", n, body)))
		}
		return nil
	})
	c := checkBooks(t, path, "fix", "orders", true, nil)
	if b := c.books[1]; len(b.orders) != len(side) {
		t.Errorf("%d orders, want %d", len(b.orders), len(side))
	}
}

// A session of IEX, by hand.
func TestReadersBookIEX(t *testing.T) {
	le := binary.LittleEndian
	r := rand.New(rand.NewPCG(2, 1))
	ts := uint64(time.Date(2026, 1, 5, 15, 0, 0, 0, time.UTC).UnixNano())
	message := func(size int, typ, code byte, symbol int) []byte {
		m := make([]byte, size)
		m[0], m[1] = typ, code
		le.PutUint64(m[2:], ts)
		copy(m[10:18], fmt.Sprintf("SYM%d     ", symbol))
		return m
	}
	price := func(s int) uint64 { return uint64(1_000_000 + (2*s-1)*(50+100*r.IntN(12))) }
	type resting struct {
		symbol, side int
		size         uint32
	}
	orders := map[uint64]resting{}
	deep := func(n int) []byte {
		id, symbol, s := uint64(n+1), r.IntN(5), r.IntN(2)
		if ids := slices.Sorted(maps.Keys(orders)); len(ids) > 0 && (r.IntN(5) > 1 || len(ids) > 200) {
			id = ids[r.IntN(len(ids))]
			o := orders[id]
			switch r.IntN(4) {
			case 0:
				delete(orders, id)
				m := message(26, 'R', 0, o.symbol)
				le.PutUint64(m[18:], id)
				return m
			case 1:
				m := message(46, 'L', 0, o.symbol)
				took := 1 + r.Uint32N(o.size)
				if o.size -= took; o.size == 0 {
					delete(orders, id)
				} else {
					orders[id] = o
				}
				le.PutUint64(m[18:], id)
				le.PutUint32(m[26:], took)
				le.PutUint64(m[30:], price(o.side))
				le.PutUint64(m[38:], uint64(n))
				return m
			default:
				m := message(38, 'M', byte(r.IntN(2)), o.symbol)
				o.size = 1 + r.Uint32N(500)
				orders[id] = o
				le.PutUint64(m[18:], id)
				le.PutUint32(m[26:], o.size)
				le.PutUint64(m[30:], price(o.side))
				return m
			}
		}
		if r.IntN(12) == 0 {
			m := message(38, 'T', 0, symbol)
			le.PutUint32(m[18:], 7)
			le.PutUint64(m[22:], price(s))
			le.PutUint64(m[30:], uint64(n))
			return m
		}
		if r.IntN(200) == 0 {
			maps.DeleteFunc(orders, func(_ uint64, o resting) bool { return o.symbol == symbol })
			return message(iex.Length(iex.ProtocolDEEPPlus, 'C'), 'C', 0, symbol)
		}
		m := message(38, 'a', "85"[s], symbol)
		orders[id] = resting{symbol, s, 1 + r.Uint32N(500)}
		le.PutUint64(m[18:], id)
		le.PutUint32(m[26:], orders[id].size)
		le.PutUint64(m[30:], price(s))
		return m
	}
	tops := func(n int) []byte {
		symbol := r.IntN(5)
		if r.IntN(8) == 0 {
			m := message(38, 'T', 0, symbol)
			le.PutUint32(m[18:], 7)
			le.PutUint64(m[22:], price(1))
			le.PutUint64(m[30:], uint64(n))
			return m
		}
		m := message(42, 'Q', 0, symbol)
		for s, at := range [2][2]int{{18, 22}, {38, 30}} {
			if r.IntN(6) > 0 {
				le.PutUint32(m[at[0]:], 1+r.Uint32N(500))
				le.PutUint64(m[at[1]:], price(s))
			}
		}
		return m
	}
	for _, tc := range []struct {
		proto  string
		number uint16
		next   func(n int) []byte
	}{{"iex", iex.ProtocolDEEPPlus, deep}, {"iex-tops", iex.ProtocolTOPS, tops}} {
		path := create(t, "20260105.pcap", func(f *os.File) error {
			w := pcap.NewWriter(f)
			offset := uint64(0)
			for n := 0; n < 12_000; n += 4 {
				ts += 1_000_000
				p := iex.AppendHeader(nil, &iex.Header{Protocol: tc.number, Channel: 1, Session: 7, Count: 4, Offset: offset, Sequence: uint64(n + 1), Sent: ts})
				for k := range 4 {
					m := tc.next(n + k)
					p = append(le.AppendUint16(p, uint16(len(m))), m...)
				}
				iex.Finish(p)
				offset += uint64(len(p) - iex.HeaderBytes)
				must(t, w.WriteUDP(ts, netip.MustParseAddrPort("192.0.2.1:9"), netip.MustParseAddrPort("233.215.21.4:10378"), 0, p))
			}
			return w.Flush()
		})
		c := checkBooks(t, path, tc.proto, "", true, nil)
		if tc.proto == "iex" {
			n := 0
			for _, b := range c.books {
				n += len(b.orders)
			}
			if n != len(orders) {
				t.Errorf("%d orders, want %d", n, len(orders))
			}
		}
	}
}
