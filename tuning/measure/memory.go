package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"
)

// MemoryOptions of Memory.
type MemoryOptions struct {
	// Cores whose nodes are measured from: of each node the last one of these is pinned for latency, and all of them for
	// bandwidth. nil: all that are online and allowed.
	Cores []int
	// Sizes are working sets for latency, in bytes, rounded down to powers of two, at least 4 KiB. The default is 16 KiB,
	// 256 KiB, 4 MiB, 64 MiB and 256 MiB. What is more than a quarter of the memory that is free is left out.
	Sizes []int
	// Loads a working set. The default is 200,000.
	Loads int
	// BandwidthBytes is the buffer of each thread; it should be greater than its share of the last cache. The default is
	// 128 MiB, less where all threads together would take more than a quarter of the memory that is free.
	BandwidthBytes int
	// BandwidthFor is how long each of reading, writing and copying goes on. The default is 200 ms.
	BandwidthFor time.Duration
}

// MemoryResult of Memory. On a machine with n nodes there are n² of each, each node's cores against each node's memory.
type MemoryResult struct {
	Where
	Latency   []Latency   `json:"latency"`
	Bandwidth []Bandwidth `json:"bandwidth"`
	// RemoteRatio is the greatest latency of another node's memory over the own node's, in the largest working set. 0: one node.
	RemoteRatio float64  `json:"remote_ratio"`
	Missing     []string `json:"missing,omitempty"`
}

// Latency of loads each of whose addresses comes from the one before, in an order without pattern.
type Latency struct {
	Core       int     `json:"core"`
	CoreNode   int     `json:"core_node"`
	MemoryNode int     `json:"memory_node"`
	Bytes      int     `json:"bytes"`
	Pages      Pages   `json:"pages"`
	HugeShare  float64 `json:"huge_share"` // 0 to 1: of the set, on transparent huge pages as the kernel says. 1 with hugetlb
	LoadNs     Stat    `json:"load_ns"`
}

// Bandwidth in 10⁹ bytes a second, over all threads. Writing is the runtime's clear, and copying its copy, which count what
// they write; both go past the caches where the processor can.
type Bandwidth struct {
	CoreNode     int     `json:"core_node"`
	MemoryNode   int     `json:"memory_node"`
	Threads      int     `json:"threads"`
	ReadGBPerS   float64 `json:"read_gb_per_s"`
	WriteGBPerS  float64 `json:"write_gb_per_s"`
	CopyGBPerS   float64 `json:"copy_gb_per_s"`
	BytesAThread int     `json:"bytes_a_thread"`
}

