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
	end  uint64 // numbers below it are waited for
	at   uint64 // lane time, ns
	lost bool   // some of them were given up
}

const maxHoles = 64

func (h *holes) first() *hole { return &h.marks[h.at] }

func (h *holes) add(end, now uint64) {
	if h.n == maxHoles {
		last := &h.marks[(h.at+h.n-1)%maxHoles]
		last.end, last.at = end, now
		return
	}
	h.marks[(h.at+h.n)%maxHoles] = hole{end: end, at: now}
	h.n++
}

// lose marks the holes that have numbers below to: they will not be filled whole.
func (h *holes) lose(to uint64) {
	for i := range h.n {
		m := &h.marks[(h.at+i)%maxHoles]
		m.lost = true
		if m.end >= to {
			return
		}
	}
}

// close takes away the holes below next and says how many of them were filled.
func (h *holes) close(next uint64) (filled uint64) {
	for h.n > 0 && h.first().end <= next {
		if !h.first().lost {
			filled++
		}
		h.at = (h.at + 1) % maxHoles
		h.n--
	}
	return filled
}
