package fix

import (
	"slices"
	"strconv"
	"time"

	qf "github.com/quickfixgo/quickfix"

	codec "github.com/tickwire/tickwire/parsers/fix"
)

// subscriptions are what a client asks for: V for symbols, PerRequest at a time, and x (c in 4.2) for the list of them. All under the client's lock.
//
//	logon ──► x, V V V            again (a loss): V(263=2) for each that runs, then V with new MDReqIDs
//	y, d  ──► V for what is new   renew (some symbols lack something): the same for the requests that have them
//	                              Y, Reject, j: the request is over
type subscriptions struct {
	c        *Config
	symbols  []string // all that are wanted, in the order in which they were told
	known    map[string]bool
	prefix   string // MDReqIDs are unique over restarts
	made     time.Time
	stale    bool            // messages may be missing: ask anew
	wanted   map[string]bool // symbols whose requests are to be made anew
	requests map[string]*request
	bySeq    map[uint64]*request // requests that wait for an answer, by MsgSeqNum
	last     int                 // number of the last id

	listID   string // SecurityReqID that runs, "": none
	listSeen uint64
	fresh    []string // symbols of the list that are not asked for yet
	freshAt  time.Time
}

type request struct {
	id       string
	seq      uint64
	symbols  []string
	live     map[string]bool
	refused  bool
	list     bool
	replaces string   // the request that this one is to stand for, "": none
	by       *request // that is to stand for this one, nil: none
}

const (
	// resubscribeLeast is the time between two rounds of new requests.
	resubscribeLeast = time.Second
	// mostSymbols of a venue's list are taken.
	mostSymbols = 1 << 18
)

func (s *subscriptions) start(c *Config) {
	*s = subscriptions{c: c, known: map[string]bool{}, prefix: strconv.FormatInt(time.Now().UnixMilli(), 36) + "-"}
	for _, symbol := range c.Symbols {
		if !s.known[symbol] {
			s.known[symbol] = true
			s.symbols = append(s.symbols, symbol)
		}
	}
	s.forget()
}

func (s *subscriptions) forget() {
	s.requests, s.bySeq = map[string]*request{}, map[uint64]*request{}
	s.listID, s.listSeen = "", 0
	s.wanted = map[string]bool{}
}

func (s *subscriptions) nextID() string {
	s.last++
	return s.prefix + strconv.Itoa(s.last)
}

// logon makes the requests of a new session.
func (s *subscriptions) logon() []*qf.Message {
	s.forget()
	s.stale = false
	var out []*qf.Message
	if s.c.List {
		out = append(out, s.askList())
	}
	s.fresh = nil
	return append(out, s.subscribe(s.symbols)...)
}

// again replaces all requests that run.
func (s *subscriptions) again() []*qf.Message {
	s.stale = false
	clear(s.wanted)
	var out []*qf.Message
	for id, r := range s.requests {
		if !r.refused && !r.list && r.by == nil {
			out = append(out, s.marketData(r, '2'))
		}
		delete(s.requests, id)
	}
	clear(s.bySeq)
	if s.c.List {
		out = append(out, s.askList())
	}
	s.fresh = nil
	return append(out, s.subscribe(s.symbols)...)
}

// renew replaces the requests that have a wanted symbol. What else they have goes on without a hole: the new request is made before the old one is ended,
// and of an instrument the old one's X are taken until the new one's W comes. A venue that refuses to have an instrument twice gets all anew.
func (s *subscriptions) renew() (out []*qf.Message) {
	var old []*request
	for _, r := range s.requests {
		if !r.refused && !r.list && r.by == nil && slices.ContainsFunc(r.symbols, func(symbol string) bool { return s.wanted[symbol] }) {
			old = append(old, r)
		}
	}
	clear(s.wanted)
	s.made = time.Now()
	for _, r := range old {
		s.drop(r.replaces) // its end was asked for before
		delete(s.bySeq, r.seq)
		n := &request{id: s.nextID(), symbols: r.symbols, live: map[string]bool{}, replaces: r.id}
		r.by, s.requests[n.id] = n, n
		out = append(out, s.marketData(n, '1'), s.marketData(r, '2'))
	}
	return out
}

// want notes symbols for renew; none: all of them. One that is not known by that name is any of them.
func (s *subscriptions) want(symbols []string) {
	if len(symbols) == 0 || slices.ContainsFunc(symbols, func(symbol string) bool { return !s.known[symbol] }) {
		symbols = s.symbols
	}
	for _, symbol := range symbols {
		s.wanted[symbol] = true
	}
}

// drop forgets a request.
func (s *subscriptions) drop(id string) {
	if r := s.requests[id]; r != nil {
		delete(s.bySeq, r.seq)
		delete(s.requests, id)
	}
}

// good says whether an X of a request is to be taken: it runs, and of none of the symbols has the one that stands for it brought a W.
func (s *subscriptions) good(id []byte, m *message) bool {
	r := s.requests[string(id)]
	if r == nil || r.by == nil {
		return r != nil
	}
	return !slices.ContainsFunc(m.found, func(f codec.Field) bool { return f.Tag == 55 && r.by.live[string(m.at(f))] })
}

func (s *subscriptions) subscribe(symbols []string) (out []*qf.Message) {
	s.made = time.Now()
	for len(symbols) > 0 {
		n := min(len(symbols), s.c.PerRequest)
		r := &request{id: s.nextID(), symbols: symbols[:n:n], live: map[string]bool{}}
		s.requests[r.id] = r
		out = append(out, s.marketData(r, '1'))
		symbols = symbols[n:]
	}
	return out
}

