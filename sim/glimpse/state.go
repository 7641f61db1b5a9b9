package glimpse

import (
	"encoding/binary"
	"sync"

	"github.com/tickwire/tickwire/parsers/itch"
)

// Snapshotter gives the present state of a session as length-prefixed ITCH messages, appended to dst, and the number of the first message
// that is not in it. It is called by a goroutine for each client.
type Snapshotter interface {
	Snapshot(dst []byte) (blocks []byte, next uint64)
}

// Sessioner is a Snapshotter that knows the name of the session; empty: it does not.
type Sessioner interface {
	Session() string
}

// State is a Snapshotter that is kept by the messages of a session. The zero value is a session before its first message. All methods are
// safe for concurrent use; Apply waits while a snapshot is made, some 50 ms for a million orders.
type State struct {
	mu     sync.Mutex
	name   string // of the session
	next   uint64 // number of the message to come, less 1
	system []byte
	about  map[uint16]*listing
	order  []uint16 // locates by their first message
	live   map[uint64]int
	orders []resting // by arrival; dead ones have no shares
	dead   int
}

// listing is the latest message of each kind about a security.
type listing struct{ directory, trading, regSHO, operational []byte }

// resting is a live order. The message that it was added or replaced by gives its time.
type resting struct {
	ref    uint64
	head   [11]byte // type A or F, locate, tracking number, time
	stock  [8]byte
	mpid   [4]byte
	side   byte
	shares uint32
	price  uint32
}

// Begin starts another session, or the first one; clients are told its name at their login.
func (s *State) Begin(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = session
	s.next, s.system, s.about, s.order, s.live, s.orders, s.dead = 0, nil, nil, nil, nil, nil, 0
}

// Session is the present one's name, as Begin was told.
func (s *State) Session() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// Next is the number of the message to come: 1 at first.
func (s *State) Next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next + 1
}

// Apply takes the session's next message, without a length. Every message has a number, also one of an unknown type or a wrong length.
// What it says is entered by the rules of the ITCH 5.0 specification.
func (s *State) Apply(m []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	if len(m) == 0 || itch.Length(m[0]) == 0 || len(m) < itch.Length(m[0]) {
		return
	}
	m = m[:itch.Length(m[0])]
	be := binary.BigEndian
	switch m[0] {
	case 'S':
		s.system = append(s.system[:0], m...)
	case 'R', 'H', 'Y', 'h':
		s.tell(m)
	case 'A', 'F':
		o := resting{
			ref: be.Uint64(m[11:]), head: [11]byte(m), side: m[19], shares: be.Uint32(m[20:]), stock: [8]byte(m[24:]), price: be.Uint32(m[32:]),
		}
		if m[0] == 'F' {
			o.mpid = [4]byte(m[36:])
		}
		s.add(&o)
	case 'E', 'C', 'X':
		s.take(be.Uint64(m[11:]), be.Uint32(m[19:]))
	case 'D':
		s.take(be.Uint64(m[11:]), 1<<32-1)
	case 'U':
		at, ok := s.live[be.Uint64(m[11:])]
		if !ok {
			return
		}
		o := s.orders[at]
		s.take(o.ref, 1<<32-1)
		copy(o.head[3:], m[3:11])
		o.ref, o.shares, o.price = be.Uint64(m[19:]), be.Uint32(m[27:]), be.Uint32(m[31:])
		s.add(&o)
	}
}

func (s *State) tell(m []byte) {
	locate := binary.BigEndian.Uint16(m[1:])
	l := s.about[locate]
	if l == nil {
		if s.about == nil {
			s.about = make(map[uint16]*listing)
		}
		l = &listing{}
		s.about[locate] = l
		s.order = append(s.order, locate)
	}
	switch m[0] {
	case 'R':
		l.directory = append(l.directory[:0], m...)
	case 'H':
		l.trading = append(l.trading[:0], m...)
	case 'Y':
		l.regSHO = append(l.regSHO[:0], m...)
	case 'h':
		l.operational = append(l.operational[:0], m...)
	}
}

func (s *State) add(o *resting) {
	if o.shares == 0 || o.price == 0 || o.side != 'B' && o.side != 'S' {
		return
	}
	s.take(o.ref, 1<<32-1) // given out again: the stale one goes
	if s.live == nil {
		s.live = make(map[uint64]int)
	}
	s.live[o.ref] = len(s.orders)
	s.orders = append(s.orders, *o)
}

func (s *State) take(ref uint64, shares uint32) {
	at, ok := s.live[ref]
	if !ok {
		return
	}
	o := &s.orders[at]
	if o.shares -= min(shares, o.shares); o.shares != 0 {
		return
	}
	delete(s.live, ref)
	if s.dead++; s.dead > len(s.orders)/2 && s.dead > 1024 {
		s.compact()
	}
}

// compact drops the dead, in the order of arrival.
func (s *State) compact() {
	to := 0
	for i := range s.orders {
		if s.orders[i].shares != 0 {
			s.orders[to] = s.orders[i]
			s.live[s.orders[to].ref] = to
			to++
		}
	}
	s.orders, s.dead = s.orders[:to], 0
}

// Orders is the number of live orders.
func (s *State) Orders() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live)
}

// Snapshot appends the latest system event, the directory, then the states of each security, then every live order by the time of its
// arrival, with the shares displayed now. It implements Snapshotter.
func (s *State) Snapshot(dst []byte) (blocks []byte, next uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dst = block(dst, s.system)
	for _, locate := range s.order {
		dst = block(dst, s.about[locate].directory)
	}
	for _, locate := range s.order {
		l := s.about[locate]
		dst = block(block(block(dst, l.trading), l.regSHO), l.operational)
	}
	for i := range s.orders {
		if o := &s.orders[i]; o.shares != 0 {
			dst = o.block(dst)
		}
	}
	return dst, s.next + 1
}

func block(dst, m []byte) []byte {
	if len(m) == 0 {
		return dst
	}
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(m))), m...)
}

func (o *resting) block(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint16(dst, uint16(itch.Length(o.head[0])))
	dst = append(dst, o.head[:]...)
	dst = be.AppendUint64(dst, o.ref)
	dst = append(dst, o.side)
	dst = be.AppendUint32(dst, o.shares)
	dst = append(dst, o.stock[:]...)
	dst = be.AppendUint32(dst, o.price)
	if o.head[0] == 'F' {
		dst = append(dst, o.mpid[:]...)
	}
	return dst
}
