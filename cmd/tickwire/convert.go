package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/dbn"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/format"
	"github.com/tickwire/tickwire/tick"
)

func convertCommand() *cobra.Command {
	var o convertOptions
	c := &cobra.Command{
		Use: "convert IN --to dbn|parquet|csv|json --out OUT", Short: "write a capture's records as another format", Args: exactly(1),
		Long: `convert runs a capture through the whole pipeline, or reads a DBN file of any version, and writes the records of one
schema: DBN version 3 (under zstd when OUT ends in .zst), Parquet, CSV, or JSON lines. OUT "-" is standard output. What exists
is written over only when everything went well.

Prices are decimals and times ISO 8601 with nanoseconds in CSV and JSON; in Parquet prices are DECIMAL(19,9) and times
integers of nanoseconds. --raw gives the integers of the records instead.

With --plugin the rows of a capture pass plugins before they become records, as a feed's do; --to may name a serializer among them, which
writes the rows themselves (docs/plugins-sql.md).`,
		Example: `  tickwire convert day.itch.gz --to dbn --out day.mbo.dbn.zst
  tickwire convert day.pcap --to parquet --schema trades --out trades.parquet`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.in, o.schemaSet = args[0], cmd.Flags().Changed("schema")
			if err := o.check(); err != nil {
				return usageError{err}
			}
			return convert(cmd.Context(), &o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.StringVar(&o.to, "to", "", "dbn, parquet, csv or json, or the name of a serializer among the plugins")
	f.StringVarP(&o.out, "out", "o", "", "file to write, or - for standard output")
	f.StringVar(&o.schema, "schema", "mbo", "mbo, mbp-1, mbp-10, trades, status, imbalance, statistics or definition")
	f.StringSliceVar(&o.symbols, "symbols", nil, "only these, with commas between (needed for mbp-10 of a capture)")
	o.input.flags(c)
	f.Uint16Var(&o.publisher, "publisher", 0, "DBN publisher id of a capture's records (default: that of the capture's market, or the protocol's)")
	f.StringVar(&o.dataset, "dataset", "", "DBN dataset of a capture's records (default: that of the capture's market, or the protocol's)")
	o.guests.flags(c)
	f.BoolVar(&o.raw, "raw", false, "integers as they are in the records")
	return c
}

type convertOptions struct {
	in, to, out, schema, dataset string
	input                        input
	symbols                      []string
	publisher                    uint16
	raw                          bool
	guests                       guests
	schemaSet                    bool
}

// sources says which ring has a schema's records, and their type.
var sources = map[string]struct {
	kind  ringbuf.Kind
	rtype uint8
}{
	"mbo": {ringbuf.KindMbo, tick.RTypeMbo}, "mbp-1": {ringbuf.KindMbp1, tick.RTypeMbp1}, "mbp-10": {ringbuf.KindMbp10, tick.RTypeMbp10},
	"trades": {ringbuf.KindTrades, tick.RTypeTrade}, "status": {ringbuf.KindEvents, tick.RTypeStatus},
	"imbalance": {ringbuf.KindEvents, tick.RTypeImbalance}, "statistics": {ringbuf.KindEvents, tick.RTypeStatistics},
	"definition": {ringbuf.KindEvents, tick.RTypeDefinition},
}

// convertFormats are ours.
var convertFormats = []string{"dbn", "parquet", "csv", "json"}

// ours says that the format is not a plugin's.
func (o *convertOptions) ours() bool { return slices.Contains(convertFormats, o.to) }

func (o *convertOptions) check() error {
	var faults []error
	if !o.ours() && len(o.guests.paths) == 0 {
		faults = append(faults, fmt.Errorf("--to %q is none of %s, and there is no --plugin that could be a serializer of this name", o.to, strings.Join(convertFormats, ", ")))
	}
	if !o.ours() && (o.raw || o.schemaSet) {
		faults = append(faults, errors.New("--schema and --raw are about records: a plugin's serializer writes rows"))
	}
	if o.out == "" {
		faults = append(faults, errors.New("--out is missing: a file, or - for standard output"))
	}
	if _, ok := sources[o.schema]; !ok {
		faults = append(faults, fmt.Errorf("--schema %q is unknown", o.schema))
	}
	if len(o.dataset) > 15 {
		faults = append(faults, fmt.Errorf("--dataset %q has more than 15 characters", o.dataset))
	}
	return errors.Join(faults...)
}

// what is counted.
func (o *convertOptions) what() string {
	if o.ours() {
		return o.schema + " records"
	}
	return "rows"
}

// inputFault is an input that could not be read to its end: what came before is written all the same.
type inputFault struct{ error }

func (f inputFault) Unwrap() error { return f.error }

// convert writes into a file beside the wanted one and renames it at the end: nobody takes half an output for a whole.
func convert(ctx context.Context, o *convertOptions, stdout, stderr io.Writer) (err error) {
	kind, _, err := nic.Detect(o.in)
	if err != nil {
		return err
	}
	var dst io.Writer = stdout
	if o.out != "-" {
		f, err := os.CreateTemp(filepath.Dir(o.out), "."+filepath.Base(o.out)+".*")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name()) // after the rename there is nothing to remove
		defer f.Close()
		dst = f
		defer func() {
			var input inputFault
			if err == nil || errors.As(err, &input) {
				err = errors.Join(err, f.Chmod(0o644), f.Close(), os.Rename(f.Name(), o.out))
			}
		}()
	}
	buffered := bufio.NewWriterSize(dst, 1<<18)
	var n uint64
	if kind == nic.FileDBN && len(o.guests.paths)+len(o.guests.params) > 0 {
		return usageError{errors.New("--plugin is for captures: what is in a DBN file are records, no rows")}
	}
	if kind == nic.FileDBN {
		n, err = convertDBN(ctx, o, buffered)
	} else {
		n, err = convertCapture(ctx, o, buffered, stderr)
	}
	if err = errors.Join(err, buffered.Flush()); err != nil {
		var input inputFault
		if errors.As(err, &input) {
			return inputFault{fmt.Errorf("%w; %d %s before it are written", err, n, o.what())}
		}
		if o.out != "-" {
			return fmt.Errorf("%w; %s is not written", err, o.out)
		}
		return err
	}
	if o.out != "-" {
		fmt.Fprintf(stderr, "%s: %d %s\n", o.out, n, o.what())
	}
	return nil
}

// sink takes version 3 records of one type.
type sink interface {
	record(rec []byte) error
	close() error
}

func (o *convertOptions) sink(dst io.Writer, meta *dbn.Metadata) (sink, error) {
	if o.to == "dbn" {
		w, err := dbn.NewWriter(dst, meta, strings.HasSuffix(o.out, ".zst"))
		return dbnSink{w}, err
	}
	return newRowSink(dst, o), nil
}

type dbnSink struct{ w *dbn.Writer }

func (s dbnSink) record(rec []byte) error { return s.w.Write(rec) }
func (s dbnSink) close() error            { return s.w.Close() }

// rowSink gathers records into chunks that another goroutine writes as a result's rows.
type rowSink struct {
	names  map[string]string
	cols   []dbn.Column
	out    []sqlgw.Column
	raw    bool
	chunk  *sqlgw.Chunk
	chunks chan *sqlgw.Chunk
	done   chan error
	ended  error
}

const sinkRows = 4096

func newRowSink(dst io.Writer, o *convertOptions) *rowSink {
	s := &rowSink{cols: dbn.Columns(sources[o.schema].rtype), raw: o.raw, chunks: make(chan *sqlgw.Chunk, 2), done: make(chan error, 1)}
	for i := range s.cols {
		s.out = append(s.out, resultColumn(&s.cols[i], o))
	}
	s.fresh()
	go func() {
		_, err := format.Write(context.Background(), dst, o.to, s)
		for range s.chunks { // after a fault the producer must not hang
		}
		s.done <- err
	}()
	return s
}

// resultColumn is how a record's column is shown. Unsigned integers of 64 bits that may not fit into 63 are decimals.
func resultColumn(c *dbn.Column, o *convertOptions) sqlgw.Column {
	out := sqlgw.Column{Name: c.Name, Kind: sqlgw.Int8, Mod: -1}
	switch {
	case c.Kind == dbn.ColumnChar || c.Kind == dbn.ColumnText:
		out.Kind = sqlgw.Text
	case c.Kind == dbn.ColumnPrice && !o.raw:
		out.Kind, out.Width, out.Scale = sqlgw.Numeric, 19, 9
	case c.Kind == dbn.ColumnTime && !o.raw && o.to != "parquet":
		out.Kind = sqlgw.Text
	case c.Kind == dbn.ColumnUint && c.Width == 8:
		out.Kind, out.Width = sqlgw.Numeric, 20
	}
	return out
}

func (s *rowSink) fresh() {
	s.chunk = &sqlgw.Chunk{Vectors: make([]sqlgw.Vector, len(s.cols))}
	for i := range s.out {
		v := &s.chunk.Vectors[i]
		v.Null = make([]bool, 0, sinkRows)
		if s.out[i].Kind == sqlgw.Text {
			v.Str = make([]string, 0, sinkRows)
		} else {
			v.I64 = make([]int64, 0, sinkRows)
		}
		if s.out[i].Kind == sqlgw.Numeric {
			v.Hi = make([]int64, 0, sinkRows)
		}
	}
}

func (s *rowSink) record(rec []byte) error {
	for i := range s.cols {
		c, v, kind := &s.cols[i], &s.chunk.Vectors[i], s.out[i].Kind
		var text string
		var n int64
		none := false
		if c.Kind == dbn.ColumnChar || c.Kind == dbn.ColumnText {
			text = c.Text(rec)
			none = text == ""
		} else {
			n, none = c.Int(rec)
			none = none && !s.raw
			if kind == sqlgw.Text && !none {
				text = time.Unix(0, n).UTC().Format("2006-01-02T15:04:05.000000000Z")
			}
		}
		v.Null = append(v.Null, none)
		switch kind {
		case sqlgw.Text:
			v.Str = append(v.Str, text)
		case sqlgw.Numeric:
			hi := n >> 63
			if c.Kind == dbn.ColumnUint {
				hi = 0 // the sign bit is a digit
			}
			v.I64, v.Hi = append(v.I64, n), append(v.Hi, hi)
		default:
			v.I64 = append(v.I64, n)
		}
	}
	if s.chunk.Rows++; s.chunk.Rows < sinkRows {
		return nil
	}
	return s.send()
}

func (s *rowSink) send() error {
	select {
	case s.chunks <- s.chunk:
		s.fresh()
		return nil
	case err := <-s.done:
		s.done <- err
		return err
	}
}

func (s *rowSink) close() error {
	if s.chunk.Rows > 0 {
		s.chunks <- s.chunk
	}
	close(s.chunks)
	return <-s.done
}

// Columns, Next, Tag and Close make the sink a result for package format.
func (s *rowSink) Columns() []sqlgw.Column { return s.out }
func (s *rowSink) Tag() string             { return "SELECT" }
func (s *rowSink) Close() error            { return nil }

func (s *rowSink) Next(context.Context) (*sqlgw.Chunk, error) {
	c, ok := <-s.chunks
	if !ok {
		return nil, io.EOF
	}
	return c, nil
}

// convertDBN reads a DBN file. Records of other schemas in it are left out, and said so.
func convertDBN(ctx context.Context, o *convertOptions, dst io.Writer) (n uint64, err error) {
	f, err := os.Open(o.in)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r, err := dbn.NewReader(bufio.NewReaderSize(f, 1<<18))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	meta := *r.Metadata()
	rtype := sources[o.schema].rtype
	wanted := map[uint32]bool{}
	if len(o.symbols) > 0 {
		for _, m := range meta.Mappings {
			for _, iv := range m.Intervals {
				if id, err := strconv.ParseUint(iv.Symbol, 10, 32); err == nil && slices.Contains(o.symbols, m.RawSymbol) {
					wanted[uint32(id)] = true
				}
			}
		}
		if len(wanted) == 0 {
			return 0, fmt.Errorf("%s maps none of the symbols %s", o.in, strings.Join(o.symbols, ", "))
		}
	}
	meta.Version, meta.TsOut = 3, false
	if schema, err := dbn.ParseSchema(o.schema); err == nil {
		meta.Schema = schema
	}
	s, err := o.sink(dst, &meta)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	others := uint64(0)
	for ctx.Err() == nil {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			if n == 0 && others > 0 {
				return 0, fmt.Errorf("%s has no %s records, but %d of other types: --schema picks them", o.in, o.schema, others)
			}
			return n, nil
		}
		if err != nil {
			return n, inputFault{err}
		}
		h := dbn.Header(rec)
		if h.RType != rtype {
			others++
			continue
		}
		if len(wanted) > 0 && !wanted[h.InstrumentID] {
			continue
		}
		if r.TsOut() {
			rec = rec[:len(rec)-8]
			rec[0] -= 2
		}
		if err := s.record(rec); err != nil {
			return n, err
		}
		n++
	}
	return n, ctx.Err()
}