// Memory measures latency and bandwidth of memory, from the cores of each node to the memory of each.
func Memory(ctx context.Context, o MemoryOptions) (*MemoryResult, error) {
	if len(o.Sizes) == 0 {
		o.Sizes = []int{16 << 10, 256 << 10, 4 << 20, 64 << 20, 256 << 20}
	}
	for _, size := range o.Sizes {
		if size < 4<<10 {
			return nil, fmt.Errorf("measure: a working set of %d bytes, want 4096 or more", size)
		}
	}
	if o.Loads <= 0 {
		o.Loads = 200_000
	}
	if o.BandwidthBytes <= 0 {
		o.BandwidthBytes = 128 << 20
	}
	if o.BandwidthFor <= 0 {
		o.BandwidthFor = 200 * time.Millisecond
	}
	cores, err := usable(o.Cores)
	if err != nil {
		return nil, err
	}
	end, err := begin(ctx, len(cores))
	if err != nil {
		return nil, err
	}
	defer end()
	r := &MemoryResult{Where: where()}
	nodes := nodesOf(cores)
	largest := 0
	for _, size := range o.Sizes {
		for size&(size-1) != 0 {
			size &= size - 1
		}
		for _, at := range nodes {
			if left := room(at.n); uint64(size) > left {
				r.Missing = append(r.Missing, fmt.Sprintf("a working set of %d MiB on node %d: more than a quarter of the %d MiB that are free", size>>20, at.n, left*4>>20))
				continue
			}
			largest = max(largest, size)
			for _, from := range nodes {
				if len(from.cores) == 0 {
					continue
				}
				for _, pages := range []Pages{SmallPages, Transparent} {
					if pages == Transparent && size < hugeBytes {
						continue
					}
					l := Latency{Core: from.cores[len(from.cores)-1], CoreNode: from.n, MemoryNode: at.n, Bytes: size, Pages: pages}
					err := l.measure(ctx, o.Loads, len(nodes) > 1)
					if ctx.Err() != nil {
						return nil, ctx.Err()
					} else if err != nil {
						r.Missing = append(r.Missing, err.Error())
						continue
					}
					r.Latency = append(r.Latency, l)
				}
			}
		}
	}
	r.RemoteRatio = remote(r.Latency, largest)
	for _, from := range nodes {
		for _, at := range nodes {
			for _, threads := range []int{1, len(from.cores)} {
				if len(from.cores) == 0 || threads == 1 && len(from.cores) == 1 && len(r.Bandwidth) > 0 && r.Bandwidth[len(r.Bandwidth)-1].is(from.n, at.n, 1) {
					continue
				}
				b, err := bandwidth(ctx, from.cores[len(from.cores)-threads:], at.n, len(nodes) > 1, o)
				if ctx.Err() != nil {
					return nil, ctx.Err()
				} else if err != nil {
					r.Missing = append(r.Missing, err.Error())
					continue
				}
				b.CoreNode, b.MemoryNode = from.n, at.n
				r.Bandwidth = append(r.Bandwidth, b)
			}
		}
	}
	if len(r.Latency) == 0 && len(r.Bandwidth) == 0 {
		return nil, fmt.Errorf("measure: memory: %s", r.Missing)
	}
	return r, nil
}

func (b *Bandwidth) is(from, at, threads int) bool {
	return b.CoreNode == from && b.MemoryNode == at && b.Threads == threads
}

// remote is the worst ratio of another node's memory to the own one's, in sets of a size.
func remote(all []Latency, size int) (worst float64) {
	for _, near := range all {
		for _, far := range all {
			if near.Bytes == size && far.Bytes == size && near.Pages == far.Pages && near.CoreNode == far.CoreNode &&
				near.MemoryNode == near.CoreNode && far.MemoryNode != far.CoreNode && near.LoadNs.Median > 0 {
				worst = max(worst, far.LoadNs.Median/near.LoadNs.Median)
			}
		}
	}
	return worst
}

