package process

import (
	"testing"

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