// convertCapture runs a capture through the pipeline and reads the one ring that has the schema's records.
func convertCapture(ctx context.Context, o *convertOptions, dst io.Writer, stderr io.Writer) (n uint64, err error) {
	if err := o.guests.openHere(stderr); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, o.guests.close()) }()
	input := o.input.options()
	if err := o.guests.reads(&input); err != nil {
		return 0, err
	}
	if !o.ours() {
		return convertRows(ctx, o, input, dst, stderr)
	}
	source := sources[o.schema]
	run := process.OfflineOptions{
		Kinds: []ringbuf.Kind{source.kind}, Publisher: o.publisher, Dataset: o.dataset, Capture: input, Only: o.symbols, Plugins: o.guests.place(),
	}
	if o.schema == "mbp-10" {
		if len(o.symbols) == 0 {
			return 0, usageError{errors.New("--schema mbp-10 of a capture needs --symbols: ten levels are kept for those that are asked for")}
		}
		run.Depth = o.symbols
	}
	found, err := scanCapture(o.in, input)
	if err != nil && (found == nil || len(found.names) == 0 && found.first == 0) {
		return 0, err
	}
	if o.dataset == "" {
		o.dataset = found.dataset
	}
	f, err := process.OpenOffline(o.in, run)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := o.guests.join(f, run.Publisher); err != nil {
		return 0, err
	}
	if note := f.Capture.DayNote(); note != "" {
		fmt.Fprintln(stderr, "tickwire:", note)
	}
	s, err := o.sink(dst, captureMetadata(o, found))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	stop := context.AfterFunc(ctx, f.Stop)
	defer stop()
	p := newProgress(stderr)
	ran := make(chan error, 1)
	reader, err := openGated(f.Writers[source.kind])
	if err != nil {
		return 0, err
	}
	defer reader.close()
	size := f.Capture.Bytes()
	go func() {
		ran <- f.Run(func() { p.bar(filepath.Base(o.in), f.Capture.Progress(), size) })
		reader.ended.Store(true)
	}()
	n, err = reader.drain(source.rtype, s)
	if err != nil {
		f.Stop()
		f.Writers[source.kind].Gate(nil)
	}
	if fault := <-ran; fault != nil {
		err = errors.Join(err, inputFault{fault})
	}
	p.done()
	if o.schema == "definition" {
		var more error
		n, more = copyDefinitions(f, s)
		err = errors.Join(err, more)
	}
	for _, line := range f.Summary() {
		fmt.Fprintf(stderr, "tickwire: %s: %s\n", o.in, line)
	}
	o.guests.tell(stderr, o.in)
	return n, errors.Join(err, ctx.Err())
}

