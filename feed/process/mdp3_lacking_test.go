package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	parser "github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// nameless is undefined whose loop of definitions lacks one instrument as well.
type nameless struct{ undefined }

const nobody = 3 // the place of the one

func (n nameless) AppendDefinition(dst []byte, i int, total uint32) []byte {
	if i == nobody {
		i--
	}
	return n.undefined.AppendDefinition(dst, i, total-1)
}

// TestCMELacking: an instrument that no definition comes of has an empty book behind a rebuild, and that is not told as certain, while its neighbours' are.
func TestCMELacking(t *testing.T) {
	for product, o := range map[string]mdp3.Options{
		"": loops(), "mbp": {Levels: mdp3.LevelsA, Definitions: mdp3.DefinitionsA}, "mbo": {Orders: mdp3.OrdersA, Definitions: mdp3.DefinitionsA},
	} {
		t.Run(product, func(t *testing.T) {
			x := cmeExchangeOf(t, 15_000, 43, o, func(g *mdp3gen.Gen) mdp3.Market { return nameless{undefined{g}} })
			x.join()
			x.begin()
			k := x.settle()
			id, suspect := uint32(x.g.Security(nobody)), false
			x.look = func() { suspect = x.lanes[0].books.Suspect(id) }
			must(t, x.end())
			for _, r := range x.ring(t) {
				if r.RType == tick.RTypeMbo && r.InstrumentID == id && r.Flags&tick.FlagMaybeBadBook == 0 {
					t.Errorf("told as certain: %+v", r)
				}
			}
			side := func(ext string) string { return ringbuf.SidePath(x.dir, "t", "nq", "0", ext) }
			inst, err := ringbuf.OpenInst(side(ringbuf.ExtInst))
			must(t, err)
			defer inst.Close()
			last, err := ringbuf.OpenLast(side(ringbuf.ExtLast), inst)
			must(t, err)
			defer last.Close()
			for i := range x.g.Instruments() {
				of := uint32(x.g.Security(i))
				rec, ok := last.Last(40_002, of)
				if doubt := rec.Flags&tick.FlagMaybeBadBook != 0; ok && doubt != (i == nobody) {
					t.Errorf("%s: the latest value is in doubt: %v", x.g.Symbol(i), doubt)
				}
			}
			if !suspect || k["0.resync.rebuilt"] == 0 {
				t.Errorf("its book is suspect: %v; %v", suspect, moved(k))
			}
		})
	}
}

// beyond is undefined whose loop of definitions has one instrument with a factor by which all its prices are beyond 64 bits.
type beyond struct{ undefined }

func (x beyond) AppendDefinition(dst []byte, i int, total uint32) []byte {
	at := len(dst)
	dst = x.undefined.AppendDefinition(dst, i, total)
	if m := parser.Message(dst[at:]); i == nobody {
		f := parser.Schema().Message(m.Template()).Field("DisplayFactor")
		binary.LittleEndian.PutUint64(m.Body()[f.Offset:], 1e18)
	}
	return dst
}

// TestCMEInexactBooks: an instrument whose prices cannot be told exactly is in doubt alone, whatever is made anew, and each of its messages is no reason for another rebuild.
func TestCMEInexactBooks(t *testing.T) {
	x := cmeExchangeOf(t, 15_000, 44, loops(), func(g *mdp3gen.Gen) mdp3.Market { return beyond{undefined{g}} })
	x.join()
	x.begin()
	k := x.settle()
	var suspect []uint32
	x.look = func() {
		for i := range x.g.Instruments() {
			if id := uint32(x.g.Security(i)); x.lanes[0].books.Suspect(id) {
				suspect = append(suspect, id)
			}
		}
	}
	must(t, x.end())
	if want := []uint32{uint32(x.g.Security(nobody))}; !slices.Equal(suspect, want) {
		t.Errorf("suspect are %v, want %v", suspect, want)
	}
	if k["0.resync.rebuilt"] == 0 || k["0.resync.rebuilt"] > 5 || k["0.channel.0.mdp3.inexact"] < 100 || k["0.channel.0.mdp3.refused"] != 0 {
		t.Errorf("%v", moved(k))
	}
	t.Logf("%d left out, %d rebuilds of %d attempts", k["0.channel.0.mdp3.inexact"], k["0.resync.rebuilt"], k["0.resync.attempts"])
}

