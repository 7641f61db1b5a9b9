package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A chunk is some rows of one table and one lane, as columns in one anonymous mapping off the Go heap.
//
//	0                                   each column on a 64-byte boundary, chunkRows values of its width
//	+---------+---------+-- … --+-------+
//	| column  | column  |       | valid |   a bit a row behind each column that can be NULL
//	+---------+---------+-- … --+-------+
//
// One goroutine appends: it fills columns behind rows and shows what it filled with a batch, by raising rows. Readers take
// rows first and look at nothing behind it. A chunk is unmapped when it has left the store and the last scan that holds it is closed.
type chunk struct {
	*layout
	mem   []byte
	rows  atomic.Int64 // that readers may look at
	refs  atomic.Int32
	seq   int64 // of row 0
	venue uint32

	// Bounds of what is in it, for pruning: written by the appender before rows is raised. They only ever widen.
	minTs, maxTs     atomic.Int64
	minCode, maxCode atomic.Uint32 // of column symbol

	// The appender's own: what it filled and has not shown yet.
	filled         int
	loTs, hiTs     int64
	loCode, hiCode uint32
	word           []uint64 // by column: validity of the rows of the word that is being filled

	sealed atomic.Bool // no row comes any more, though there is room

	dead      []atomic.Uint64 // bit set: the row is no more (a broken trade); nil: this table has none
	deadCount atomic.Int64

	owner *series
}

func newChunk(l *layout, seq int64, venue uint32, owner *series) (*chunk, error) {
	mem, err := owner.spare.get(l)
	if err != nil {
		return nil, err
	}
	c := &chunk{
		layout: l, mem: mem, seq: seq, venue: venue, owner: owner, word: make([]uint64, len(l.kept)),
		loTs: 1<<63 - 1, hiTs: -1 << 63, loCode: 1<<32 - 1,
	}
	c.refs.Store(1)
	c.minTs.Store(1<<63 - 1)
	c.maxTs.Store(-1 << 63)
	c.minCode.Store(1<<32 - 1)
	if l == tradesLayout {
		c.dead = make([]atomic.Uint64, chunkRows/64)
	}
	return c, nil
}

// hold keeps the memory; false: it is gone already.
func (c *chunk) hold() bool {
	for {
		n := c.refs.Load()
		if n == 0 {
			return false
		}
		if c.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (c *chunk) release() {
	if c.refs.Add(-1) == 0 {
		c.owner.spare.put(c.layout, c.mem)
		c.mem = nil
	}
}

// spares are mappings of chunks that have left: the next ones need not be touched for the first time, which costs more
// than filling them. At most mostSpares of a table are kept.
type spares struct {
	mu   sync.Mutex
	free map[*layout][][]byte
}

const mostSpares = 2

func (s *spares) get(l *layout) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.free[l]; len(have) > 0 {
		s.free[l] = have[:len(have)-1]
		return have[len(have)-1], nil
	}
	mem, err := unix.Mmap(-1, 0, l.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("store: %d bytes for a chunk of %s: %w", l.size, l.Name, err)
	}
	if l.busy() {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // first touches cost a fifth; without it nothing else changes
	}
	return mem, nil
}

func (s *spares) put(l *layout, mem []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free[l]) < mostSpares {
		s.free[l] = append(s.free[l], mem)
		return
	}
	_ = unix.Munmap(mem) // of a mapping that is ours: it cannot fail
}

func (s *spares) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, have := range s.free {
		for _, mem := range have {
			_ = unix.Munmap(mem)
		}
	}
	s.free = map[*layout][][]byte{}
}

func (c *chunk) full() bool { return c.rows.Load() == chunkRows || c.sealed.Load() }

// Columns as slices of the whole chunk.
func (c *chunk) i64(col int) *[chunkRows]int64 { return (*[chunkRows]int64)(c.ptr(col)) }
func (c *chunk) u32(col int) *[chunkRows]uint32 {
	return (*[chunkRows]uint32)(c.ptr(col))
}
func (c *chunk) u8(col int) *[chunkRows]uint8 { return (*[chunkRows]uint8)(c.ptr(col)) }

func (c *chunk) ptr(col int) unsafe.Pointer { return unsafe.Pointer(&c.mem[c.at[col]]) }

