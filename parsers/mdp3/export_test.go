package mdp3

import (
	"fmt"
	"reflect"

	"github.com/tickwire/tickwire/tick"
)

// Quick says whether messages may go the quick way into a batch.
func (d *Decoder) Quick(out *tick.Batch) bool { return d.fits(out) }

// HasQuick says that there is a quick way in this build.
const HasQuick = hasQuick

// Slow makes all messages go the way that is the definition.
func (d *Decoder) Slow() { d.slow = true }

// Difference says what two decoders do not agree on, of all that they remember from one call to the next.
func (d *Decoder) Difference(other *Decoder) string {
	a, b := reflect.ValueOf(d.memory()), reflect.ValueOf(other.memory())
	for i := range a.NumField() {
		if x, y := fmt.Sprint(a.Field(i)), fmt.Sprint(b.Field(i)); x != y {
			return fmt.Sprintf("%s: %s\n\n%s", a.Type().Field(i).Name, x, y)
		}
	}
	return ""
}

type memory struct {
	Counters Counters
	Slots    []instrument
	Index    []uint64
	Trades   pending
	Todo     sweep
	First    uint64
	Event    uint32
	Time     uint64
	Open     bool
	Batch    uint32
	LastOut  int
	HeldBack []uint32
	About    []about
	Doubtful []uint32
	Doubts   uint64
}

func (d *Decoder) memory() memory {
	return memory{d.Counters, d.of.slots, d.of.index, d.trades, d.todo, d.first, d.event, d.time, d.open, d.batch, d.lastOut, d.heldBack, d.of.about, d.doubtful, d.doubts}
}

// Price is a mantissa times DisplayFactor, both in 1e-9, as prices are multiplied; known: there is such a factor.
func Price(displayE9, mantissa int64) (px int64, ok, known bool) {
	f, known := factorOf(displayE9)
	px, ok = f.price(mantissa)
	return px, ok, known
}
