package book

import "unsafe"

const (
	pageShift = 6
	pageRefs  = 1 << pageShift
	pageMask  = pageRefs - 1

	// A directory entry: number of the page, and how many of its 64 entries are in use (0 to 64).
	usedBits = 7
	usedMask = 1<<usedBits - 1
	maxPages = 1<<(32-usedBits) - 1
)

// index finds orders by reference: see doc.go. Small pages are what makes recycling work: of a day's references one in
// a hundred lives long, so of pages of 512 hardly any would ever be empty, of pages of 64 half are.
type index struct {
	dir   unsafe.Pointer // u32 for every 64 references below limit
	pages unsafe.Pointer
	limit uint64 // references from here on are refused
	pool  pool
	top   uint64 // directory entries that were ever used: what reset has to clear
}

func (x *index) dirEntry(ref uint64) *uint32 {
	return (*uint32)(unsafe.Add(x.dir, uintptr(ref>>pageShift)*4))
}

func (x *index) slot(page uint32, ref uint64) *uint32 {
	return (*uint32)(unsafe.Add(x.pages, uintptr(page)*pageBytes+uintptr(ref&pageMask)*4))
}

// find gives the order with this reference, or 0.
func (x *index) find(ref uint64) uint32 {
	if ref >= x.limit {
		return 0
	}
	return *x.slot(*x.dirEntry(ref)>>usedBits, ref)
}

// hasRoom says whether put would succeed; ref must be below limit.
func (x *index) hasRoom(ref uint64) bool {
	return *x.dirEntry(ref) != 0 || x.pool.inUse < x.pool.limit
}

// put enters an order under a reference that is below limit, has room and is not in use.
func (x *index) put(ref uint64, order uint32) {
	d := x.dirEntry(ref)
	if *d == 0 {
		*d = x.newPage(ref) << usedBits
	}
	*x.slot(*d>>usedBits, ref) = order
	*d++
}

// drop takes out a reference that is in use. A page without entries goes back to the pool, zeroed by its own drops.
func (x *index) drop(ref uint64) {
	d := x.dirEntry(ref)
	*x.slot(*d>>usedBits, ref) = 0
	*d--
	if *d&usedMask == 0 {
		page := *d >> usedBits
		*x.slot(page, 0) = x.pool.free
		x.pool.free = page
		x.pool.inUse--
		*d = 0
	}
}

func (x *index) newPage(ref uint64) uint32 {
	if at := ref>>pageShift + 1; at > x.top {
		x.top = at
	}
	x.pool.inUse++
	if page := x.pool.free; page != 0 {
		first := x.slot(page, 0)
		x.pool.free = *first
		*first = 0
		return page
	}
	x.pool.fresh++
	return x.pool.fresh
}
