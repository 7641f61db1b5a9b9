package resync

import (
	"sync"

	"github.com/tickwire/tickwire/feed/pricebook"
)

// depths are how deep the venue's price books are, as its definitions say: levels that fall off the end are not told of, so a rebuild must know before it
// begins. They come from the lane, which had all definitions, whatever day it is.
type depths struct {
	mu sync.Mutex
	of map[uint32][2]int
}

func (d *depths) tell(p *pricebook.Books) {
	if p == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, n := range d.of {
		p.SetDepth(id, n[0], n[1])
	}
}

// Depth notes how many levels a side the venue sends of an instrument, and how many implied ones: what the lane gave its own price books
// (pricebook.Books.SetDepth). It takes a lock that nobody holds for long, and memory for an instrument that is new: for definitions only.
func (l *Lane) Depth(instrument uint32, depth, implied int) {
	d := &l.r.depths
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = make(map[uint32][2]int)
	}
	d.of[instrument] = [2]int{depth, implied}
}