// marketData builds V. The library writes fields by their tags, groups as they are given.
func (s *subscriptions) marketData(r *request, kind byte) *qf.Message {
	m := qf.NewMessage()
	m.Header.SetString(35, "V")
	m.Body.SetString(262, r.id)
	m.Body.SetString(263, string(kind))
	m.Body.SetInt(264, s.c.Depth)
	if kind == '1' {
		m.Body.SetInt(265, 1)
		if s.c.FullRefresh {
			m.Body.SetInt(265, 0)
		}
	}
	m.Body.SetString(266, yesNo(!s.c.Orders))
	var types, symbols []byte
	for _, t := range s.c.EntryTypes {
		types = appendField(types, 269, t)
	}
	for _, symbol := range r.symbols {
		symbols = appendField(symbols, 55, symbol)
	}
	m.Body.SetBytes(267, group(len(s.c.EntryTypes), types))
	m.Body.SetBytes(146, group(len(r.symbols), symbols))
	return m
}

// askList builds x, or c where there is no x.
func (s *subscriptions) askList() *qf.Message {
	r := &request{id: s.nextID(), list: true}
	s.requests[r.id] = r
	s.listID, s.listSeen = r.id, 0
	m := qf.NewMessage()
	m.Body.SetString(320, r.id)
	if s.c.Version == V42 {
		m.Header.SetString(35, "c")
		m.Body.SetInt(321, 3) // request list of securities
		return m
	}
	m.Header.SetString(35, "x")
	m.Body.SetInt(559, 4) // all securities
	return m
}

// sent is told the number under which a request went out.
func (s *subscriptions) sent(id string, seq uint64) {
	if r := s.requests[id]; r != nil && r.by == nil {
		r.seq = seq
		s.bySeq[seq] = r
	}
}

// filled is told that numbers from first on, before behind, are filled without their messages: true if a request that has no answer yet is among them.
func (s *subscriptions) filled(first, behind uint64) bool {
	for seq := range s.bySeq {
		if seq >= first && seq < behind {
			return true
		}
	}
	return false
}

// snapshot is told of W for a request; false: that request does not run.
func (s *subscriptions) snapshot(id, symbol []byte) bool {
	r := s.requests[string(id)]
	if r == nil {
		return false
	}
	delete(s.bySeq, r.seq)
	if len(symbol) > 0 && s.known[string(symbol)] && !r.live[string(symbol)] {
		if r.live[string(symbol)] = true; len(r.live) == len(r.symbols) {
			s.drop(r.replaces)
			r.replaces = ""
		}
	}
	return true
}

// refuse ends a request: Y by its id, Reject and j by the number of the message. over says that it was to replace one, which is over, too.
func (s *subscriptions) refuse(r *request) (symbols int, over bool) {
	if r == nil {
		return 0, false
	}
	delete(s.bySeq, r.seq)
	r.refused, over = true, r.replaces != ""
	clear(r.live)
	if r.list {
		s.listID = ""
	}
	return len(r.symbols), over
}

// listed takes the symbols of y or d that are new.
func (s *subscriptions) listed(m *message, single bool) {
	if id := m.value(320); id != nil && s.requests[string(id)] != nil {
		delete(s.bySeq, s.requests[string(id)].seq)
	}
	for _, f := range m.found {
		if f.Tag != 55 {
			continue
		}
		s.listSeen++
		s.add(string(m.at(f)))
		if single {
			break
		}
	}
	s.freshAt = time.Now()
	total, counted := m.count(393)
	last := m.value(893)
	if len(last) == 1 && last[0] == 'Y' || counted && s.listSeen >= total {
		s.freshAt = time.Time{} // the list is whole
		s.listID = ""
	}
}

// add takes a symbol of the venue's, if it is new.
func (s *subscriptions) add(symbol string) {
	if goodText(symbol) && !s.known[symbol] && len(s.symbols) < mostSymbols {
		s.known[symbol] = true
		s.symbols = append(s.symbols, symbol)
		s.fresh = append(s.fresh, symbol)
	}
}

// reported takes the symbols that BK or BP adds to a list that was asked for. What they take away ends by itself.
func (s *subscriptions) reported(m *message) {
	if !s.c.List || string(m.value(980)) == "D" {
		return
	}
	symbol := ""
	for _, f := range m.found {
		switch {
		case f.Tag == 55:
			s.add(symbol)
			symbol = string(m.at(f))
		case f.Tag == 1324 && string(m.at(f)) == "D":
			symbol = ""
		}
	}
	s.add(symbol)
	if len(s.fresh) > 0 && s.listID == "" {
		s.freshAt = time.Time{} // it is whole
	}
}

// complete gives the requests for symbols of the list, when it is whole or has said nothing for a while: the total and the mark of the last
// fragment are optional.
func (s *subscriptions) complete() []*qf.Message {
	if len(s.fresh) == 0 || time.Since(s.freshAt) < s.c.ListPatience {
		return nil
	}
	made := s.made
	out := s.subscribe(s.fresh)
	s.made, s.fresh = made, nil
	return out
}

// live counts symbols whose W has come, and those that were refused.
func (s *subscriptions) live() (live, refused int) {
	for _, r := range s.requests {
		if r.by != nil {
			continue
		}
		live += len(r.live)
		if r.refused {
			refused += len(r.symbols)
		}
	}
	return live, refused
}
