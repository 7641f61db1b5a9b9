package session

// asks are the requests that wait for an answer. What was told as recovering is cut, from its lowest number on, into pieces of at most
// AskMessages; each piece has one request under way at a time, and AskAtOnce pieces are under way at once.
//
//	told     [--------------------)   [-----)              what is missing
//	pieces   [asked)[asked)[      )                        askedTo: nothing behind it was asked for yet
//
//	request ──answer──► is the piece whole? ──no──► ask for the first number that it lacks, of the same server
//	   └──── Retry, then twice that, … ──────────► ask again, of the next server; Tries times in all
//
// What is asked, when and of whom hangs on what came, and on the lane's time alone.
type asks struct {
	open   [mostAsks]piece
	n      int
	server int // the one that answered last
}

type piece struct {
	first, end uint64 // what may be missing; first is the number that was asked for
	at         uint64 // lane time of the request, ns
	patience   uint64 // how long its answer may take, ns
	tries      int
	server     int
	answered   bool // by a packet that has the number first
}

const mostAsks = 64

// ask gives up what the venue says will not come, and sends what is due: for pieces under way, then for new ones as long as there may be more.
func (c *Channel) ask(now uint64) {
	link := c.cfg.Link
	for c.holes.n != 0 {
		end, refused := link.wontCome(c.next)
		if !refused {
			break
		}
		c.Ask.Refused++
		c.giveUp(min(end, c.highest))
	}
	for i := 0; i < c.asks.n; {
		p := &c.asks.open[i]
		due := p.answered || p.end <= c.next || since(&p.at, now) >= p.patience
		if due && !c.again(p, now) {
			c.asks.n--
			*p = c.asks.open[c.asks.n]
			continue
		}
		i++
	}
	for c.asks.n < c.cfg.AskAtOnce {
		first, end, ok := c.unasked()
		if !ok {
			break
		}
		c.askedTo = min(end, first+uint64(c.cfg.AskMessages))
		c.asks.open[c.asks.n] = piece{first: first, end: c.askedTo, patience: uint64(c.cfg.Retry), server: c.asks.server}
		c.request(&c.asks.open[c.asks.n], c.askedTo, now)
		c.asks.n++
	}
	c.Ask.LiveAsks = uint64(c.asks.n)
}

// unasked is the first stretch that was told and not asked for yet.
func (c *Channel) unasked() (first, end uint64, ok bool) {
	from := max(c.askedTo, c.next)
	for i := range c.told.n {
		s := c.told.i(i)
		if s.end <= from {
			continue
		}
		if first, end, ok = c.hold.missing(max(from, s.first), s.end); ok {
			return first, end, true
		}
		from = s.end
	}
	c.askedTo = from // all of it has come
	return 0, 0, false
}

// again asks for what a piece still lacks; false when that is nothing, or was asked for often enough.
func (c *Channel) again(p *piece, now uint64) bool {
	first, end, ok := c.hold.missing(max(p.first, c.next), p.end)
	switch {
	case !ok:
		return false
	case p.answered:
		p.tries, p.patience = 0, uint64(c.cfg.Retry)
	case p.tries >= c.cfg.Tries:
		c.Ask.Exhausted++
		return false
	default:
		c.Ask.Retries++
		p.patience *= 2
		if p.server == c.asks.server {
			c.asks.server = (c.asks.server + 1) % c.cfg.Link.servers
		}
		p.server = (p.server + 1) % c.cfg.Link.servers
	}
	p.first, p.answered = first, false
	c.request(p, end, now)
	return true
}

// request asks for [first of the piece, end).
func (c *Channel) request(p *piece, end, now uint64) {
	p.at = now
	p.tries++
	c.Ask.Requests++
	if !c.cfg.Link.ask(request{session: c.id, first: p.first, count: uint16(end - p.first), server: uint16(p.server)}) {
		c.Ask.Unsent++
	}
}

// answeredBy notes which pieces an answer with the numbers [first, end) is for.
func (c *Channel) answeredBy(first, end uint64, server int) {
	for i := range c.asks.n {
		if p := &c.asks.open[i]; first <= p.first && p.first < end {
			if c.cfg.Link.several && end < p.end { // more of the same answer is on its way: its next packet has as long as the first
				p.first, p.at, p.tries = end, c.Recovery.LastAt, 1
				continue
			}
			p.answered = true
			if server < c.cfg.Link.servers {
				c.asks.server = server
			}
		}
	}
}
