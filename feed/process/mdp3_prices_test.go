package process

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic/pcap"
	parser "github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// undefined is a market that says on its lines nothing of what instruments are: that is in the loop of definitions alone.
type undefined struct{ *mdp3gen.Gen }

func (u undefined) NextAt(dst []byte, now uint64) ([]byte, bool) {
	event, ok := u.Gen.NextAt(nil, now)
	return withoutDefinitions(dst, event), ok
}

// withoutDefinitions appends an event's messages, and a heartbeat in the place of each definition.
func withoutDefinitions(dst, event []byte) []byte {
	for len(event) > 0 {
		m, size := parser.Next(event)
		event = event[size:]
		if id := m.Template(); id >= parser.DefinitionFuture && id <= parser.DefinitionSpread {
			m = parser.EncodeV13.AppendHeartbeat(nil)
		}
		dst = append(dst, m...)
	}
	return dst
}

// TestCMEUndefined: a feed that has every packet, and no definition in any: that it lacks them has its books made anew from the loops, and all of it is right then.
func TestCMEUndefined(t *testing.T) {
	x := cmeExchangeOf(t, 20_000, 41, loops(), func(g *mdp3gen.Gen) mdp3.Market { return undefined{g} })
	x.join()
	x.begin()
	k := x.settle()
	for until := time.Now().Add(patience); !strings.Contains(x.said.String(), "instruments have no definition"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("the log says nothing of it:\n%s", x.said)
		}
	}
	must(t, x.end())
	x.books()
	if k["0.channel.0.lost_messages"] != 0 || k["0.resync.rebuilt"] == 0 || k["0.channel.0.mdp3.undefined_instruments"] == 0 || k["0.channel.0.mdp3.refused"] != 0 {
		t.Errorf("%v", moved(k))
	}
	t.Logf("%d messages left out, %d rebuilds of %d attempts", k["0.channel.0.mdp3.undefined"], k["0.resync.rebuilt"], k["0.resync.attempts"])
}

var server = netip.MustParseAddrPort("192.0.2.1:9")

// writeLoop writes a round of the loop of definitions.
func writeLoop(t *testing.T, w *pcap.Writer, g *mdp3gen.Gen) {
	for i := range g.Instruments() {
		p := parser.AppendPacketHeader(nil, uint32(i+1), g.Time())
		must(t, w.WriteUDP(g.Time(), server, mdp3.DefinitionsA, 0, g.AppendDefinition(p, i, uint32(g.Instruments()))))
	}
}

// cmeCapture writes a session without its definitions, and, where there are groups for them, rounds of the loop of definitions: one before the session, others within it.
func cmeCapture(t *testing.T, definitions bool) (path string, g *mdp3gen.Gen) {
	g, err := mdp3gen.New(mdp3gen.Options{Messages: 20_000, Instruments: 24, Seed: 6})
	must(t, err)
	path = create(t, "20260105.pcap", func(f *os.File) error {
		w := pcap.NewWriter(f)
		for n := uint32(1); ; n++ {
			if definitions && n%3_000 == 1 {
				writeLoop(t, w, g)
			}
			event, ok := g.Next(nil)
			if !ok {
				return w.Flush()
			}
			must(t, w.WriteUDP(g.Time(), server, mdp3.GroupA, 0, withoutDefinitions(parser.AppendPacketHeader(nil, n, g.Time()), event)))
		}
	})
	return path, g
}

// offlineCME plays a capture, and gives its records and what is said of it.
func offlineCME(t *testing.T, path string, o CaptureOptions) (records []tick.Mbo, said []string) {
	f, err := OpenOffline(path, OfflineOptions{Kinds: []ringbuf.Kind{ringbuf.KindMbo}, Slots: 1 << 18, Capture: o})
	must(t, err)
	defer func() { must(t, f.Close()) }()
	must(t, f.Run(nil))
	return (&running{dir: f.Dir}).records(t, OfflineInstance, OfflineFeed), f.Summary()
}

// TestCMECaptureOfTwoGroups: definitions that come on a group of their own, over and over, are every channel's; books are the market's at the end.
func TestCMECaptureOfTwoGroups(t *testing.T) {
	path, g := cmeCapture(t, true)
	records, said := offlineCME(t, path, CaptureOptions{})
	x := &cmeTest{t: t, g: g}
	if want, got := x.market(), restingAt(records); !got.equal(want) || want.orders() == 0 {
		t.Errorf("%d orders rest, %d in the market", got.orders(), want.orders())
	}
	if len(said) != 0 {
		t.Errorf("it said %q", said)
	}
}