func (l *Latency) measure(ctx context.Context, loads int, bind bool) error {
	what := fmt.Sprintf("latency of %s, %d KiB, from core %d in memory of node %d", l.Pages, l.Bytes>>10, l.Core, l.MemoryNode)
	err := <-on(l.Core, func() error {
		m, err := newMapping(l.Bytes, l.Pages, 0)
		if err != nil {
			return err
		}
		defer m.free()
		if bind {
			if err := m.bind(l.MemoryNode); err != nil {
				return err
			}
		}
		l.LoadNs, err = chase(ctx, m.base, l.Bytes, loads)
		l.HugeShare = m.hugeShare()
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

const (
	lineBytes  = 64
	pieceLoads = 5_000   // timed together
	mostWarm   = 500_000 // loads before the first that counts
	multiplier = 0x5DEECE66D
	increment  = 11
)

// chase writes a chain into size bytes, a power of two, and follows it: ns a load. Line x is followed by a·x + c modulo their
// number, a full cycle since a − 1 is divisible by four and c is odd (Hull and Dobell, 1962): as bench/membench has it.
func chase(ctx context.Context, base unsafe.Pointer, size, loads int) (Stat, error) {
	lines := uint64(size / lineBytes)
	for x := range lines {
		*(*uintptr)(unsafe.Add(base, x*lineBytes)) = uintptr((x*multiplier+increment)&(lines-1)) * lineBytes
		if x%(1<<16) == 0 && ctx.Err() != nil {
			return Stat{}, ctx.Err()
		}
	}
	p, warm := uintptr(0), min(int(lines), mostWarm)
	var pieces []float64
	for done := 0; done < warm+loads; done += pieceLoads {
		start := time.Now()
		for range pieceLoads {
			p = *(*uintptr)(unsafe.Add(base, p))
		}
		if ns := time.Since(start).Nanoseconds(); done >= warm {
			pieces = append(pieces, float64(ns)/pieceLoads)
		}
		if ctx.Err() != nil {
			return Stat{}, ctx.Err()
		}
	}
	sink(p)
	return statOf(pieces), nil
}

// sink keeps a value alive.
//
//go:noinline
func sink(uintptr) {}

const blockBytes = 4 << 20 // between two looks at the clock

// bandwidth has a thread on each core read, then write, then copy its own buffer, all at the same time.
func bandwidth(ctx context.Context, cores []int, at int, bind bool, o MemoryOptions) (Bandwidth, error) {
	b := Bandwidth{Threads: len(cores), BytesAThread: max(2*blockBytes, min(o.BandwidthBytes, int(room(at))/len(cores))) &^ (2*blockBytes - 1)}
	what := func(err error) error {
		return fmt.Errorf("bandwidth of %d threads in memory of node %d: %w", len(cores), at, err)
	}
	words := b.BytesAThread / 8
	works := []func(buf []uint64) (bytes int){
		func(buf []uint64) int { sink(uintptr(sum(buf))); return len(buf) * 8 },
		func(buf []uint64) int { clear(buf); return len(buf) * 8 },
		func(buf []uint64) int { return copy(buf[:len(buf)/2], buf[len(buf)/2:]) * 8 },
	}
	rates := make([][3]float64, len(cores))
	gate := newGate(len(cores))
	var threads []<-chan error
	for i, core := range cores {
		threads = append(threads, on(core, func() error {
			defer gate.leave()
			m, err := newMapping(b.BytesAThread, Transparent, 0)
			if err != nil {
				return err
			}
			defer m.free()
			if bind {
				if err := m.bind(at); err != nil {
					return err
				}
			}
			buf := unsafe.Slice((*uint64)(m.base), words)
			for from := 0; from < words; from += blockBytes / 8 { // its pages
				clear(buf[from : from+blockBytes/8])
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			for w, work := range works {
				if !gate.wait(ctx) {
					return ctx.Err()
				}
				bytes, begin := 0, time.Now()
				for from := 0; time.Since(begin) < o.BandwidthFor; from = (from + blockBytes/8) % words {
					bytes += work(buf[from : from+blockBytes/8])
					if ctx.Err() != nil {
						return ctx.Err()
					}
				}
				rates[i][w] = float64(bytes) / float64(time.Since(begin).Nanoseconds())
			}
			return nil
		}))
	}
	var errs []error
	for _, t := range threads {
		errs = append(errs, <-t)
	}
	if err := errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...); err != nil {
		return b, what(err)
	}
	for _, r := range rates {
		b.ReadGBPerS, b.WriteGBPerS, b.CopyGBPerS = b.ReadGBPerS+r[0], b.WriteGBPerS+r[1], b.CopyGBPerS+r[2]
	}
	return b, nil
}

// sum reads with eight loads under way, so that it is memory that it waits for.
func sum(buf []uint64) (total uint64) {
	var a, b, c, d uint64
	for ; len(buf) >= 8; buf = buf[8:] {
		s := (*[8]uint64)(buf)
		a, b, c, d = a+s[0]+s[4], b+s[1]+s[5], c+s[2]+s[6], d+s[3]+s[7]
	}
	return a + b + c + d
}
