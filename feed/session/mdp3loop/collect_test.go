package mdp3loop

import (
	"errors"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

const enc = mdp3.EncodeV13

// piece is one message of a book by order: a chunk of chunks, as of last, in a loop of total.
func piece(security int32, last, total, chunk, chunks uint32) []byte {
	return enc.AppendOrderSnapshot(nil, &mdp3.WireOrderSnapshot{
		LastMsgSeqNumProcessed: last, TotNumReports: total, Security: security, NoChunks: chunks, CurrentChunk: chunk, TransactTime: 9,
	}, []mdp3.WireOrderLevel{{ID: uint64(chunk), Priority: uint64(chunk), Price: 1e9, Size: 1, Type: '0'}})
}

func levelsOf(security int32, last, total uint32) []byte {
	return enc.AppendSnapshot(nil, &mdp3.WireSnapshot{LastMsgSeqNumProcessed: last, TotNumReports: total, Security: security, RptSeq: last * 2, High: mdp3.WireNoPrice, Low: mdp3.WireNoPrice, Variation: mdp3.WireNoPrice}, nil)
}

func packet(sequence uint32, messages ...[]byte) []byte {
	b := mdp3.AppendPacketHeader(nil, sequence, 1)
	for _, m := range messages {
		b = append(b, m...)
	}
	return b
}

// bench is a collector, and what it gave.
type bench struct {
	t *testing.T
	*collector
	got    []Snapshot
	answer error
}

func newBench(t *testing.T, kind Kind, c Config) *bench {
	c.Levels = nil
	c.Counters = new(Counters)
	if c.MaxInstruments == 0 {
		c.MaxInstruments = 100
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 20
	}
	b := &bench{t: t}
	b.collector = newCollector(kind, &c, func(s *Snapshot) error {
		b.got = append(b.got, *s)
		return b.answer
	})
	return b
}

// take feeds packets of side A and wants the collector to be done, or not, behind the last.
func (b *bench) take(done bool, packets ...[]byte) {
	b.t.Helper()
	for _, p := range packets {
		if b.done() {
			b.t.Fatal("done too early")
		}
		must(b.t, b.packet(0, p))
	}
	if b.done() != done {
		b.t.Fatalf("done %v with %d of %d", b.done(), len(b.whole), b.total)
	}
}

// TestPieces: a book by order is whole when all its pieces came, of one number; what is lost comes with the next round.
func TestPieces(t *testing.T) {
	b := newBench(t, Orders, Config{})
	b.take(false, packet(7, piece(1, 10, 2, 1, 1)))                                   // of a round that had begun
	b.take(false, packet(1, piece(1, 10, 2, 1, 3)), packet(3, piece(1, 10, 2, 3, 3))) // piece 2 is lost with packet 2
	b.take(false, packet(4, piece(2, 11, 2, 2, 2), piece(2, 11, 2, 1, 2)))            // the other way round
	b.take(false, packet(1, piece(1, 15, 2, 1, 2)), packet(1, piece(1, 15, 2, 1, 2))) // anew, and twice: B's copy
	b.take(true, packet(2, piece(1, 15, 2, 2, 2)))
	if len(b.got) != 2 || b.got[0].Instrument != 2 || len(b.got[0].Messages) != 2 || b.got[1].LastMsgSeqNumProcessed != 15 || len(b.got[1].Messages) != 2 {
		t.Errorf("%+v", b.got)
	}
	if c := b.c.Counters; c.Waited != 1 || c.Replaced != 1 || c.Repeated != 1 || c.Rounds != 3 || b.bytes != 0 {
		t.Errorf("%+v, %d bytes held", c, b.bytes)
	}
	for n, m := range b.got[0].Messages {
		if mdp3.Message(m).Body()[16] != byte(n+1) {
			t.Errorf("piece %d stands at %d", mdp3.Message(m).Body()[16], n+1)
		}
	}
}

// TestStale: what is too old is taken from a round that begins later, and the list of instruments with it.
func TestStale(t *testing.T) {
	b := newBench(t, Levels, Config{})
	b.answer = ErrStale
	b.take(false, packet(1, levelsOf(1, 10, 1)))
	b.answer = nil
	b.take(false, packet(2, levelsOf(2, 10, 1))) // of the round that was too old
	b.take(false, packet(1, levelsOf(1, 20, 2))) // there are two now
	b.take(true, packet(2, levelsOf(2, 21, 2)))
	if c := b.c.Counters; c.Stale != 1 || c.Waited != 1 || len(b.got) != 3 || b.got[1].RptSeq != 40 {
		t.Errorf("%+v, %+v", c, b.got)
	}
}

// TestEmpty: a round that has nothing but its heartbeat.
func TestEmpty(t *testing.T) {
	b := newBench(t, Levels, Config{})
	b.take(false, packet(1, enc.AppendHeartbeat(nil)))
	b.take(true, packet(1, enc.AppendHeartbeat(nil)))
	if b = newBench(t, Levels, Config{}); b.done() {
		t.Error("done with nothing")
	}
	b.take(false, packet(1, enc.AppendHeartbeat(nil)), packet(2, levelsOf(1, 5, 2)), packet(1, enc.AppendHeartbeat(nil)), packet(2, levelsOf(1, 5, 2)))
}

// TestBad: what contradicts itself is counted and changes nothing; what is too much ends the snapshot.
func TestBad(t *testing.T) {
	b := newBench(t, Orders, Config{MaxInstruments: 3, MaxBytes: 300})
	whole := packet(1, piece(1, 10, 1, 1, 2))
	for n := range whole { // cut anywhere, also between packet and message
		if n != mdp3.PacketBytes {
			must(t, b.packet(0, whole[:n]))
		}
	}
	must(t, b.packet(3, whole))
	if c := b.c.Counters; c.Malformed != uint64(len(whole)) || len(b.whole)+len(b.pieces) != 0 {
		t.Fatalf("%+v", c)
	}
	b.take(false, packet(1, piece(1, 10, 1, 0, 2)), packet(2, piece(1, 10, 1, 3, 2)), packet(3, piece(1, 10, 1, 1, 1<<30)), packet(4, levelsOf(1, 10, 1)),
		packet(5, piece(1, 10, 0, 1, 1)), packet(6, enc.AppendLogin(nil, 1)))
	if c := b.c.Counters; c.Strange != 6 || len(b.got) != 0 {
		t.Fatalf("%+v", c)
	}
	if err := b.packet(0, packet(7, piece(1, 10, 4, 1, 1))); !errors.Is(err, ErrTooMuch) {
		t.Errorf("four instruments: %v", err)
	}
	b = newBench(t, Orders, Config{MaxInstruments: 3, MaxBytes: 300})
	var err error
	for n := uint32(1); n < 9 && err == nil; n++ {
		err = b.packet(0, packet(n, piece(1, 10, 1, n, 9)))
	}
	if !errors.Is(err, ErrTooMuch) {
		t.Errorf("nine pieces: %v", err)
	}
	b = newBench(t, Levels, Config{})
	b.answer = errors.New("no")
	if err := b.packet(0, packet(1, levelsOf(1, 10, 1))); !errors.Is(err, b.answer) {
		t.Errorf("%v", err)
	}
}

// FuzzCollect: no panic, nothing held beyond its bounds, whatever comes.
func FuzzCollect(f *testing.F) {
	f.Add(uint8(1), packet(1, piece(1, 10, 2, 1, 2), piece(1, 10, 2, 2, 2)), packet(2, piece(3, 10, 2, 1, 1)))
	f.Add(uint8(0), packet(1, levelsOf(1, 5, 1)), packet(1))
	f.Add(uint8(2), packet(1, enc.AppendFuture(nil, &mdp3.WireInstrument{TotNumReports: 2, Security: 4})), packet(2, enc.AppendHeartbeat(nil)))
	f.Fuzz(func(t *testing.T, kind uint8, a, b []byte) {
		c := Config{Counters: new(Counters), MaxInstruments: 50, MaxBytes: 1 << 16}
		x := newCollector(Kind(kind%3), &c, func(s *Snapshot) error {
			if s.Instrument%5 == 4 {
				return ErrStale
			}
			if len(s.Messages) == 0 {
				t.Error("a snapshot without a message")
			}
			return nil
		})
		for range 3 {
			for side, p := range [][]byte{a, b} {
				if x.packet(uint8(side), p) != nil {
					return
				}
			}
		}
		held := 0
		for _, p := range x.pieces {
			held += p.bytes
		}
		if held != x.bytes || held > c.MaxBytes || len(x.whole)+len(x.pieces) > 2*c.MaxInstruments {
			t.Errorf("%d bytes held, counted %d", held, x.bytes)
		}
	})
}
