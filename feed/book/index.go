package book

import "unsafe"

const (
	pageShift = 6
	pageRefs  = 1 << pageShift
	pageMask  = pageRefs - 1

	// A directory entry is one of
	//
	//	0
	//	page number << 7 │ how many of its 64 entries are in use (1 to 64)
	//	1 << 31 │ reference & 63 << 25 │ number of the only order       when that is below 1 << 25
	usedBits = 7
	usedMask = 1<<usedBits - 1
	maxPages = 1<<(31-usedBits) - 1

	loneBit   = 1 << 31
	loneShift = 25
	loneMask  = 1<<loneShift - 1
)

func lone(ref uint64, order uint32) uint32 { return loneBit | uint32(ref&pageMask)<<loneShift | order }

// index finds orders by reference: see doc.go. Small pages are what makes recycling work: of a day's references one in
// a hundred lives long, so of pages of 512 hardly any would ever be empty, of pages of 64 half are. An order that is alone among
// its 64 references needs no page: scattered references, which would fill a page each, cost an entry of the directory.
type index struct {
	dir    unsafe.Pointer // u32 for every 64 references below limit
	pages  unsafe.Pointer
	limit  uint64 // references from here on are refused
	lone   bool   // all orders have numbers that a directory entry can hold
	pool   pool
	top    uint64  // directory entries that were ever used: what reset has to clear
	sparse *hashed // takes the place of all that when it is there; limit is 0 then
}

func (x *index) dirEntry(ref uint64) *uint32 {
	return (*uint32)(unsafe.Add(x.dir, uintptr(ref>>pageShift)*4))
}

func (x *index) slot(page uint32, ref uint64) *uint32 {
	return (*uint32)(unsafe.Add(x.pages, uintptr(page)*pageBytes+uintptr(ref&pageMask)*4))
}

// find gives the order with this reference, in sparse books of the instrument at this place, or 0. Which of the two a directory entry
// is, a branch could only guess: both are looked up, the page of a lone order as page 0, which is empty.
func (x *index) find(place uint32, ref uint64) uint32 {
	if ref >= x.limit {
		return x.sparse.find(place, ref) // or nil's
	}
	d := *x.dirEntry(ref)
	isLone := uint32(int32(d) >> 31)
	same := uint32(int32((d>>loneShift^uint32(ref))&pageMask-1) >> 31)
	return *x.slot(d>>usedBits&^isLone, ref) | d&loneMask&isLone&same
}

// takes says whether there can be an order with this reference.
func (x *index) takes(ref uint64) bool { return ref < x.limit || x.sparse != nil }

// hasRoom says whether put would succeed; the reference must be one that it takes. A table has twice as many slots as there are orders.
func (x *index) hasRoom(ref uint64) bool {
	if ref >= x.limit {
		return true
	}
	d := *x.dirEntry(ref)
	return d != 0 && d&loneBit == 0 || x.pool.inUse < x.pool.limit || d == 0 && x.lone
}

// put enters an order under a reference that is taken, has room and is not in use.
func (x *index) put(place uint32, ref uint64, order uint32) {
	if ref >= x.limit {
		x.sparse.put(place, ref, order)
		return
	}
	d := x.dirEntry(ref)
	if *d == 0 || *d&loneBit != 0 {
		x.putFirst(d, ref, order)
		return
	}
	*x.slot(*d>>usedBits, ref) = order
	*d++
}

// putFirst is put where there is no page yet.
func (x *index) putFirst(d *uint32, ref uint64, order uint32) {
	had := *d
	if had == 0 {
		x.top = max(x.top, ref>>pageShift+1)
		if order <= loneMask {
			*d = lone(ref, order)
			return
		}
	}
	page := x.newPage()
	*x.slot(page, ref) = order
	*d = page<<usedBits + 1
	if had != 0 {
		*x.slot(page, uint64(had>>loneShift)) = had & loneMask
		*d++
	}
}

// drop takes out a reference that is an order's. A page without entries goes back to the pool, zeroed by its own drops.
func (x *index) drop(place uint32, ref uint64, order uint32) {
	if ref >= x.limit {
		x.sparse.drop(place, ref, order)
		return
	}
	d := x.dirEntry(ref)
	if *d&loneBit != 0 {
		*d = 0
		return
	}
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

func (x *index) newPage() uint32 {
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
