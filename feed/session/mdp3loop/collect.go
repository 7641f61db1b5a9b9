package mdp3loop

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

// collector makes whole snapshots of one feed's packets. A round begins with the packet of number 1; where that one is lost, the next round is as good.
//
//	side A   … 811 812 │ 1  2  3 … 640 641 │ 1 2 …
//	side B     … 810 811 812 │ 1  3 …            packets are lost, and sides are behind each other
//	          not looked at │ taken              until as many instruments are whole as TotNumReports says
type collector struct {
	kind Kind
	c    *Config
	fn   func(*Snapshot) error

	begun   [2]bool // a round has begun on the side since the start, or since what was stale
	reports [2]bool // the side's present round has content
	total   uint32  // TotNumReports, the most that was said
	empty   bool    // a whole round had none
	whole   map[uint32]bool
	pieces  map[uint32]*pieces
	bytes   int // of pieces
}

// pieces are an instrument's messages of template 53 so far.
type pieces struct {
	asOf, count uint32
	time        uint64 // TransactTime: where it differs, so do the orders, even if the packet is the same one
	got         uint32
	bytes       int
	by          map[uint32][]byte // CurrentChunk
}

// mostPieces of an instrument: of 40 orders each they hold more than any books do.
const mostPieces = 1 << 18

func newCollector(kind Kind, c *Config, fn func(*Snapshot) error) *collector {
	return &collector{kind: kind, c: c, fn: fn, whole: make(map[uint32]bool), pieces: make(map[uint32]*pieces)}
}

// done says that all instruments of a round are whole.
func (x *collector) done() bool {
	return x.empty || x.total != 0 && uint64(len(x.whole)) >= uint64(x.total)
}

// packet takes a datagram that came on a side. An error ends the snapshot.
func (x *collector) packet(side uint8, payload []byte) error {
	x.c.Counters.Packets++
	h, body, err := mdp3.ParsePacket(payload)
	if whole, _ := mdp3.Walk(body, 1); err != nil || whole == 0 || side > 1 {
		x.c.Counters.Malformed++
		return nil
	}
	if h.Sequence == 1 {
		x.c.Counters.Rounds++
		if x.begun[side] && !x.reports[side] && x.total == 0 {
			x.empty = true
		}
		x.begun[side], x.reports[side] = true, false
	}
	if !x.begun[side] {
		x.c.Counters.Waited++
		return nil
	}
	for len(body) > 0 {
		m, used := mdp3.Next(body)
		if err := x.message(side, m); err != nil {
			return err
		}
		body = body[used:]
	}
	return nil
}

// report is what a message says of itself.
type report struct {
	s             Snapshot
	total         uint32
	chunk, chunks uint32
}

func (x *collector) message(side uint8, m mdp3.Message) error {
	if m.Template() == mdp3.AdminHeartbeat {
		return nil
	}
	r, ok := x.read(m)
	if !ok || m.Schema() != mdp3.SchemaID {
		x.c.Counters.Strange++
		x.reports[side] = true // whatever it is, the round is not empty
		return nil
	}
	x.c.Counters.Messages++
	x.reports[side] = true
	x.total = max(x.total, r.total)
	if uint64(r.total) > uint64(x.c.MaxInstruments) {
		return fmt.Errorf("%w: %d instruments, want at most %d", ErrTooMuch, r.total, x.c.MaxInstruments)
	}
	if x.whole[r.s.Instrument] {
		x.c.Counters.Repeated++
		return nil
	}
	if len(x.whole)+len(x.pieces) >= 2*x.c.MaxInstruments {
		return fmt.Errorf("%w: over %d instruments", ErrTooMuch, 2*x.c.MaxInstruments)
	}
	if x.kind != Orders {
		r.s.Messages = [][]byte{m}
		return x.hand(&r.s)
	}
	return x.piece(&r, m)
}

