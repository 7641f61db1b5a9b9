package main

import (
	"encoding/binary"
	"errors"
	"io"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/file"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/dbn"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// scanCapture walks a capture once for what a DBN header must say before the first record: symbols, and the first and
// last time, ns since the Unix epoch. What was found before a fault is given with it.
func scanCapture(path, date string) (names map[uint32]string, first, last uint64, err error) {
	c, err := process.OpenCapture(path, date)
	if err != nil {
		return nil, 0, 0, err
	}
	defer c.Close()
	names = map[uint32]string{}
	midnight := uint64(0)
	message := func(m []byte) {
		if len(m) < 11 || itch.Length(m[0]) == 0 {
			return
		}
		ts := midnight + binary.BigEndian.Uint64(m[3:])&(1<<48-1)
		if first == 0 {
			first = ts
		}
		last = max(last, ts)
		if m[0] == 'R' && len(m) >= 19 {
			names[uint32(binary.BigEndian.Uint16(m[1:]))] = strings.TrimRight(string(m[11:19]), " ")
		}
	}
	walk := func(blocks []byte, count int) {
		for range count {
			n := 2 + int(binary.BigEndian.Uint16(blocks))
			message(blocks[2:n])
			blocks = blocks[n:]
		}
	}
	kind, _, err := nic.Detect(path)
	if err != nil {
		return nil, 0, 0, err
	}
	if kind == nic.FileBinary {
		if midnight, err = c.Midnight(0); err != nil {
			return nil, 0, 0, err
		}
		err = scanDay(path, walk)
	} else {
		err = scanPackets(path, func(p *nic.Packet) {
			if m, err := c.Midnight(p.TsRecv); err == nil {
				midnight = m
			}
			if h, blocks, err := moldudp64.Parse(p.Data); err == nil && h.Count != moldudp64.EndOfSession {
				whole, _ := moldudp64.Walk(blocks, int(h.Count))
				walk(blocks, whole)
			}
		})
	}
	return names, first, last, err
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

func scanPackets(path string, packet func(*nic.Packet)) error {
	r, err := pcap.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	packets := make([]nic.Packet, 64)
	for {
		n, err := r.Poll(packets)
		for i := range packets[:n] {
			packet(&packets[i])
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// captureMetadata is the DBN header of a capture's records.
func captureMetadata(o *convertOptions, names map[uint32]string, first, last uint64) *dbn.Metadata {
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
