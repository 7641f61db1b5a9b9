package plugins

import (
	"errors"
	"time"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// ErrNoInstance says that a parser cannot read just now: it failed and another instance is not there yet, or it was taken out.
var ErrNoInstance = errors.New("plugins: the parser failed, and there is no other instance of it just now")

// MostDefined bounds the instruments that a packet may name outside of rows.
const MostDefined = 64

// reading is what a chain has that reads packets.
type reading struct {
	unit     int
	framed   bool
	midnight int64 // of the session, -1: none began
	now      uint64
	packet   []byte            // the present one
	defined  []tick.Definition // what it names outside of rows
	did      did               // since Settle
	passes   uint64
	sum, max uint64 // ns
}

// NewReader makes a chain that reads packets, by a parser of the plugin, in the place of passing rows. It has what chains have: a spare, a keeper, counters, a seat where
// the next version waits. Frame, Looks, Begin, Parse, Defined and Settle belong to whoever reads; on a lane (env.Lane) between passes it looks into the seat. Directory and Define of env
// are not used. Never on a lane.
func (h *Host) NewReader(st Stage, unit int, env Env) (*Chain, error) {
	if m := st.Plugin.manifest; unit < 0 || unit >= len(m.Kinds) || m.Kinds[unit].Kind != manifest.Parser {
		return nil, ErrNoUnit
	}
	_, framed := st.Plugin.compiled.ExportedFunctions()[exports[fnFrame].name]
	c := &Chain{host: h, stages: make([]stage, 1), epoch: time.Now(), reading: &reading{unit: unit, framed: framed, midnight: -1, now: env.Now, defined: make([]tick.Definition, 0, MostDefined)}}
	env.Directory, env.Define = nil, c.define
	s := &c.stages[0]
	s.transform, s.validator = -1, -1
	err := s.build(st, env, &c.symbols)
	c.keeper.start(c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Framed says that the parser reads framing; without it packets are messages of their own.
func (c *Chain) Framed() bool { return c.reading.framed }

// MostRows of a packet.
func (c *Chain) MostRows() int { return c.stages[0].rows }

// define takes an instrument that the plugin names outside of rows.
func (c *Chain) define(instrument uint32, symbol []byte) bool {
	r := c.reading
	var d tick.Definition
	if len(r.defined) == MostDefined || len(symbol) == 0 || len(symbol) >= len(d.RawSymbol) {
		return false
	}
	d = tick.UndefDefinition
	d.InstrumentID, d.RawInstrumentID, d.DisplayFactor = instrument, uint64(instrument), tick.PriceScale
	copy(d.RawSymbol[:], symbol)
	r.defined = append(r.defined, d)
	return true
}

// Defined is what the packet that was parsed last names outside of rows.
func (c *Chain) Defined() []tick.Definition { return c.reading.defined }

// reader is an instance that lives, nil: there is none just now. Hot path.
func (c *Chain) reader() *Instance {
	s := &c.stages[0]
	if s.live == nil && s.next() != nil {
		c.begin()
	}
	if s.live != nil {
		s.live.Now = c.reading.now
	}
	return s.live
}

// begin tells the instance of the session, if one began.
func (c *Chain) begin() {
	if r := c.reading; r.midnight >= 0 {
		c.fell(c.stages[0].live.Start(r.unit, r.midnight))
	}
}

// fell replaces the instance if a call killed it.
func (c *Chain) fell(err error) {
	if s := &c.stages[0]; s.live != nil && s.live.dead {
		s.failed(c, 0, err)
	}
}

// Begin begins a session: midnight is the start of its day, ns since the Unix epoch.
func (c *Chain) Begin(midnight int64) {
	c.reading.midnight, c.reading.packet = midnight, nil
	if c.stages[0].live != nil {
		c.begin()
	}
}

// Frame reads the framing of a packet. A *PacketError is of the packet; ErrNoInstance and failures are the parser's. Hot path.
func (c *Chain) Frame(packet []byte) (Framing, error) {
	c.reading.packet = packet
	i := c.reader()
	if i == nil {
		return Framing{}, ErrNoInstance
	}
	f, err := i.Frame(c.reading.unit, packet)
	if err != nil {
		c.fell(err)
	}
	return f, err
}

// Looks says how sure the parser is that a packet is of its protocol: 0 to 100, 0 too if it does not say.
func (c *Chain) Looks(packet []byte) (int, error) {
	c.reading.packet = packet
	i := c.reader()
	if i == nil {
		return 0, ErrNoInstance
	}
	n, err := i.Looks(c.reading.unit, packet)
	if err != nil {
		c.fell(err)
	}
	return n, err
}

// Parse appends the rows of a packet's messages, which begin at at, to b: Instance.Parse. Hot path.
func (c *Chain) Parse(packet []byte, at int, first uint64, count int, b *tick.Batch) (int, error) {
	r := c.reading
	r.packet, r.defined = packet, r.defined[:0]
	i := c.reader()
	if i == nil {
		r.did.bypassed += count
		return 0, ErrNoInstance
	}
	s := &c.stages[0]
	used, from := i.used, time.Since(c.epoch)
	rows, err := i.Parse(r.unit, packet[at:], first, count, b)
	ns := uint64(time.Since(c.epoch) - from)
	r.passes++
	r.sum += ns
	r.max = max(r.max, ns)
	r.did.fuel += i.used - used
	if err != nil {
		r.did.bypassed += count
		c.fell(err)
		return 0, err
	}
	s.inRow = 0
	r.did.rows += rows
	r.did.batches++
	return rows, nil
}

// Settle shows what was counted since it was called last, to those who ask for Stats; now is the pass's time, ns since the Unix epoch.
func (c *Chain) Settle(now uint64) {
	r, s := c.reading, &c.stages[0]
	r.now = now
	if r.passes == 0 && r.did.bypassed == 0 {
		return
	}
	s.stats.add(&r.did)
	s.stats.passes.Add(r.passes)
	s.stats.latencySum.Add(r.sum)
	s.stats.latencyMax.Store(max(s.stats.latencyMax.Load(), r.max))
	r.did, r.passes, r.sum, r.max = did{}, 0, 0, 0
}
