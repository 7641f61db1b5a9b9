package ringbuf

import (
	"bytes"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// The instrument directory, `.inst`: an open-addressing table, so that any process finds an instrument's entry by
// (publisher, instrument id), and .last finds its slot at the same index.
//
// Home of a key is (key × 0x9E3779B97F4A7C15) >> (64 − log2 capacity) with key = publisher<<32 | instrument; then linear
// probing. Load stays at or below 0.7. Entries are never removed while a generation lasts.
//
//	0    u64      version: 0 empty, odd being changed, even stable
//	8    u32      instrument id      12 u16 publisher      14 char class      15 u8 flags (1 named, 2 test symbol)
//	16   char[72] raw symbol
//	88   i64      minimum price increment, 1e-9
//	96   i32      round lot          100 i32 contract multiplier
//	104  i64      unit of measure quantity, 1e-9
//	112  i64      display factor, 1e-9
//	120  char[4]  currency
//	124  i8       decimals of the wire price   125 u8 current status action   126 u16 channel
//	128  char[8]  venue MIC          136 char[12] group       148 char[4] security type
//	152  i64      strike, 1e-9       160 u64 activation       168 u64 expiration
//	176  u64      byte offset of the full record in .definitions.dbn, 0: none
//	184  u64      last update, ns since the Unix epoch
const (
	instMagic      = "TWINST01"
	instEntryBytes = 256
	instWords      = instEntryBytes / 8

	// InstNamed marks an entry whose definition came; one without it was made at first sight.
	InstNamed uint8 = 1
	// InstTest marks a test security: its prices are not real.
	InstTest uint8 = 2
)

// Inst is one entry, as it lies in the file behind the version word.
type Inst struct {
	InstrumentID uint32
	PublisherID  uint16
	Class        byte
	Flags        uint8
	RawSymbol    [72]byte
	MinPriceIncr int64
	RoundLot     int32
	Multiplier   int32
	UnitQty      int64
	Display      int64
	Currency     [4]byte
	Decimals     int8
	StatusAction uint8
	Channel      uint16
	MIC          [8]byte
	Group        [12]byte
	SecurityType [4]byte
	Strike       int64
	Activation   uint64
	Expiration   uint64
	DefOffset    uint64
	Updated      uint64
	_            [64]byte
}

const (
	_ = instEntryBytes - 8 - unsafe.Sizeof(Inst{})
	_ = unsafe.Sizeof(Inst{}) - (instEntryBytes - 8)
)

// Symbol is the entry's symbol as text.
func (e *Inst) Symbol() string { return cstring(e.RawSymbol[:]) }

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// InstWriter writes a directory. One goroutine; no call enters the kernel, so it may be used on a lane.
type InstWriter struct {
	f     *sideFile
	mask  uint64
	shift uint
	used  uint64
	most  uint64
	full  error // made beforehand: a lane that is told so may not format
}

// DefaultInstruments is the capacity of a directory: 22,900 instruments at a load of 0.7, 8 MiB.
const DefaultInstruments = 1 << 15

// CreateInst makes a directory of at least capacity entries (rounded up to a power of two, 0: DefaultInstruments),
// replacing one of that name.
func CreateInst(path string, capacity uint64, o SideOptions) (*InstWriter, error) {
	if capacity == 0 {
		capacity = DefaultInstruments
	}
	capacity = uint64(1) << bits.Len64(max(capacity, 16)-1)
	f, err := createSide(path, instMagic, instEntryBytes, capacity, 0, o)
	if err != nil {
		return nil, err
	}
	most := capacity * 7 / 10
	return &InstWriter{
		f: f, mask: capacity - 1, shift: 64 - uint(bits.TrailingZeros64(capacity)), most: most,
		full: fmt.Errorf("ringbuf: directory %s is full with %d instruments; make it larger", path, most),
	}, nil
}

func instKey(publisher uint16, id uint32) uint64 { return uint64(publisher)<<32 | uint64(id) }

func (w *InstWriter) entry(i uint64) unsafe.Pointer {
	return unsafe.Add(w.f.entries(), i*instEntryBytes)
}

// Index finds the entry of an instrument, or makes a nameless one. It returns an error when the directory is full.
func (w *InstWriter) Index(publisher uint16, id uint32) (uint64, error) {
	key := instKey(publisher, id)
	for i := key * 0x9E3779B97F4A7C15 >> w.shift; ; i++ {
		p := w.entry(i & w.mask)
		version := (*uint64)(p)
		if *version == 0 {
			if w.used >= w.most {
				return 0, w.full
			}
			e := Inst{InstrumentID: id, PublisherID: publisher}
			w.store(p, &e)
			w.used++
			atomic.StoreUint64(w.f.m.word(sideCount), w.used)
			return i & w.mask, nil
		}
		if e := (*Inst)(unsafe.Add(p, 8)); e.InstrumentID == id && e.PublisherID == publisher {
			return i & w.mask, nil
		}
	}
}

// store writes an entry so that a reader sees it whole or not at all.
// Fill gives d what the directory has of an instrument beside its symbol, and says whether it has any. Hot path.
func (w *InstWriter) Fill(publisher uint16, id uint32, d *tick.Definition) bool {
	for n, i := uint64(0), instKey(publisher, id)*0x9E3779B97F4A7C15>>w.shift; n <= w.mask; n, i = n+1, i+1 {
		p := w.entry(i & w.mask)
		if *(*uint64)(p) == 0 {
			return false
		}
		e := (*Inst)(unsafe.Add(p, 8))
		if e.InstrumentID != id || e.PublisherID != publisher {
			continue
		}
		if e.Flags&InstNamed == 0 {
			return false
		}
		d.InstrumentClass, d.MinPriceIncrement, d.MinLotSizeRoundLot, d.ContractMultiplier = e.Class, e.MinPriceIncr, e.RoundLot, e.Multiplier
		d.UnitOfMeasureQty, d.DisplayFactor, d.Currency, d.ChannelID = e.UnitQty, e.Display, e.Currency, e.Channel
		copy(d.Exchange[:4], e.MIC[:])
		copy(d.Group[:], e.Group[:11])
		copy(d.SecurityType[:], e.SecurityType[:])
		d.StrikePrice, d.Activation, d.Expiration = e.Strike, e.Activation, e.Expiration
		return true
	}
	return false
}

func (w *InstWriter) store(p unsafe.Pointer, e *Inst) {
	version := (*uint64)(p)
	after := seqlockBegin(version)
	storePayload(unsafe.Add(p, 8), unsafe.Pointer(e), instWords-1)
	seqlockEnd(version, after)
}

// Put enters a definition, over an older one of the instrument. defOffset is its place in .definitions.dbn.
func (w *InstWriter) Put(d *tick.Definition, defOffset uint64) error {
	i, err := w.Index(d.PublisherID, d.InstrumentID)
	if err != nil {
		return err
	}
	p := w.entry(i)
	e := *(*Inst)(unsafe.Add(p, 8))
	e.Class, e.Flags = d.InstrumentClass, InstNamed
	e.RawSymbol = [72]byte{}
	copy(e.RawSymbol[:71], d.RawSymbol[:])
	e.MinPriceIncr, e.RoundLot, e.Multiplier = d.MinPriceIncrement, d.MinLotSizeRoundLot, d.ContractMultiplier
	e.UnitQty, e.Display, e.Currency = d.UnitOfMeasureQty, d.DisplayFactor, d.Currency
	e.Channel = d.ChannelID
	e.MIC = [8]byte{}
	copy(e.MIC[:], d.Exchange[:])
	e.Group = [12]byte{}
	copy(e.Group[:11], d.Group[:])
	e.SecurityType = [4]byte{}
	copy(e.SecurityType[:], d.SecurityType[:])
	e.Strike, e.Activation, e.Expiration = d.StrikePrice, d.Activation, d.Expiration
	e.DefOffset, e.Updated = defOffset, d.TsRecv
	w.store(p, &e)
	return nil
}

// SetStatus keeps an instrument's current status action.
func (w *InstWriter) SetStatus(publisher uint16, id uint32, action uint8) error {
	i, err := w.Index(publisher, id)
	if err != nil {
		return err
	}
	p := w.entry(i)
	e := *(*Inst)(unsafe.Add(p, 8))
	e.StatusAction = action
	w.store(p, &e)
	return nil
}

// Reset empties the directory and begins a new generation: a new session's numbers mean other instruments.
func (w *InstWriter) Reset() {
	atomic.AddUint64(w.f.m.word(sideGeneration), 1) // and again below: whoever reads across a reset starts over
	for i := range w.mask + 1 {
		p := w.entry(i)
		if *(*uint64)(p) != 0 {
			seqlockBegin((*uint64)(p))
			clearWords(unsafe.Add(p, 8), instWords-1)
			atomic.StoreUint64((*uint64)(p), 0)
		}
	}
	w.used = 0
	atomic.StoreUint64(w.f.m.word(sideCount), 0)
	atomic.AddUint64(w.f.m.word(sideGeneration), 1)
}

// Beat is the writer's sign of life, for a housekeeping goroutine.
func (w *InstWriter) Beat() { w.f.beat() }

// Close says that the writer stopped, and unmaps.
func (w *InstWriter) Close() error { return w.f.stop() }

// InstReader reads a directory. Safe for several goroutines.
type InstReader struct {
	f     *sideFile
	mask  uint64
	shift uint
}

// OpenInst maps a directory read-only.
func OpenInst(path string) (*InstReader, error) {
	f, err := openSide(path, instMagic, instEntryBytes)
	if err != nil {
		return nil, err
	}
	capacity := f.capacity()
	if capacity == 0 || capacity&(capacity-1) != 0 {
		f.unmap()
		return nil, fmt.Errorf("ringbuf: %s: capacity %d is no power of two", path, capacity)
	}
	return &InstReader{f: f, mask: capacity - 1, shift: 64 - uint(bits.TrailingZeros64(capacity))}, nil
}

// Lookup copies the entry of an instrument.
func (r *InstReader) Lookup(publisher uint16, id uint32) (Inst, bool) {
	i, ok := r.index(publisher, id)
	if !ok {
		return Inst{}, false
	}
	return r.At(i)
}

func (r *InstReader) index(publisher uint16, id uint32) (uint64, bool) {
	key := instKey(publisher, id)
	for n, i := uint64(0), key*0x9E3779B97F4A7C15>>r.shift; n <= r.mask; n, i = n+1, i+1 {
		e, ok := r.At(i & r.mask)
		if !ok {
			return 0, false
		}
		if e.InstrumentID == id && e.PublisherID == publisher {
			return i & r.mask, true
		}
	}
	return 0, false
}

// At copies the entry at an index below Capacity; false when there is none.
func (r *InstReader) At(i uint64) (Inst, bool) {
	var e Inst
	p := unsafe.Add(r.f.entries(), (i&r.mask)*instEntryBytes)
	ok := loadSeqlock(p, unsafe.Pointer(&e), instWords-1, r.f.m.word(sideGeneration))
	return e, ok
}

// Each calls fn for all entries, in no order.
func (r *InstReader) Each(fn func(index uint64, e *Inst)) {
	for i := range r.mask + 1 {
		if e, ok := r.At(i); ok {
			fn(i, &e)
		}
	}
}

// Capacity is the number of places.
func (r *InstReader) Capacity() uint64 { return r.mask + 1 }

// Count is the number of entries in use.
func (r *InstReader) Count() uint64 { return atomic.LoadUint64(r.f.m.word(sideCount)) }

// Generation counts the sessions that the directory has seen.
func (r *InstReader) Generation() uint64 { return atomic.LoadUint64(r.f.m.word(sideGeneration)) }

// Replaced says that a new file has this name: close and open again.
func (r *InstReader) Replaced() bool { return r.f.replaced() }

// Silence is how long ago the writer showed signs of life.
func (r *InstReader) Silence() time.Duration { return r.f.silence() }

// Close unmaps.
func (r *InstReader) Close() error { return r.f.unmap() }
