package session

// holes are the missing numbers that are still waited for, each with the time it was noticed: numbers that were found
// missing later have their own time, however long an earlier hole has been open.
//
//	next ……… end[0] ……… end[1] ……… highest      what is missing below end[0] was noticed at at[0], and so on
//
// Bounded: one more than maxHoles at once shares the last one's time, which is set anew so that none is given up too soon.
type holes struct {
	marks [maxHoles]hole
	at    int // of the first
	n     int
}

type hole struct {
	end     uint64 // numbers below it are waited for
	at      uint64 // lane time, ns
	lost    bool   // some of them were given up
	unasked bool   // the venue is not asked for them
	told    bool   // it was, for some
}

const maxHoles = 256

func (h *holes) first() *hole { return &h.marks[h.at] }

// i is the hole behind i others.
func (h *holes) i(i int) *hole { return &h.marks[(h.at+i)%maxHoles] }

func (h *holes) add(end, now uint64, unasked bool) {
	if h.n == maxHoles {
		last := h.i(h.n - 1)
		last.end, last.at = end, now
		last.unasked = last.unasked || unasked
		return
	}
	h.n++
	*h.i(h.n - 1) = hole{end: end, at: now, unasked: unasked}
}

// lose marks the holes that have numbers below to: they will not be filled whole.
func (h *holes) lose(to uint64) {
	for i := range h.n {
		m := h.i(i)
		m.lost = true
		if m.end >= to {
			return
		}
	}
}

// close takes away the holes below next and says how many of them were filled by the lines, and how many after the venue was asked.
func (h *holes) close(next uint64) (filled, recovered uint64) {
	for h.n > 0 && h.first().end <= next {
		switch m := h.first(); {
		case m.lost:
		case m.told:
			recovered++
		default:
			filled++
		}
		h.at = (h.at + 1) % maxHoles
		h.n--
	}
	return filled, recovered
}
