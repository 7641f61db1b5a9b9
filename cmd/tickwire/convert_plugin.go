package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// serializer writes rows as a plugin makes bytes of them.
type serializer struct {
	*plugins.Instance
	unit    int
	reads   []string // custom columns
	dst     io.Writer
	rows    uint64
	err     error
	stop    func()
	columns [manifest.MostCustom]int // of the chain
}

// serializes finds the serializer that --to names.
func (g *guests) serializes(name string) (p *guest, unit int, err error) {
	var names []string
	for i := range g.loaded {
		p := &g.loaded[i]
		if unit := p.Unit(manifest.Serializer, name); unit >= 0 {
			return p, unit, nil
		}
		for _, u := range p.Manifest().Kinds {
			if u.Kind == manifest.Serializer {
				names = append(names, u.Name)
			}
		}
	}
	return nil, 0, usageError{fmt.Errorf("--to %q is none of %s, nor of the plugins' serializers (%s)", name, strings.Join(convertFormats, ", "), strings.Join(names, ", "))}
}

// convertRows runs a capture through the pipeline and has a plugin write the rows that are published, in order.
func convertRows(ctx context.Context, o *convertOptions, input process.CaptureOptions, dst, stderr io.Writer) (n uint64, err error) {
	p, unit, err := o.guests.serializes(o.to)
	if err != nil {
		return 0, err
	}
	s := &serializer{unit: unit, dst: dst}
	for _, name := range p.Manifest().Kinds[unit].Reads {
		if _, ok := manifest.ColumnNamed(name); !ok {
			s.reads = append(s.reads, name)
		}
	}
	f, err := process.OpenOffline(o.in, process.OfflineOptions{
		Publisher: o.publisher, Dataset: o.dataset, Capture: input, Only: o.symbols, Plugins: o.guests.place(), Rows: s.take,
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s.stop = f.Stop
	if err := o.guests.join(f, o.publisher); err != nil {
		return 0, err
	}
	if err := s.fits(o.guests.chain); err != nil {
		return 0, err
	}
	publisher := o.publisher
	if publisher == 0 {
		publisher, _ = f.Capture.Records()
	}
	if s.Instance, err = p.Instance(plugins.Env{Params: p.params, Directory: f.Lane.Published(), Publisher: publisher}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if note := f.Capture.DayNote(); note != "" {
		fmt.Fprintln(stderr, "tickwire:", note)
	}
	s.write(s.Begin(unit))
	defer context.AfterFunc(ctx, f.Stop)()
	progress := newProgress(stderr)
	size := f.Capture.Bytes()
	fault := f.Run(func() { progress.bar(filepath.Base(o.in), f.Capture.Progress(), size) })
	if s.err == nil {
		s.write(s.End(unit))
	}
	progress.done()
	for _, line := range f.Summary() {
		fmt.Fprintf(stderr, "tickwire: %s: %s\n", o.in, line)
	}
	o.guests.tell(stderr, o.in)
	if n := s.Cut; n > 0 {
		m := p.Manifest()
		fmt.Fprintf(stderr, "tickwire: %s: plugin %s %s: %d texts were cut: they are longer than the plugin's column\n", o.in, m.Name, m.Version, n)
	}
	if fault != nil && s.err == nil {
		return s.rows, errors.Join(inputFault{fault}, ctx.Err())
	}
	return s.rows, errors.Join(s.err, ctx.Err())
}

// fits finds the custom columns that the serializer reads among the chain's.
func (s *serializer) fits(chain *plugins.Chain) error {
	var have []manifest.Custom
	if chain != nil {
		have = chain.CustomColumns()
	}
	for i, name := range s.reads {
		s.columns[i] = -1
		for k, c := range have {
			if c.Name == name {
				s.columns[i] = k
			}
		}
		if s.columns[i] < 0 {
			return fmt.Errorf("the serializer reads column %s, which no plugin of --plugin adds", name)
		}
	}
	return nil
}

// take is pipeline.Config.Rows.
func (s *serializer) take(b *tick.Batch, from, n int, chain *plugins.Chain) {
	var sides *plugins.Sides
	if chain != nil && len(s.reads) > 0 {
		sides = &plugins.Sides{}
		for i := range s.reads {
			sides.Custom[i] = chain.Custom[s.columns[i]]
		}
	}
	for most := s.Rows(s.unit); n > 0 && s.err == nil; {
		k := min(n, most)
		s.Now = b.TsRecv[from&tick.RowMask]
		s.write(s.Serialize(s.unit, b, from, k, sides))
		from, n, s.rows = from+k, n-k, s.rows+uint64(k)
	}
}

// write writes what a call gave, and stops the run at the first error.
func (s *serializer) write(b []byte, err error) {
	if err == nil {
		_, err = s.dst.Write(b)
	}
	if err != nil && s.err == nil {
		s.err = err
		s.stop()
	}
}