// TestCMECaptureWithoutDefinitions: nothing that has a price is told, and a sentence says of how many, and what helps; prices as on the wire need no definition.
func TestCMECaptureWithoutDefinitions(t *testing.T) {
	path, g := cmeCapture(t, false)
	records, said := offlineCME(t, path, CaptureOptions{})
	if i := slices.IndexFunc(records, func(r tick.Mbo) bool { return r.RType == tick.RTypeMbo && r.Price != tick.UndefPrice }); i >= 0 {
		t.Errorf("a record has a price: %+v", records[i])
	}
	d, err := parser.NewDecoder(parser.Options{})
	must(t, err)
	out, err := tick.NewBatch()
	must(t, err)
	defer func() { must(t, out.Free()) }()
	want := func() string { // what a decoder counts, one packet after the other
		capture, err := OpenCapture(path, CaptureOptions{})
		must(t, err)
		defer capture.Close()
		must(t, capture.Scan(func(pipeline.Decoder) session.Sink { return counting{d, out} }))
		return fmt.Sprintf("%d messages of %d instruments were left out", d.Counters.Undefined, d.Counters.UndefinedInstruments)
	}()
	if len(said) != 1 || !strings.HasPrefix(said[0], want) || !strings.Contains(said[0], "--definitions") || !strings.Contains(said[0], "--prices wire") || d.Counters.UndefinedInstruments != uint64(g.Instruments()) {
		t.Errorf("it said %q, want %s", said, want)
	}

	// With another capture's definitions, of the loop or of the lines, it is as if they had been there.
	x := &cmeTest{t: t, g: g}
	for _, name := range []string{"loop", "lines"} {
		other := create(t, "definitions.pcap", func(f *os.File) error {
			if name == "lines" {
				again, err := mdp3gen.New(g.Options())
				must(t, err)
				return mdp3gen.WritePcap(f, again, mdp3gen.Lines{}, nil)
			}
			w := pcap.NewWriter(f)
			writeLoop(t, w, g)
			return w.Flush()
		})
		records, said = offlineCME(t, path, CaptureOptions{Definitions: other})
		if want, got := x.market(), restingAt(records); !got.equal(want) || want.orders() == 0 || len(said) != 0 {
			t.Errorf("%s: %d orders rest, %d in the market; it said %q", name, got.orders(), want.orders(), said)
		}
	}
	f, err := OpenOffline(path, OfflineOptions{Kinds: []ringbuf.Kind{ringbuf.KindMbo}, Slots: 1 << 18, Capture: CaptureOptions{Definitions: path}})
	must(t, err)
	if err := f.Run(nil); err == nil || !strings.Contains(err.Error(), "holds no definitions") {
		t.Errorf("a capture without definitions gives some: %v", err)
	}
	must(t, f.Close())

	records, said = offlineCME(t, path, CaptureOptions{Prices: "wire"})
	wire := resting{} // ES, ZN, 6E
	for id, orders := range x.market() {
		wire[id] = map[uint64]tick.Mbo{}
		for i := range g.Instruments() {
			if uint32(g.Security(i)) == id {
				for order, m := range orders {
					m.Price *= map[string]int64{"ES": 100, "ZN": 1, "6E": 10_000}[g.Symbol(i)[:2]]
					wire[id][order] = m
				}
			}
		}
	}
	if got := restingAt(records); !got.equal(wire) || wire.orders() == 0 || strings.Contains(strings.Join(said, " "), "definition") {
		t.Errorf("%d orders rest, %d in the market; it said %q", got.orders(), wire.orders(), said)
	}
}

// TestCMEDefinitionsOnce: a capture of definitions that has them over and over, as the replay feed does, gives each of them once.
func TestCMEDefinitionsOnce(t *testing.T) {
	path, g := cmeCapture(t, false)
	other := create(t, "definitions.pcap", func(f *os.File) error {
		w := pcap.NewWriter(f)
		for range 3 {
			writeLoop(t, w, g)
		}
		return w.Flush()
	})
	f, err := OpenOffline(path, OfflineOptions{Kinds: []ringbuf.Kind{ringbuf.KindMbo}, Slots: 1 << 18, Capture: CaptureOptions{Definitions: other}})
	must(t, err)
	defer func() { must(t, f.Close()) }()
	must(t, f.Run(nil))
	messages := f.Capture.decoders[0].(*parser.Decoder).Counters.Messages
	again, err := OpenOffline(path, OfflineOptions{Kinds: []ringbuf.Kind{ringbuf.KindMbo}, Slots: 1 << 18})
	must(t, err)
	defer func() { must(t, again.Close()) }()
	must(t, again.Run(nil))
	without := again.Capture.decoders[0].(*parser.Decoder).Counters.Messages
	if messages-without != uint64(g.Instruments()) {
		t.Errorf("%d definitions were taken of %d instruments", messages-without, g.Instruments())
	}
}

// counting is a sink that decodes.
type counting struct {
	d   *parser.Decoder
	out *tick.Batch
}

func (c counting) Messages(blocks []byte, first uint64, count int, _ session.Arrival) {
	for n := 0; n < count; c.out.Reset() {
		used, k := c.d.Append(blocks, first, count, c.out)
		blocks, n = blocks[used:], n+k
	}
}
func (counting) Gap(session.Gap)         {}
func (c counting) SessionStart([10]byte) { c.d.Start(0) }
func (counting) SessionEnd([10]byte)     {}

// inexact is undefined whose loop of definitions has a limit that is no multiple of 1e-9, wherever there is one such.
type inexact struct{ undefined }

func (x inexact) AppendDefinition(dst []byte, i int, total uint32) []byte {
	at := len(dst)
	dst = x.undefined.AppendDefinition(dst, i, total)
	m := parser.Message(dst[at:])
	f := parser.Schema().Message(m.Template()).Field("HighLimitPrice")
	binary.LittleEndian.PutUint64(m.Body()[f.Offset:], 1)
	return dst
}

// TestCMEInexactLimit: a price of a definition that cannot be told is no book's: all books are made anew from the loops all the same.
func TestCMEInexactLimit(t *testing.T) {
	x := cmeExchangeOf(t, 20_000, 47, loops(), func(g *mdp3gen.Gen) mdp3.Market { return inexact{undefined{g}} })
	x.join()
	x.begin()
	k := x.settle()
	must(t, x.end())
	x.books()
	if k["0.resync.rebuilt"] == 0 || k["0.channel.0.mdp3.refused"] != 0 {
		t.Errorf("%v", moved(k))
	}
}
