//go:build cgo

package duck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/store"
)

// Options of an Engine. The zero value works, without tables.
type Options struct {
	// Store has the tables. Without one there are none.
	Store *store.Store
	// Memory bounds what DuckDB may use for queries, in bytes. The default is 1 GiB.
	Memory int64
	// Threads that a query may use. The default is the machine's cores.
	Threads int
	// TempDir is where large sorts may spill. The default, empty, is nowhere: such a query fails for want of memory.
	TempDir string
	// Init are statements run once, before the configuration is locked: the catalogue.
	Init []string
	// Plugins whose functions and aggregates statements may use. The default is none.
	Plugins []Guest
	// NoAggregates leaves the plugins' aggregates out, and with them what statements may not have because of them (unfit.go). The default is that they are there.
	NoAggregates bool
}

// Engine is one DuckDB database. It implements sqlgw.Engine.
type Engine struct {
	db         mapping.Database
	store      *store.Store
	threads    int
	mu         sync.Mutex
	open       int // connections
	closed     bool
	pools      []*pool         // of the guests
	aggregates map[string]bool // names of theirs; written before the first session

	// Scans counts store scans that are held by running queries.
	Scans atomic.Int64
}

// Open makes an engine.
func Open(o Options) (*Engine, error) {
	if o.Memory <= 0 {
		o.Memory = 1 << 30
	}
	if o.Threads <= 0 {
		o.Threads = runtime.NumCPU()
	}
	var config mapping.Config
	if mapping.CreateConfig(&config) == mapping.StateError {
		return nil, errors.New("duck: no configuration")
	}
	defer mapping.DestroyConfig(&config)
	spill := o.TempDir
	for name, value := range map[string]string{
		"threads":                      fmt.Sprint(o.Threads),
		"memory_limit":                 fmt.Sprintf("%dMiB", max(64, o.Memory>>20)),
		"temp_directory":               spill,
		"autoinstall_known_extensions": "false",
		"autoload_known_extensions":    "false",
		"allow_community_extensions":   "false",
		"allow_unsigned_extensions":    "false",
		"default_null_order":           "nulls_last_on_asc_first_on_desc", // as PostgreSQL
		"integer_division":             "true",                            // 5/2 = 2
		"preserve_insertion_order":     "false",
		"allow_persistent_secrets":     "false",
	} {
		if name == "temp_directory" && value == "" {
			continue
		}
		if mapping.SetConfig(config, name, value) == mapping.StateError {
			return nil, fmt.Errorf("duck: setting %s = %s is refused", name, value)
		}
	}
	e := &Engine{store: o.Store, threads: o.Threads, aggregates: map[string]bool{}}
	var why string
	if mapping.OpenExt(":memory:", &e.db, config, &why) == mapping.StateError {
		return nil, fmt.Errorf("duck: %s", why)
	}
	if err := e.prepare(&o); err != nil {
		mapping.Close(&e.db)
		return nil, errors.Join(err, e.closePools())
	}
	return e, nil
}

// prepare makes tables, views and whatever else, and locks the configuration behind itself.
func (e *Engine) prepare(o *Options) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	c.trusted = true
	statements := []string{}
	if o.TempDir == "" {
		statements = append(statements, "SET max_temp_directory_size = '0B'")
	}
	statements = append(statements, "SET GLOBAL TimeZone = 'UTC'", "CREATE SCHEMA public", "CREATE SCHEMA tickwire")
	if e.store != nil {
		for _, t := range e.store.Tables() {
			if err := e.register(c, t); err != nil {
				return err
			}
			statements = append(statements, viewsOf(t)...)
		}
		statements = append(statements, derived...)
	}
	statements = append(statements, o.Init...)
	if err := c.runAll(statements); err != nil {
		return err
	}
	if err := e.invite(c, o.Plugins, o.NoAggregates); err != nil {
		return fmt.Errorf("duck: %w", err)
	}
	// Nothing behind this line can be undone by a session.
	return c.runAll([]string{"SET enable_external_access = false", "SET lock_configuration = true"})
}

func (c *Conn) runAll(statements []string) error {
	for _, s := range statements {
		if err := c.run(context.Background(), s); err != nil {
			return fmt.Errorf("duck: %w (in: %.200s)", err, s)
		}
	}
	return nil
}

// closePools ends the guests' instances.
func (e *Engine) closePools() error {
	var errs []error
	for _, p := range e.pools {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// Connect makes a session.
func (e *Engine) Connect(context.Context) (sqlgw.Conn, error) { return e.connect() }

func (e *Engine) connect() (*Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, os.ErrClosed
	}
	c := &Conn{e: e}
	if mapping.Connect(e.db, &c.conn) == mapping.StateError {
		return nil, &sqlgw.Error{State: "53300", Message: "the query engine takes no further session"}
	}
	e.open++
	return c, nil
}

// Close closes the database. Sessions must be closed before.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	if e.open > 0 {
		return fmt.Errorf("duck: closed with %d sessions open", e.open)
	}
	e.closed = true
	mapping.Close(&e.db)
	return e.closePools()
}
