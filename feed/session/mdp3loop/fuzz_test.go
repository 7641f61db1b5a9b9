package mdp3loop

import (
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
)

// FuzzRebuild makes a rebuild of arbitrary snapshots and an arbitrary stream: no panic, whole books, and an attempt that ends.
func FuzzRebuild(f *testing.F) {
	g, err := mdp3gen.New(mdp3gen.Options{Messages: 3_000, Instruments: 2})
	must(f, err)
	var stream []byte
	for range 200 {
		stream, _ = g.Next(stream)
	}
	var loops []byte
	for i := range 2 {
		loops = g.AppendDefinition(loops, i, 2)
		loops = g.AppendSnapshot(loops, i, 5, 2)
		g.EachOrderSnapshot(i, 6, 2, func(m []byte) { loops = append(loops, m...) })
	}
	stream, _ = g.Next(stream[:0])
	f.Add(loops, stream, uint8(5))
	f.Add(loops[:700], append(stream, levelsOf(1, 5, 1)...), uint8(0))
	own, err := book.New(book.Options{Sparse: true, ZeroPrice: true, MaxInstruments: 16, MaxOrders: 256})
	must(f, err)
	f.Cleanup(func() { must(f, own.Close()) })
	rs, err := resync.New(resync.Options{Books: own, Prices: newPrices, Decoder: decoders(), LogBytes: 1 << 16, Patience: 1, Parts: Parts(Config{})})
	must(f, err)
	f.Cleanup(func() { must(f, rs.Close()) })
	f.Fuzz(func(t *testing.T, loops, stream []byte, from uint8) {
		lane, worker := rs.Lane(), rs.Worker()
		first := uint64(from)
		lane.Want(0, first)
		defer lane.Forget()
		worker.Begin()
		c := Config{Counters: new(Counters), MaxInstruments: 20, MaxBytes: 1 << 16}
		for _, kind := range []Kind{Definitions, Levels, Orders} {
			x := newCollector(kind, &c, func(s *Snapshot) error {
				p := s.Part()
				return worker.Part(&p)
			})
			if err := x.packet(0, append(mdp3.AppendPacketHeader(nil, 1, 1), loops...)); err != nil {
				worker.Fail(err)
				return
			}
		}
		next := first
		for b := stream; len(b) > 0; next++ { // each message a packet
			m, used := mdp3.Next(b)
			if used == 0 {
				break
			}
			lane.Messages(m, next, 1)
			b = b[used:]
		}
		if worker.End(0) != nil {
			return
		}
		for now := uint64(1); now < 200; now++ {
			switch st, _ := worker.Step(now); st {
			case resync.Void:
				return
			case resync.Waiting:
				if s := lane.Offered(next); s != nil {
					must(t, s.Books.Validate())
					lane.Return(s)
					if st, err := worker.Step(now); st != resync.Done || err != nil {
						t.Fatal(st, err)
					}
					return
				}
			}
		}
		t.Fatal("the attempt does not end")
	})
}