// TestCMEDefinedInBetween: a snapshot of an instrument whose definition comes only behind it, on the lines: the rebuild cannot read the one, learns the other, and does not have a
// book that anybody is told of as certain. Nor has one of which a message in between does not fit.
func TestCMEDefinedInBetween(t *testing.T) {
	const x, y, z = 11, 12, 13
	dir := t.TempDir()
	var out pipeline.Outputs
	w, err := ringbuf.Create(filepath.Join(dir, "f.0.mbo.ring"), ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1 << 10})
	must(t, err)
	defer w.Close()
	out.Mbo = w
	r, err := ringbuf.Open(filepath.Join(dir, "f.0.mbo.ring"), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer r.Close()
	kept, err := protocol.MDP3.Keep("", 1<<10)
	must(t, err)
	defer kept.Close()
	directory, err := symbols.New(0)
	must(t, err)
	options := protocol.Options{Definitions: new(parser.Definitions)}
	rs, err := resync.New(resync.Options{
		Books: kept.Orders, Prices: func() (*pricebook.Books, error) { return pricebook.New(pricebook.Options{}) }, LogBytes: 1 << 16,
		Decoder: func() (resync.Decoder, error) { return protocol.MDP3.New(options) },
		Parts:   func(context.Context, func(*resync.Part) error) error { return nil }, // they are given by hand
	})
	must(t, err)
	defer rs.Close()
	decoder, err := protocol.MDP3.New(options)
	must(t, err)
	now := uint64(1)
	lane, err := pipeline.New(pipeline.Config{
		Publisher: 40_002, Decoder: decoder, Books: kept.Orders, Prices: kept.Prices, Natural: true, Symbols: directory, Out: out,
		Midnight: protocol.MDP3.MidnightBefore, MaxPass: pipeline.PassLive, Clock: func() uint64 { return now }, Resync: rs,
	})
	must(t, err)
	defer lane.Close()
	number := uint64(0)
	give := func(messages ...[]byte) {
		number++
		now += 1_000_000
		lane.SetNow(now)
		lane.Messages(bytes.Join(messages, nil), number, 1, session.Arrival{TsRecv: now})
		lane.EndPass()
	}
	lane.SetNow(now)
	lane.SessionStart([10]byte{1})
	v := parser.EncodeV13
	level := func(id int32, at byte, entry uint32) []byte {
		return v.AppendBook(nil, 1_800_000_000_000_000_000+number, parser.LastQuoteMsg|parser.EndOfEvent,
			[]parser.WireLevel{{Price: int64(100-at) * 1e9, Size: 5, Security: id, RptSeq: entry, Orders: 1, Level: at, Type: '0'}}, nil)
	}
	give(future(y), future(z))
	give(level(y, 1, 1))
	lane.Gap(session.Gap{First: 3, Last: 3, State: tick.GapLost})
	number = 3
	give(level(y, 2, 2))
	worker := rs.Worker()
	if !worker.Begin() {
		t.Fatal("nothing is wanted")
	}
	for _, id := range []int32{x, y, z} {
		entries := []parser.WireEntry{{Price: 99e9, Size: 5, Orders: 1, Level: 1, Type: '0'}}
		s := parser.WireSnapshot{LastMsgSeqNumProcessed: 3, TotNumReports: 3, Security: id, RptSeq: 1, Trading: parser.WireNoByte, High: parser.WireNoPrice, Low: parser.WireNoPrice, Variation: parser.WireNoPrice}
		for i := range entries {
			e := &entries[i]
			e.Date, e.OpenClose, e.SettlPrice = parser.WireNoDate, parser.WireNoByte, 0x80
		}
		must(t, worker.Part(&resync.Part{Instrument: uint32(id), What: resync.Levels, AsOf: 3, Entry: 1, Messages: [][]byte{v.AppendSnapshot(nil, &s, entries)}}))
	}
	must(t, worker.End(0))
	give(future(x))
	give(level(x, 1, 2))
	give(level(z, 9, 2)) // beyond all that there are
	for lane.Resync().Counters.Rebuilt == 0 || lane.Resync().Counters.LiveState != 0 {
		if lane.Resync().Counters.Rebuilt == 0 {
			_, err = worker.Step(now)
			must(t, err)
		}
		now += 1_000_000
		lane.SetNow(now)
		lane.EndPass()
	}
	told := map[uint32]bool{}
	for _, m := range pollAll[tick.Mbo](t, r) {
		if m.RType == tick.RTypeMbo && m.Action == tick.ActionClear && m.Flags&tick.FlagSnapshot != 0 {
			told[m.InstrumentID] = m.Flags&tick.FlagMaybeBadBook == 0
		}
	}
	if want := map[uint32]bool{x: false, y: true, z: false}; !maps.Equal(told, want) {
		t.Errorf("told as certain: %v, want %v", told, want)
	}
	if n := lane.Natural().LiveDoubted; n != 2 { // they may come back by the stream
		t.Errorf("%d price books count as doubted, want 2", n)
	}
}

// future defines an instrument as the lines do.
func future(id int32) []byte {
	return parser.EncodeV13.AppendFuture(nil, &parser.WireInstrument{
		Action: 'A', Symbol: fmt.Sprint("S", id), Security: id, Group: "G", Asset: "A", Exchange: "XCME", SecurityType: "FUT", Year: 2026, Month: 12,
		Increment: 1e9, DisplayFactor: 1e9, Reference: parser.WireNoPrice, High: parser.WireNoPrice, Low: parser.WireNoPrice, Depth: 2, Trading: parser.WireNoByte, TotNumReports: parser.WireNoU32,
	})
}
