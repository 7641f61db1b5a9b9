package main

import (
	"bytes"
	"errors"
	"io"
	"sort"
	"strconv"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/file"
	"github.com/tickwire/tickwire/parsers/dbn"
	"github.com/tickwire/tickwire/tick"
)

// scanCapture walks a capture once for what a DBN header must say before the first record: symbols, and the first and
// last time, ns since the Unix epoch. What was found before a fault is given with it.
func scanCapture(path string, o process.CaptureOptions) (s *scan, err error) {
	c, err := process.OpenCapture(path, o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s = &scan{protocol: c.Protocol(), names: map[uint32]string{}}
	_, s.dataset = c.Records()
	if s.batch, err = tick.NewBatch(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.batch.Free()) }()
	kind, _, err := nic.Detect(path)
	if err != nil {
		return nil, err
	}
	if kind == nic.FileBinary {
		midnight, err := c.Midnight(0)
		if err != nil {
			return nil, err
		}
		decoder, err := c.Decoder()
		if err != nil {
			return nil, err
		}
		decoder.Start(midnight)
		return s, scanDay(path, func(span []byte, count int) { s.walk(decoder, span, count) })
	}
	if kind == nic.FileFIX {
		decoder, err := c.Decoder()
		if err != nil {
			return nil, err
		}
		return s, scanMessages(path, func(msg []byte, count int) { s.walk(decoder, msg, count) })
	}
	return s, c.Scan(func(d pipeline.Decoder) session.Sink { return &scanSink{scan: s, capture: c, decoder: d} })
}

// scanSink walks what one channel delivers.
type scanSink struct {
	*scan
	capture *process.Capture
	decoder pipeline.Decoder
	started bool
}

func (k *scanSink) Messages(blocks []byte, _ uint64, count int, at session.Arrival) {
	if m, err := k.capture.Midnight(at.TsRecv); err == nil && !k.started {
		k.started = true
		k.decoder.Start(m)
	}
	k.walk(k.decoder, blocks, count)
}

func (k *scanSink) SessionStart([10]byte) { k.started = false }
func (k *scanSink) Gap(session.Gap)       {}
func (k *scanSink) SessionEnd([10]byte)   {}

// scan is what a capture says of itself.
type scan struct {
	protocol    *protocol.Protocol
	dataset     string
	names       map[uint32]string
	first, last uint64

	batch *tick.Batch
}

// walk looks at whole messages: their times, and what they define.
func (s *scan) walk(decoder pipeline.Decoder, blocks []byte, count int) {
	b := s.batch
	for count > 0 {
		used, n := decoder.Append(blocks, 1, count, b)
		for i := range b.N {
			if ts := b.TsEvent[i]; ts != 0 {
				if s.first == 0 {
					s.first = ts
				}
				s.last = max(s.last, ts)
			}
			if b.Kind[i] == tick.KindDefinition {
				first, n := tick.SplitSideRows(b.Aux[i])
				for k := first; k < first+n; k++ {
					d := &b.Definitions[k]
					s.names[d.InstrumentID] = string(bytes.TrimRight(d.RawSymbol[:], "\x00 "))
				}
			}
		}
		if used == 0 && n == 0 && b.N == 0 {
			return
		}
		b.Reset()
		blocks, count = blocks[used:], count-n
	}
}

func scanDay(path string, walk func(blocks []byte, count int)) error {
	r, err := file.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		span, _, count, err := r.Next(1 << 16)
		walk(span, count)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func scanMessages(path string, walk func(blocks []byte, count int)) error {
	m, err := process.OpenMessages(path)
	if err != nil {
		return err
	}
	defer m.Close()
	for {
		msg, err := m.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		walk(msg, 1)
	}
}

// captureMetadata is the DBN header of a capture's records.
func captureMetadata(o *convertOptions, s *scan) *dbn.Metadata {
	names, first, last := s.names, s.first, s.last
	schema, _ := dbn.ParseSchema(o.schema) // checked with the command line
	m := &dbn.Metadata{
		Version: 3, Dataset: o.dataset, Schema: schema, Start: first, End: last + 1, STypeIn: dbn.STypeRawSymbol, STypeOut: dbn.STypeInstrumentID,
	}
	day := time.Unix(0, int64(first)).UTC()
	number := func(t time.Time) uint32 { return uint32(t.Year()*10000 + int(t.Month())*100 + t.Day()) }
	wanted := map[string]bool{}
	for _, s := range o.symbols {
		wanted[s] = true
	}
	for id, symbol := range names {
		if len(wanted) > 0 && !wanted[symbol] {
			continue
		}
		m.Symbols = append(m.Symbols, symbol)
		m.Mappings = append(m.Mappings, dbn.Mapping{RawSymbol: symbol, Intervals: []dbn.Interval{
			{Start: number(day), End: number(time.Unix(0, int64(last)).UTC().AddDate(0, 0, 1)), Symbol: strconv.FormatUint(uint64(id), 10)},
		}})
	}
	sort.Strings(m.Symbols)
	sort.Slice(m.Mappings, func(i, j int) bool { return m.Mappings[i].RawSymbol < m.Mappings[j].RawSymbol })
	return m
}
