package fixbench

import (
	"errors"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/tick"
)

// work is what the stages of a day work with.
type work struct {
	day        *Day
	dictionary *fix.Dictionary
	fields     []fix.Field
	message    fix.Message
	decoder    pipeline.Decoder
	kept       protocol.Kept
	batch      *tick.Batch
	rows       uint64
	seen       int // keeps the compiler from dropping a stage
}

// stages in the order of a Report. Each goes over all messages and says how many it could not take.
var stages = []struct {
	name string
	run  func(w *work) uint64
}{
	{"bytes", (*work).bytes}, {"loop", (*work).loop}, {"scan", (*work).scan}, {"frame", (*work).frame}, {"parse", (*work).parse},
	{"decode", func(w *work) uint64 { return w.decode(false) }}, {"books", func(w *work) uint64 { return w.decode(true) }},
}

func newWork(d *Day) (w *work, err error) {
	w = &work{day: d, fields: make([]fix.Field, 4096)}
	if w.dictionary, err = fix.Builtin(d.Version); err != nil {
		return nil, err
	}
	if w.batch, err = tick.NewBatch(); err != nil {
		return nil, err
	}
	if w.kept, err = protocol.FIX.Keep("levels", 0); err != nil {
		return nil, errors.Join(err, w.batch.Free())
	}
	return w, nil
}

func (w *work) close() {
	_ = w.kept.Close()
	_ = w.batch.Free()
}

// reset makes ready for a stage: decoder and books are new.
func (w *work) reset() (err error) {
	w.kept.Orders.Reset()
	w.kept.Prices.Reset()
	w.batch.Reset()
	w.decoder, err = protocol.FIX.New(protocol.Options{Product: "levels"})
	return err
}

func (w *work) bytes() uint64 {
	for _, raw := range w.day.each {
		for _, c := range raw {
			if c == 1 {
				w.seen++
			}
		}
	}
	return 0
}

func (w *work) loop() (faults uint64) {
	for _, raw := range w.day.each {
		n := plainScan(raw, w.fields)
		if n == 0 || w.fields[n-1].End != uint32(len(raw)-1) {
			faults++
		}
		w.seen += n
	}
	return faults
}

// lengths are the tags of length fields.
var lengths = func() (set [2048]bool) {
	for tag := range set {
		set[tag] = fix.DataTag(uint32(tag)) != 0
	}
	return set
}()

// plainScan is what scan finds, a byte at a time: the same fields, and the same refusals (then 0).
func plainScan(b []byte, dst []fix.Field) (n int) {
	for used := 0; used < len(b); n++ {
		at, tag := used, uint32(0)
		for ; at < len(b) && at-used <= fix.MaxTagDigits && b[at]-'0' <= 9; at++ {
			tag = tag*10 + uint32(b[at]-'0')
		}
		if at == used || at-used > fix.MaxTagDigits || b[used] == '0' || at == len(b) || b[at] != '=' || n == len(dst) {
			return 0
		}
		at++
		end := at
		if n > 0 && dst[n-1].Tag < uint32(len(lengths)) && lengths[dst[n-1].Tag] {
			size, ok := fix.Uint(b[dst[n-1].Start:dst[n-1].End])
			if !ok || size >= uint64(len(b)-at) || fix.DataTag(dst[n-1].Tag) != tag {
				return 0
			}
			if end += int(size); b[end] != 1 {
				return 0
			}
		}
		for end < len(b) && b[end] != 1 {
			end++
		}
		if end == len(b) {
			return 0
		}
		dst[n] = fix.Field{Tag: tag, Start: uint32(at), End: uint32(end)}
		used = end + 1
	}
	return n
}

func (w *work) scan() (faults uint64) {
	for _, raw := range w.day.each {
		n, used, err := fix.Scan(raw, w.fields)
		if err != nil || used != len(raw) {
			faults++
		}
		w.seen += n
	}
	return faults
}

func (w *work) frame() (faults uint64) {
	for _, raw := range w.day.each {
		if _, n, err := fix.Frame(raw, 0); err != nil || n != len(raw) {
			faults++
		}
	}
	return faults
}

func (w *work) parse() (faults uint64) {
	for _, raw := range w.day.each {
		if w.message.Parse(raw, w.dictionary) != nil {
			faults++
		}
	}
	return faults
}

// decode is what a lane does with messages, but for the rings. Passes are emptied when they are full.
func (w *work) decode(books bool) (faults uint64) {
	w.rows = 0
	rest, first := w.day.Bytes, uint64(1)
	for len(rest) > 0 {
		used, n := w.decoder.Append(rest, first, pipeline.PassReplay, w.batch)
		if used == 0 && n == 0 && w.batch.N == 0 {
			return faults + 1 // it takes no more
		}
		rest, first = rest[used:], first+uint64(n)
		if used == 0 || w.batch.N >= pipeline.PassReplay || w.batch.Full() {
			w.flush(books)
		}
	}
	w.flush(books)
	faults = w.decoder.Refused() + w.decoder.(*fix.Decoder).Losses()
	if c := w.kept.Prices.Counters(); books {
		faults += c.Absent + c.PriceMismatch + c.OutOfOrder + c.OverDepth + c.OverInstrument + c.BadSide + c.BadPrice + c.BadCode + c.ZeroSize
	}
	return faults
}

func (w *work) flush(books bool) {
	w.rows += uint64(w.batch.N)
	if books {
		w.kept.Orders.Apply(w.batch, 0, w.batch.N)
		w.kept.Prices.Apply(w.batch, 0, w.batch.N)
	}
	w.batch.Reset()
}
