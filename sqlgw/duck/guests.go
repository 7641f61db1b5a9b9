//go:build cgo

package duck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
)

// Functions and aggregates of plugins are DuckDB's own, by its C interface:
//
//	chunk of up to 2,048 rows ──► columns in a plugin's memory ──► one call a max_rows ──► result vector
//	                                                               an instance a thread, out of a pool
//
// A call that fails ends the query with the plugin's name and version, and the instance with it; other queries go on. A plugin is never taken out here: what one
// session asks must not take a function from the others.

// Guest is a plugin whose functions and aggregates SQL has. The engine does not own the plugin, which outlives it.
type Guest struct {
	Plugin *plugins.Plugin
	Params []byte // as Manifest.Values gives them; nil: the defaults
}

// pool has the instances of a guest: one a thread that works, made when it is needed.
type pool struct {
	Guest
	room chan struct{} // a token for each instance that is out
	idle chan *hand
}

// hand is an instance with what a thread needs at it.
type hand struct {
	*plugins.Instance
	rows   []int // of a chunk that the plugin is asked about
	nulls  []int // of the result
	groups map[state]uint32
	states []state
}

func newPool(g Guest, threads int) *pool {
	return &pool{Guest: g, room: make(chan struct{}, threads), idle: make(chan *hand, threads)}
}

// get gives an instance, and waits for one when as many as threads are out: whoever has one gives it back after one chunk.
func (p *pool) get() (*hand, error) {
	p.room <- struct{}{}
	now := uint64(time.Now().UnixNano())
	select {
	case h := <-p.idle:
		h.Now = now
		return h, nil
	default:
	}
	i, err := p.Plugin.Instance(plugins.Env{Params: p.Params, Now: now})
	if err != nil {
		<-p.room
		return nil, said(err)
	}
	return &hand{Instance: i, groups: map[state]uint32{}}, nil
}

func (p *pool) put(h *hand) {
	if h.Dead() {
		_ = h.Close() // of memory alone: why it is dead was said
	} else {
		p.idle <- h
	}
	<-p.room
}

// close ends idle instances: no query runs any more.
func (p *pool) close() error {
	var errs []error
	for {
		select {
		case h := <-p.idle:
			errs = append(errs, h.Shutdown(), h.Close())
		default:
			return errors.Join(errs...)
		}
	}
}

// guest is one function or aggregate.
type guest struct {
	*pool
	unit int
	u    *manifest.Unit
}

func (g *guest) String() string {
	m := g.Plugin.Manifest()
	return fmt.Sprintf("plugin %s %s: %s %s", m.Name, m.Version, g.u.Kind, g.u.Name)
}

// wrong is an error about an argument or a result.
func (g *guest) wrong(format string, a ...any) error {
	return fmt.Errorf("%s: %s", g, fmt.Sprintf(format, a...))
}

// invite registers what the guests have. A name that SQL has already is refused: it would change what statements mean.
func (e *Engine) invite(c *Conn, guests []Guest, noAggregates bool) error {
	for _, g := range guests {
		p := newPool(g, e.threads)
		e.pools = append(e.pools, p)
		m := g.Plugin.Manifest()
		for k := range m.Kinds {
			one := &guest{pool: p, unit: k, u: &m.Kinds[k]}
			register := e.registerFunction
			switch one.u.Kind {
			case manifest.Function:
			case manifest.Aggregate:
				if noAggregates {
					continue
				}
				register = e.registerAggregate
			default:
				continue
			}
			taken, err := c.has("SELECT 1 FROM duckdb_functions() WHERE function_name = '" + one.u.Name + "' LIMIT 1") // a-z, 0-9 and _: manifest
			if err != nil {
				return err
			}
			if taken {
				return one.wrong("SQL has a function of that name already")
			}
			if err := register(c, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// has says whether a statement has rows.
func (c *Conn) has(sql string) (bool, error) {
	s, err := c.Prepare(context.Background(), sql, nil)
	if err != nil {
		return false, err
	}
	defer s.Close()
	rows, err := s.Query(context.Background(), nil)
	if err != nil {
		return false, err
	}
	chunk, _ := rows.Next(context.Background())
	return chunk != nil && chunk.Rows > 0, rows.Close()
}

// sqlType is how SQL sees a type of the ABI. Integers of any width are bigint, and so is time, ns since 1970: as in columns ts_ns and ts_recv_ns.
func sqlType(t manifest.Type) mapping.LogicalType {
	switch t {
	case manifest.F64:
		return mapping.CreateLogicalType(mapping.TypeDouble)
	case manifest.Price:
		return mapping.CreateDecimalType(18, 9)
	case manifest.Bool:
		return mapping.CreateLogicalType(mapping.TypeBoolean)
	case manifest.Str:
		return mapping.CreateLogicalType(mapping.TypeVarchar)
	}
	return mapping.CreateLogicalType(mapping.TypeBigInt)
}

// register makes the scalar function.
func (e *Engine) registerFunction(c *Conn, g *guest) error {
	if h, err := g.get(); err != nil { // one that cannot start is told now, not by the first query
		return err
	} else {
		g.put(h)
	}
	f := mapping.CreateScalarFunction()
	defer mapping.DestroyScalarFunction(&f)
	mapping.ScalarFunctionSetName(f, g.u.Name)
	for _, t := range g.u.Args {
		l := sqlType(t)
		mapping.ScalarFunctionAddParameter(f, l)
		mapping.DestroyLogicalType(&l)
	}
	l := sqlType(g.u.Returns)
	mapping.ScalarFunctionSetReturnType(f, l)
	mapping.DestroyLogicalType(&l)
	mapping.ScalarFunctionSetSpecialHandling(f) // NULLs come here too: some plugins see them
	if g.u.Volatile {
		mapping.ScalarFunctionSetVolatile(f)
	}
	mapping.ScalarFunctionSetExtraInfo(f, keep(g), deleteCallback)
	mapping.ScalarFunctionSetFunction(f, functionCallback)
	if mapping.RegisterScalarFunction(c.conn, f) == mapping.StateError {
		return g.wrong("DuckDB refuses it")
	}
	return nil
}

// function computes a chunk.
func (g *guest) function(chunk mapping.DataChunk, out mapping.Vector) error {
	n := int(mapping.DataChunkGetSize(chunk))
	h, err := g.get()
	if err != nil {
		return err
	}
	defer g.put(h)
	args := g.arguments(h, chunk, n)
	h.nulls = h.nulls[:0]
	for at, r := 0, 0; r < n; r++ { // rows that are left out have a NULL among their arguments
		if at < len(h.rows) && h.rows[at] == r {
			at++
		} else {
			h.nulls = append(h.nulls, r)
		}
	}
	most := h.Rows(g.unit)
	for from := 0; from < len(h.rows); from += most {
		rows := h.rows[from:min(from+most, len(h.rows))]
		if err := g.give(h, args, rows); err != nil {
			return err
		}
		if err := h.Function(g.unit, len(rows)); err != nil {
			return said(err)
		}
		if err := g.take(h, out, rows); err != nil {
			return err
		}
	}
	setNulls(out, h.nulls, n)
	return nil
}

// said is an error in one line.
func said(err error) error {
	var f *plugins.Failure
	if errors.As(err, &f) {
		return errors.New(f.Line())
	}
	return err
}
