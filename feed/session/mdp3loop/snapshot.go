package mdp3loop

import (
	"context"

	"github.com/tickwire/tickwire/feed/resync"
)

// Kind says what a snapshot is of.
type Kind uint8

// Kinds of snapshots.
const (
	Levels      Kind = iota // template 52
	Orders                  // template 53, all pieces
	Definitions             // templates 54 and so on
)

func (k Kind) String() string {
	return [...]string{"levels", "orders", "definitions"}[min(k, Definitions)]
}

// Snapshot is one instrument's. It is valid for the call that it is handed to.
type Snapshot struct {
	Kind                   Kind
	Instrument             uint32 // SecurityID
	LastMsgSeqNumProcessed uint32 // the last packet of the incremental feed that is in it; 0: Definitions
	RptSeq                 uint32 // the instrument's last entry that is in it; Levels only
	TransactTime           uint64 // of the last event that the instrument took part in, ns since the Unix epoch; not of Definitions

	// Messages are one, or the pieces in order: each as mdp3.Decoder takes a packet's.
	Messages [][]byte
}

// Part is the snapshot as package resync takes it.
func (s *Snapshot) Part() resync.Part {
	p := resync.Part{
		Instrument: s.Instrument, What: [...]resync.What{resync.Levels, resync.Orders, resync.Nothings}[s.Kind],
		AsOf: uint64(s.LastMsgSeqNumProcessed), Until: s.TransactTime, Entry: uint64(s.RptSeq), Messages: s.Messages,
	}
	return p
}

// Parts is Fetch as resync.Options.Parts.
func Parts(c Config) func(ctx context.Context, fn func(p *resync.Part) error) error {
	return func(ctx context.Context, fn func(p *resync.Part) error) error {
		return Fetch(ctx, c, func(s *Snapshot) error {
			p := s.Part()
			return fn(&p)
		})
	}
}
