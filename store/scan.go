package store

import (
	"fmt"
	"math/bits"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/ringbuf"
)

// catchUp bounds how long a scan waits for the followers: a stalled one must not hang a query.
const catchUp = 20 * time.Millisecond

// Scan is a table as of one moment. Blocks may be taken by several goroutines.
type Scan struct {
	blocks []Block
	held   []*chunk
	next   atomic.Int64
	rows   int64
}

// Scan takes a table as it is now, in no order; what the rings held when it was called is in it, unless a follower was
// stalled. Bounds take blocks out that cannot have a row of interest. Close it.
func (s *Store) Scan(table string, b Bounds) (*Scan, error) {
	switch table {
	case countersTable.Name:
		return s.scanCounters()
	case tablesTable.Name:
		return s.scanTables(), nil
	case customTable.Name:
		return s.scanCustom(), nil
	}
	var l *layout
	for _, x := range layouts {
		if x.Name == table {
			l = x
		}
	}
	if l == nil {
		return nil, fmt.Errorf("store: there is no table %q", table)
	}
	s.awaitFollowers(l == definitionsLayout)
	return s.take(l, b), nil
}

// take holds the chunks of a table and cuts them into blocks.
func (s *Store) take(l *layout, b Bounds) *Scan {
	var codes []uint32
	for _, symbol := range b.Symbols {
		if code, ok := s.dict.Code(symbol); ok {
			codes = append(codes, code)
		}
	}
	scan := &Scan{}
	s.mu.Lock()
	for _, x := range s.series {
		if x.l.Load().base != l {
			continue
		}
		for _, c := range x.chunks {
			if rows := c.rows.Load(); rows > 0 && c.mayHold(&b, codes) && c.hold() {
				scan.held = append(scan.held, c)
				scan.cut(c, int(rows))
			}
		}
	}
	s.mu.Unlock()
	return scan
}

// mayHold says that a chunk may have rows within the bounds.
func (c *chunk) mayHold(b *Bounds, codes []uint32) bool {
	if b.To != 0 && c.minTs.Load() >= b.To || b.From != 0 && c.maxTs.Load() < b.From {
		return false
	}
	if len(b.Symbols) == 0 {
		return true
	}
	for _, code := range codes {
		if code >= c.minCode.Load() && code <= c.maxCode.Load() {
			return true
		}
	}
	return false
}

// blockRows bounds a block, so that several goroutines share a chunk.
const blockRows = 1 << 13

// cut makes blocks of a chunk's rows, around those that are no more.
func (s *Scan) cut(c *chunk, rows int) {
	add := func(from, to int) {
		for ; from < to; from += blockRows {
			n := min(blockRows, to-from)
			s.blocks = append(s.blocks, Block{Rows: n, from: from, c: c})
			s.rows += int64(n)
		}
	}
	if c.deadCount.Load() == 0 {
		add(0, rows)
		return
	}
	from := 0
	for w := range c.dead {
		for word := c.dead[w].Load(); word != 0; word &= word - 1 {
			at := w*64 + bits.TrailingZeros64(word)
			if at >= rows {
				break
			}
			add(from, at)
			from = at + 1
		}
	}
	add(from, rows)
}

// Rows is how many rows the scan has.
func (s *Scan) Rows() int64 { return s.rows }

// Next gives a block that nobody had yet, nil when there is none. Any goroutine.
func (s *Scan) Next() *Block {
	i := s.next.Add(1) - 1
	if i >= int64(len(s.blocks)) {
		return nil
	}
	return &s.blocks[i]
}

// Close gives the memory back: vectors of its blocks must not be used any more.
func (s *Scan) Close() {
	for _, c := range s.held {
		c.release()
	}
	s.held, s.blocks = nil, nil
}

// awaitFollowers waits until every follower has taken what its rings held.
func (s *Store) awaitFollowers(definitions bool) {
	s.mu.Lock()
	followers := s.followers
	s.mu.Unlock()
	end := time.Now().Add(catchUp)
	for _, f := range followers {
		f.await(end)
		if definitions { // they come by a file, which is looked at now and then
			f.flush.Store(true)
			for f.flush.Load() && time.Now().Before(end) {
				time.Sleep(100 * time.Microsecond)
			}
		}
	}
}

// made is a scan of rows that were made for it.
func made(rows int, columns ...Vector) *Scan {
	s := &Scan{rows: int64(rows)}
	if rows > 0 {
		s.blocks = []Block{{Rows: rows, made: columns}}
	}
	return s
}

// scanCounters reads the counter files of every process.
func (s *Store) scanCounters() (*Scan, error) {
	instance := s.options.Instance
	if instance == "" {
		instance = "*"
	}
	paths, err := filepath.Glob(filepath.Join(s.options.RingDir, instance, "*."+ringbuf.ExtStats))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var instances, processes, names []uint32
	var values []int64
	for _, path := range paths {
		r, err := ringbuf.OpenStats(path)
		if err != nil {
			continue // it went away meanwhile
		}
		at := s.dict.add(filepath.Base(filepath.Dir(path)))
		process := s.dict.add(strings.TrimSuffix(filepath.Base(path), "."+ringbuf.ExtStats))
		for _, c := range r.Append(nil) {
			instances, processes = append(instances, at), append(processes, process)
			names, values = append(names, s.dict.add(c.Name)), append(values, int64(c.Value))
		}
		_ = r.Close()
	}
	return made(len(values), Vector{Codes: instances}, Vector{Codes: processes}, Vector{Codes: names}, Vector{I64: values}), nil
}

// scanTables says what is in memory.
func (s *Store) scanTables() *Scan {
	n := len(layouts)
	names := make([]uint32, n)
	rows, bytes, oldest, newest, evicted := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	valid := make([]uint64, (n+63)/64)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range layouts {
		names[i] = s.dict.add(l.Name)
		evicted[i] = s.evicted[l].Load()
		oldest[i], newest[i] = 1<<63-1, -1<<63
		for _, x := range s.series {
			if x.l.Load().base != l {
				continue
			}
			for _, c := range x.chunks {
				rows[i] += c.rows.Load() - c.deadCount.Load()
				bytes[i] += int64(c.size)
				oldest[i], newest[i] = min(oldest[i], c.minTs.Load()), max(newest[i], c.maxTs.Load())
			}
		}
		if rows[i] > 0 {
			valid[i/64] |= 1 << (i % 64)
		}
	}
	return made(n, Vector{Codes: names}, Vector{I64: rows}, Vector{I64: bytes}, Vector{I64: oldest, Valid: valid},
		Vector{I64: newest, Valid: valid}, Vector{I64: evicted})
}