func (c *chunk) valid(col int) *[chunkRows / 64]uint64 {
	return (*[chunkRows / 64]uint64)(unsafe.Pointer(&c.mem[c.null[col]]))
}

// done counts a row that has been filled in.
func (c *chunk) done(ts int64, symbol uint32) {
	c.loTs, c.hiTs = min(c.loTs, ts), max(c.hiTs, ts)
	c.loCode, c.hiCode = min(c.loCode, symbol), max(c.hiCode, symbol)
	c.filled++
	if c.filled%64 == 0 {
		c.bits(c.filled/64 - 1)
		clear(c.word)
	}
}

// bits stores the validity of the rows of a word. Readers may be looking at the earlier rows in it.
func (c *chunk) bits(word int) {
	for _, col := range c.nullable {
		atomic.StoreUint64(&c.valid(col)[word], c.word[col])
	}
}

// show lets readers see what was filled in.
func (c *chunk) show() {
	if int64(c.filled) == c.rows.Load() {
		return
	}
	if c.filled%64 != 0 {
		c.bits(c.filled / 64)
	}
	c.minTs.Store(c.loTs)
	c.maxTs.Store(c.hiTs)
	c.minCode.Store(c.loCode)
	c.maxCode.Store(c.hiCode)
	c.rows.Store(int64(c.filled))
}

// kill takes a row out.
func (c *chunk) kill(row int) {
	bit := uint64(1) << (row % 64)
	if c.dead[row/64].Or(bit)&bit == 0 {
		c.deadCount.Add(1)
	}
}

// Block is some rows of a chunk.
type Block struct {
	Rows int
	from int
	c    *chunk
	made []Vector // of a table that is made anew for each scan
}

// Column gives the rows of one column. What is kept narrower than SQL sees it is widened into memory of the caller's.
func (b *Block) Column(col int) Vector {
	if b.made != nil {
		return b.made[col]
	}
	c, from, to := b.c, b.from, b.from+b.Rows
	if col >= len(c.kept) { // a plugin's, which nobody knew when the chunk was begun
		return Vector{I64: make([]int64, b.Rows), Valid: make([]uint64, (b.Rows+63)/64)}
	}
	switch c.kept[col] {
	case keptI64:
		v := Vector{I64: c.i64(col)[from:to:to]}
		if c.null[col] >= 0 {
			v.Valid = shifted(c.valid(col)[:], from, b.Rows)
		}
		return v
	case keptU32:
		out := make([]int64, b.Rows)
		for i, x := range c.u32(col)[from:to] {
			out[i] = int64(x)
		}
		return Vector{I64: out}
	case keptU8:
		out := make([]int16, b.Rows)
		for i, x := range c.u8(col)[from:to] {
			out[i] = int16(x)
		}
		return Vector{I16: out}
	case keptByte:
		return Vector{Bytes: c.u8(col)[from:to:to]}
	case keptCode:
		return Vector{Codes: c.u32(col)[from:to:to]}
	case keptMicro:
		out := make([]int64, b.Rows)
		for i, ns := range c.i64(c.tsNs)[from:to] {
			out[i] = floorDiv(ns, 1000)
		}
		return Vector{I64: out}
	case keptSeq:
		out := make([]int64, b.Rows)
		for i := range out {
			out[i] = c.seq + int64(from+i)
		}
		return Vector{I64: out}
	}
	return Vector{Codes: []uint32{c.venue}, Const: true}
}

// floorDiv truncates towards the past, also before 1970.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// shifted is a bitmap that begins at row from: the bits themselves where from is a multiple of 64, else a copy. The word
// that the appender is still writing behind the last row must not be shared, so it is copied too.
func shifted(bits []uint64, from, rows int) []uint64 {
	words := (rows + 63) / 64
	out := make([]uint64, words)
	shift := uint(from % 64)
	for i := range out {
		at := from/64 + i
		out[i] = loadWord(&bits[at]) >> shift
		if shift != 0 && at+1 < len(bits) {
			out[i] |= loadWord(&bits[at+1]) << (64 - shift)
		}
	}
	return out
}

func loadWord(p *uint64) uint64 { return atomic.LoadUint64(p) }
