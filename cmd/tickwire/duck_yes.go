//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
	"github.com/tickwire/tickwire/sqlgw/duck"
	"github.com/tickwire/tickwire/store"
)

const haveDuckDB = true

// engineOver opens DuckDB over a store, with the catalogue.
func engineOver(s *store.Store, threads int, users []string, g *guests) (*duck.Engine, error) {
	statements, err := catalog.Build(catalog.Options{Tables: catalog.Of(s.Tables()), Users: users})
	if err != nil {
		return nil, err
	}
	o := duck.Options{Store: s, Threads: threads, Init: statements, NoAggregates: g.noAggregates}
	for _, p := range g.loaded {
		o.Plugins = append(o.Plugins, duck.Guest{Plugin: p.Plugin, Params: p.params})
	}
	return duck.Open(o)
}

// local asks an engine in this process.
type local struct {
	engine *duck.Engine
	conn   sqlgw.Conn
	store  *store.Store
	stmt   sqlgw.Stmt
	guests *guests // nil: none
}

func (l *local) ask(ctx context.Context, statement string) (sqlgw.Rows, error) {
	if l.stmt != nil {
		if err := l.stmt.Close(); err != nil {
			return nil, err
		}
		l.stmt = nil
	}
	stmt, err := l.conn.Prepare(ctx, statement, nil)
	if err != nil {
		return nil, err
	}
	if n := len(stmt.Params()); n > 0 {
		return nil, errors.Join(&sqlgw.Error{State: "42P02", Message: "there is no parameter $1 here: write the value"}, stmt.Close())
	}
	l.stmt = stmt
	return stmt.Query(ctx, nil)
}

func (l *local) close() error {
	var errs []error
	if l.stmt != nil {
		errs = append(errs, l.stmt.Close())
	}
	errs = append(errs, l.conn.Close(), l.engine.Close(), l.store.Close())
	if l.guests != nil {
		errs = append(errs, l.guests.close())
	}
	return errors.Join(errs...)
}

// tablesNamed finds the tables that a statement may read: by the words in it. Without a statement it is all of them.
func tablesNamed(statement string) []string {
	if statement == "" {
		return nil
	}
	var names []string
	words := strings.FieldsFunc(strings.ToLower(statement), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_')
	})
	known := store.Tables()
	for _, w := range words {
		for _, need := range duck.Needs(w) {
			if !slices.Contains(names, need) && slices.ContainsFunc(known, func(t *store.Table) bool { return t.Name == need }) {
				names = append(names, need)
			}
		}
	}
	if len(names) == 0 {
		names = []string{"definitions"} // the statement reads no table of events: the smallest is enough
	}
	return names
}

// capture runs a capture through the pipeline into a store and opens an engine over it. With an error and an asker the
// capture could not be read to its end.
func (o *sqlOptions) capture(ctx context.Context, errs io.Writer) (a asker, err error) {
	if err := o.guests.openHere(errs); err != nil {
		return nil, err
	}
	defer func() {
		if a == nil {
			err = errors.Join(err, o.guests.close())
		}
	}()
	memory, err := o.memoryBytes()
	if err != nil {
		return nil, err
	}
	input := o.input.options()
	if err := o.guests.reads(&input); err != nil {
		return nil, err
	}
	tables := tablesNamed(o.statement)
	run := process.OfflineOptions{
		Kinds: store.Rings(tables), Publisher: o.publisher, Dataset: o.dataset, Capture: input, Only: o.symbols,
	}
	if slices.Contains(run.Kinds, ringbuf.KindMbp10) {
		if run.Depth = o.symbols; len(o.symbols) == 0 {
			if slices.Contains(tables, "depth") {
				return nil, usageError{errors.New("table depth needs --symbols: ten levels are kept for those that are asked for")}
			}
			run.Kinds = slices.DeleteFunc(run.Kinds, func(k ringbuf.Kind) bool { return k == ringbuf.KindMbp10 })
		}
	}
	if o.between != "" {
		midnight, err := midnightOf(o.from, input)
		if err != nil {
			return nil, err
		}
		if run.From, run.To, err = o.window(midnight); err != nil {
			return nil, err
		}
	}
	s, err := store.Open(store.Options{Memory: memory, Tables: tables, Custom: o.guests.custom()})
	if err != nil {
		return nil, usageError{err}
	}
	fault := o.fill(ctx, s, run, errs)
	if fault != nil && s.Rows.Load() == 0 {
		return nil, errors.Join(fault, s.Close())
	}
	if n := s.Evicted.Load(); n > 0 {
		fmt.Fprintf(errs, "tickwire: memory's bound is reached: the oldest %d rows have left, answers are about the rest (--memory, --symbols, --between)\n", n)
	}
	engine, err := engineOver(s, 0, nil, &o.guests)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	conn, err := engine.Connect(ctx)
	if err != nil {
		return nil, errors.Join(err, engine.Close(), s.Close())
	}
	return &local{engine: engine, conn: conn, store: s, guests: &o.guests}, fault
}

// fill runs the capture to its end.
func (o *sqlOptions) fill(ctx context.Context, s *store.Store, run process.OfflineOptions, errs io.Writer) (err error) {
	run.Plugins = o.guests.place()
	f, err := process.OpenOffline(o.from, run)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), o.guests.leave()) }()
	if err := o.guests.join(f, run.Publisher); err != nil {
		return err
	}
	if note := f.Capture.DayNote(); note != "" {
		fmt.Fprintln(errs, "tickwire:", note)
	}
	entry := ringbuf.Entry{Instance: process.OfflineInstance, Feed: process.OfflineFeed, Lane: process.OfflineLane}
	follower, err := s.FollowPrivate(f.Dir, entry, f.Writers)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, f.Stop)()
	p := newProgress(errs)
	size := f.Capture.Bytes()
	err = f.Run(func() { p.bar(filepath.Base(o.from), f.Capture.Progress(), size) })
	follower.Drain()
	follower.Close()
	p.done()
	for _, line := range f.Summary() {
		fmt.Fprintf(errs, "tickwire: %s: %s\n", o.from, line)
	}
	o.guests.tell(errs, o.from)
	return errors.Join(err, ctx.Err())
}
