// Package store reads rings into columns that SQL can scan: the memory tier.
//
//	ring mbo ────┐                 ┌─ series orders: chunk ─ chunk ─ … ─ live chunk ◄── append
//	ring mbp1 ───┤   follower of   ├─ series ticks
//	ring trades ─┼─► a lane, one ──┼─ series trades            Scan: chunks and their rows as of now,
//	ring events ─┤   goroutine     ├─ series status, …               held until it is closed
//	ring ext ────┘                 └─ …
//
// Each lane has a follower and a series of chunks for each table; nothing is shared between them but the dictionary of
// symbols and the memory bound. When the bound is reached the oldest chunk of all leaves, counted; a scan that holds it
// reads on. A scan first waits until the followers have taken what the rings held when it was asked for.
package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tickwire/tickwire/ringbuf"
)

// Options of a Store. The zero value works.
type Options struct {
	// Memory bounds the columns, in bytes; at least 64 MiB. The default is a quarter of the machine's.
	Memory int64
	// Tables are those that are filled, by name; the others stay empty and their rings are not read. The default is all.
	Tables []string
	// Custom are columns that plugins fill, behind ticks' own. Those whose name and type a feed's plugins have (ringbuf.Plugins) get its values, the rest NULL. Names
	// must differ from each other's and from ticks' columns; at most MostCustom. The default is none.
	Custom []ringbuf.PluginColumn
	// Learn has columns of feeds' plugins that are not among Custom added when they come. It is called when some were, on a goroutine that takes in rows: it must not wait.
	// The default is that there are those of Custom alone.
	Learn func()
	// Log is told why a column is not learned. It must be given with Learn.
	Log func(text string, column ringbuf.PluginColumn)
	// RingDir and Instance are where table tickwire.counters looks. Instance empty: all. The default is none.
	RingDir, Instance string
}

const leastMemory = 64 << 20

// Store holds columns. Any goroutine may scan.
type Store struct {
	options Options
	dict    *Dict
	wanted  map[*layout]bool
	custom  atomic.Pointer[custom]

	mu        sync.Mutex
	series    []*series
	order     []*chunk // in the order in which they were begun: the first leaves first
	bytes     int64
	nextSeq   map[*layout]int64
	followers []*follower

	evicted map[*layout]*atomic.Int64
	// publishers are the venues' names in the dictionary, by publisher, of the lanes that were followed.
	publishers sync.Map
	spare      spares
	Counters
}

// Counters count what a store did. Every way to lose a row has one.
type Counters struct {
	Rows         atomic.Uint64 // taken in
	Evicted      atomic.Uint64 // rows that left because memory's bound was reached
	LostRecords  atomic.Uint64 // records that a ring's producer overwrote before they were read
	Inexact      atomic.Uint64 // sizes above 4,294,967,294 whose exact value did not come
	Unnamed      atomic.Uint64 // rows of an instrument that the directory does not know: symbol is NULL
	UnknownBreak atomic.Uint64 // breaks of trades that are not, or no longer, in memory
	NoMemory     atomic.Uint64 // rows that were dropped because the kernel gave no memory
	OverPrice    atomic.Uint64 // prices beyond DECIMAL(18,9): NULL
}

// series is the chunks of one table and one lane, oldest first.
type series struct {
	l      atomic.Pointer[layout] // of the next chunk
	chunks []*chunk               // guarded by the store's mu
	live   *chunk                 // the appender's
	spare  *spares
}

// Open makes an empty store.
func Open(o Options) (*Store, error) {
	if o.Memory == 0 {
		o.Memory = defaultMemory()
	}
	if o.Memory < leastMemory {
		return nil, fmt.Errorf("store: memory = %d bytes, want at least %d", o.Memory, leastMemory)
	}
	s := &Store{
		options: o, dict: newDict(), wanted: map[*layout]bool{}, nextSeq: map[*layout]int64{}, evicted: map[*layout]*atomic.Int64{},
		spare: spares{free: map[*layout][][]byte{}},
	}
	all, err := newCustom(o.Custom)
	if err != nil {
		return nil, err
	}
	s.custom.Store(all)
	for _, l := range layouts {
		s.wanted[l] = len(o.Tables) == 0 || slices.Contains(o.Tables, l.Name)
		s.nextSeq[l] = 1
		s.evicted[l] = new(atomic.Int64)
	}
	for _, name := range o.Tables {
		if !slices.ContainsFunc(Tables(), func(t *Table) bool { return t.Name == name }) {
			return nil, fmt.Errorf("store: there is no table %q", name)
		}
	}
	return s, nil
}

// defaultMemory is a quarter of the machine's.
func defaultMemory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 1 << 30
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemTotal:" {
			if kb, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				return max(leastMemory, kb*1024/4)
			}
		}
	}
	return 1 << 30
}

// Dict is the dictionary of all columns of text.
func (s *Store) Dict() *Dict { return s.dict }

// Close frees everything. Followers must have ended and scans be closed.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.followers) > 0 {
		return errors.New("store: closed while it follows rings")
	}
	for _, c := range s.order {
		c.release()
	}
	s.order, s.series, s.bytes = nil, nil, 0
	s.spare.close()
	return nil
}

// newSeries makes a lane's series of a table, nil when the table is not wanted.
func (s *Store) newSeries(l *layout) *series {
	if !s.wanted[l] {
		return nil
	}
	x := &series{spare: &s.spare}
	s.mu.Lock()
	if l == ticksLayout {
		l = s.custom.Load().ticks
	}
	x.l.Store(l)
	s.series = append(s.series, x)
	s.mu.Unlock()
	return x
}

// grow begins a new chunk of a series, and lets the oldest chunks go when memory's bound is reached.
func (s *Store) grow(x *series, venue uint32) *chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := x.l.Load()
	for s.bytes+int64(l.size) > s.options.Memory && s.evict() {
	}
	c, err := newChunk(l, s.nextSeq[l.base], venue, x)
	if err != nil {
		return nil
	}
	s.nextSeq[l.base] += chunkRows
	s.bytes += int64(l.size)
	s.order = append(s.order, c)
	x.chunks = append(x.chunks, c)
	x.live = c
	return c
}

// evict lets the oldest full chunk go; false: there is none. Chunks that are being filled stay: they are the newest rows.
func (s *Store) evict() bool {
	for i, c := range s.order {
		if !c.full() {
			continue
		}
		s.order = slices.Delete(s.order, i, i+1)
		c.owner.chunks = slices.DeleteFunc(c.owner.chunks, func(x *chunk) bool { return x == c })
		s.bytes -= int64(c.size)
		n := c.rows.Load()
		s.Evicted.Add(uint64(n))
		s.evicted[c.base].Add(n)
		c.release()
		return true
	}
	return false
}
