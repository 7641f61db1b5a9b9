package plugins

import (
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// Stage is one plugin of a chain: its transform, then its validator, whichever it has.
type Stage struct {
	Plugin *Plugin
	Params []byte // as Manifest.Values gives them; nil: the defaults
}

// Chain is the plugins of one lane in order, with a spare instance of each. Pass and what is beside it belong to the lane's goroutine; Stats, Closed and Close
// may be called from others.
type Chain struct {
	Sides
}

// NewChain makes instances and spares. It refuses plugins that contradict: the same custom column twice, more than four, columns read that no plugin before
// writes. Params and Lane of env are the chain's to set.
func (h *Host) NewChain(stages []Stage, env Env) (*Chain, error) { return nil, ErrDead }

// Pass runs the plugins over all rows of a batch; now is the pass's time, ns since the Unix epoch. Afterwards the batch has their changes and
// F_PUBLISHER_SPECIFIC where a verdict is not Keep, Custom, Verdict and Reason hold for its rows, and Renamed has new symbols. Hot path.
func (c *Chain) Pass(b *tick.Batch, now uint64) {}

// Rename is a symbol that plugins wrote for an instrument.
type Rename struct {
	Row        int
	Instrument uint32
	Symbol     string
}

// Renamed are the symbols that changed in the latest pass. Seldom any: a symbol counts as changed when it differs from what was told last.
func (c *Chain) Renamed() []Rename { return nil }

// Stopped is an error once a plugin with on_trap stop_feed failed: the feed must not go on.
func (c *Chain) Stopped() error { return nil }

// CustomColumns of the chain in the order of Sides.Custom.
func (c *Chain) CustomColumns() []manifest.Custom { return nil }

// Why says in words what gave a row its verdict: the plugin's name and version and the reason.
func (c *Chain) Why(r Reason) (plugin, reason string) { return "", "" }

// StageStats counts what a stage did.
type StageStats struct {
	Plugin, Version           string
	Rows, Batches             uint64 // handled
	Dropped, Flagged, Refused uint64 // rows; refused includes dropped
	Bypassed                  uint64 // rows that were not handled
	Errors                    uint64 // negative returns and impossible answers
	Traps                     uint64 // traps and calls without fuel
	Cut                       uint64 // texts longer than their column
	Fuel                      uint64 // used
	LatencySum, LatencyMax    uint64 // of a pass, ns
	Out                       bool   // taken out after failures
}

// Stats of all stages.
func (c *Chain) Stats() []StageStats { return nil }

// Close ends the chain once no lane uses it.
func (c *Chain) Close() error { return nil }

// Closed is closed when the chain's instances are gone.
func (c *Chain) Closed() <-chan struct{} { return nil }

// Seat is where a lane finds its chain. Others put a new one there; the lane takes it between two passes, and the old one is closed in the background.
type Seat struct{}

// Set puts a chain there, nil: none. One that was set and never taken is closed. From any goroutine.
func (s *Seat) Set(next *Chain) {}

// Take is the lane's chain for the pass to come, nil: none. State moves from the old one to the new one if both versions of a plugin save and restore. Hot path: an atomic load unless there is a new one.
func (s *Seat) Take() *Chain { return nil }