// read takes the fields that matter out of a root block, by the sheet's offsets.
func (x *collector) read(m mdp3.Message) (r report, ok bool) {
	le, b := binary.LittleEndian, m.Body()
	b = b[:min(m.BlockLength(), len(b))]
	r.s.Kind = x.kind
	switch m.Template() {
	case mdp3.SnapshotFullRefresh, mdp3.OldSnapshotFullRefresh, mdp3.SnapshotFullRefreshLongQty:
		if x.kind != Levels || len(b) < 59 {
			return r, false
		}
		r.s.LastMsgSeqNumProcessed, r.total, r.s.Instrument = le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])
		r.s.RptSeq, r.s.TransactTime = le.Uint32(b[12:]), le.Uint64(b[16:])
	case mdp3.SnapshotFullRefreshOrderBook, mdp3.OldSnapshotFullRefreshOrderBook:
		if x.kind != Orders || len(b) < 28 {
			return r, false
		}
		r.s.LastMsgSeqNumProcessed, r.total, r.s.Instrument = le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])
		r.chunks, r.chunk, r.s.TransactTime = le.Uint32(b[12:]), le.Uint32(b[16:]), le.Uint64(b[20:])
		if r.chunk < 1 || r.chunk > r.chunks || r.chunks > mostPieces {
			return r, false
		}
	case mdp3.DefinitionFuture, mdp3.DefinitionOption, mdp3.DefinitionSpread, mdp3.DefinitionFixedIncome, mdp3.DefinitionRepo, mdp3.DefinitionFX,
		mdp3.OldDefinitionFuture, mdp3.OldDefinitionOption, mdp3.OldDefinitionSpread:
		if x.kind != Definitions || len(b) < 59 {
			return r, false
		}
		r.total, r.s.Instrument = le.Uint32(b[1:]), le.Uint32(b[55:])
		if r.total == ^uint32(0) { // as on the incremental feed
			return r, false
		}
	default:
		return r, false
	}
	return r, r.total != 0
}

// piece takes one piece of a book by order. Pieces as of another number, or another time, are of another book.
func (x *collector) piece(r *report, m mdp3.Message) error {
	p := x.pieces[r.s.Instrument]
	if p != nil && (p.asOf != r.s.LastMsgSeqNumProcessed || p.count != r.chunks || p.time != r.s.TransactTime) {
		x.c.Counters.Replaced++
		x.drop(r.s.Instrument)
		p = nil
	}
	if p == nil {
		p = &pieces{asOf: r.s.LastMsgSeqNumProcessed, count: r.chunks, time: r.s.TransactTime, by: make(map[uint32][]byte)}
		x.pieces[r.s.Instrument] = p
	}
	if p.by[r.chunk] != nil {
		x.c.Counters.Repeated++
		return nil
	}
	if x.bytes += len(m); x.bytes > x.c.MaxBytes {
		return fmt.Errorf("%w: over %d bytes", ErrTooMuch, x.c.MaxBytes)
	}
	p.by[r.chunk] = append([]byte(nil), m...)
	p.bytes += len(m)
	if p.got++; p.got < p.count {
		return nil
	}
	for n := range p.count {
		r.s.Messages = append(r.s.Messages, p.by[n+1])
	}
	x.drop(r.s.Instrument)
	return x.hand(&r.s)
}

func (x *collector) drop(instrument uint32) {
	if p := x.pieces[instrument]; p != nil {
		x.bytes -= p.bytes
		delete(x.pieces, instrument)
	}
}

// hand gives a whole snapshot to its taker. What is too old for it is taken from a round that begins from here on, and so is the list of what there is.
func (x *collector) hand(s *Snapshot) error {
	switch err := x.fn(s); {
	case errors.Is(err, ErrStale):
		x.c.Counters.Stale++
		x.begun, x.total = [2]bool{}, 0
	case err != nil:
		return err
	default:
		x.whole[s.Instrument] = true
	}
	return nil
}
