package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// HugeOptions of HugePages.
type HugeOptions struct {
	// Bytes that are asked of each node for each size of pages, rounded down to whole pages, at least one. The default is 64
	// MiB: an XSK's UMEM.
	Bytes int
	// Core that latency is measured from; memory of each node is measured. The default, nil, is the last one that is allowed.
	Core *int
	// Loads of each latency. The default is 200,000.
	Loads int
}

// HugeResult of HugePages.
type HugeResult struct {
	Where
	Core    int      `json:"core"`
	Pools   []Pool   `json:"pools"`
	Grants  []Grant  `json:"grants"` // small pages first, of each node, then transparent ones, then hugetlb
	Missing []string `json:"missing,omitempty"`
}

// Pool is what is reserved on a node.
type Pool struct {
	Node      int `json:"node"`
	PageBytes int `json:"page_bytes"`
	Total     int `json:"total_pages"`
	Free      int `json:"free_pages"`
	Surplus   int `json:"surplus_pages"`
}

// Grant is what came of asking for pages.
type Grant struct {
	Pages       Pages       `json:"pages"`
	PageBytes   int         `json:"page_bytes"` // of hugetlb's
	Node        int         `json:"node"`       // that was asked
	AskedBytes  int         `json:"asked_bytes"`
	Granted     int         `json:"granted_bytes"` // on pages of that kind
	OnNodeBytes map[int]int `json:"on_node_bytes"` // where they are, by node; null: the kernel does not say
	LoadNs      *Stat       `json:"load_ns"`       // of a load at random, over all that was asked; null: not all were granted
	Why         string      `json:"why,omitempty"` // not all were
}

// Whole says whether all that was asked was granted, on the node that was asked.
func (g *Grant) Whole() bool {
	return g.Granted >= g.AskedBytes && (g.OnNodeBytes == nil || g.OnNodeBytes[g.Node] >= g.AskedBytes)
}

// HugePages asks each node for huge pages, transparent and of each pool, and measures what they are worth beside small ones.
// It takes only pages that are free, never enlarges a pool, and gives all back.
func HugePages(ctx context.Context, o HugeOptions) (*HugeResult, error) {
	if o.Bytes <= 0 {
		o.Bytes = 64 << 20
	}
	if o.Loads <= 0 {
		o.Loads = 200_000
	}
	var named []int
	if o.Core != nil {
		named = []int{*o.Core}
	}
	cores, err := usable(named)
	if err != nil {
		return nil, err
	}
	end, err := begin(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer end()
	r := &HugeResult{Where: where(), Core: cores[len(cores)-1], Pools: pools("/")}
	nodes := nodesOf(cores)
	type ask struct {
		pages Pages
		page  int
	}
	asks := []ask{{SmallPages, os.Getpagesize()}, {Transparent, hugeBytes}}
	for _, p := range r.Pools {
		if a := (ask{HugeTLB, p.PageBytes}); !slices.Contains(asks, a) {
			asks = append(asks, a)
		}
	}
	for _, a := range asks {
		for _, n := range nodes {
			g := Grant{Pages: a.pages, Node: n.n, AskedBytes: max(a.page, o.Bytes&^(a.page-1))}
			if a.pages == HugeTLB {
				g.PageBytes = a.page
			}
			if left := room(n.n); a.pages != HugeTLB && uint64(g.AskedBytes) > left {
				r.Missing = append(r.Missing, fmt.Sprintf("%s, %d MiB on node %d: more than a quarter of the %d MiB that are free", a.pages, g.AskedBytes>>20, n.n, left*4>>20))
				continue
			}
			err := <-on(r.Core, func() error { return g.get(ctx, a.page, len(nodes) > 1, o.Loads) })
			if ctx.Err() != nil {
				return nil, ctx.Err()
			} else if err != nil {
				r.Missing = append(r.Missing, fmt.Sprintf("%s of %d KiB on node %d: %v", a.pages, a.page>>10, n.n, err))
				continue
			}
			r.Grants = append(r.Grants, g)
		}
	}
	return r, nil
}

func (g *Grant) get(ctx context.Context, page int, bind bool, loads int) error {
	m, err := newMapping(g.AskedBytes, g.Pages, page)
	if err != nil {
		if g.Pages == HugeTLB { // the pool promises no more than it has
			g.Why = err.Error()
			return nil
		}
		return err
	}
	defer m.free()
	if bind {
		if err := m.bind(g.Node); err != nil {
			return err
		}
	}
	step := max(page, hugeBytes) // a call for each small page would take long
	if g.AskedBytes%step != 0 {
		step = page
	}
	n, err := m.populate(ctx, step)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case noSuch(err):
		return fmt.Errorf("this kernel cannot say whether it grants them (MADV_POPULATE_WRITE is of Linux 5.14): %w", err)
	case err != nil:
		g.Why = fmt.Sprintf("no more are granted after %d bytes: %v", n, err)
	}
	g.Granted = n
	if g.Pages == Transparent {
		g.Granted = int(m.hugeShare() * float64(n))
	}
	if g.OnNodeBytes, err = m.where(n, page); err != nil {
		g.OnNodeBytes = nil
	}
	if n < g.AskedBytes {
		return nil
	}
	size := g.AskedBytes // chase wants a power of two
	for size&(size-1) != 0 {
		size &= size - 1
	}
	s, err := chase(ctx, m.base, size, loads)
	g.LoadNs = &s
	return err
}

// pools reads what is reserved, by node and size of pages.
func pools(root string) (all []Pool) {
	dirs, _ := filepath.Glob(filepath.Join(root, "sys/devices/system/node/node[0-9]*/hugepages/hugepages-*kB"))
	if len(dirs) == 0 { // a kernel without NUMA
		dirs, _ = filepath.Glob(filepath.Join(root, "sys/kernel/mm/hugepages/hugepages-*kB"))
	}
	for _, dir := range dirs {
		kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dir), "hugepages-"), "kB"))
		if err != nil || kib <= 0 || kib&(kib-1) != 0 || kib > 64<<20 {
			continue
		}
		p := Pool{PageBytes: kib << 10}
		p.Node, _ = strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(filepath.Dir(dir))), "node"))
		for name, into := range map[string]*int{"nr_hugepages": &p.Total, "free_hugepages": &p.Free, "surplus_hugepages": &p.Surplus} {
			text, _ := os.ReadFile(filepath.Join(dir, name))
			*into, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Pool) int {
		if a.PageBytes != b.PageBytes {
			return a.PageBytes - b.PageBytes
		}
		return a.Node - b.Node
	})
	return all
}