// gatedReader reads a private ring and moves its gate.
type gatedReader struct {
	r        *ringbuf.Reader
	w        *ringbuf.Writer
	progress atomic.Uint64
	ended    atomic.Bool // the writer is done
}

func openGated(w *ringbuf.Writer) (*gatedReader, error) {
	r, err := ringbuf.Open(w.Path(), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	if err != nil {
		return nil, err
	}
	g := &gatedReader{r: r, w: w}
	g.progress.Store(r.Next())
	w.Gate(&g.progress)
	return g, nil
}

func (g *gatedReader) close() {
	g.w.Gate(nil)
	_ = g.r.Close()
}

// drain hands every record of a type to the sink until the writer is done and everything was read.
func (g *gatedReader) drain(rtype uint8, s sink) (n uint64, err error) {
	size := g.r.Kind().PayloadBytes()
	const batch = 1024
	words := make([]uint64, batch*size/8)
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
	for {
		ended := g.ended.Load() // before the poll: what was published before the end is seen by it
		got, _, st := g.r.PollInto(unsafe.Pointer(&words[0]), batch)
		for i := range got {
			rec := bytes[i*size : (i+1)*size]
			if rec[1] != rtype {
				continue
			}
			if err := s.record(rec[:4*int(rec[0])]); err != nil {
				return n, err
			}
			n++
		}
		g.progress.Store(g.r.Next())
		switch {
		case st == ringbuf.Overrun || g.r.Lost() > 0:
			return n, fmt.Errorf("%d records were lost between pipeline and file: this is a defect", g.r.Lost())
		case got == 0 && ended:
			return n, nil
		case got == 0:
			g.r.Wait(time.Millisecond)
		}
	}
}

// copyDefinitions hands the definitions file's records to the sink.
func copyDefinitions(f *process.Offline, s sink) (n uint64, err error) {
	file, err := os.Open(ringbuf.SidePath(f.Dir, process.OfflineInstance, process.OfflineFeed, process.OfflineLane, ringbuf.ExtDefinitions))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	r, err := dbn.NewReader(bufio.NewReader(file))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if err := s.record(rec); err != nil {
			return n, err
		}
		n++
	}
}
