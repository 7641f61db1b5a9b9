package fix

import "bytes"

// A Message is one message's fields in order, with the groups among them. It is its caller's: Parse forgets the one before, and keeps its memory.
//
//	fields   8 9 35 34 49 52 56 | 262 55 268 269 270 271 269 270 271 | 10
//	         header             | body                               | trailer
//	groups                                 ^count, 2 entries: [269 270 271] [269 270 271]
//
// Reading is tolerant where that cannot change what a message says: the first tag behind a count is the delimiter if it is a member of the group; a tag
// that is a member of nothing belongs to the entry it stands in. Validate is as strict as it is told to be.
type Message struct {
	Raw    []byte
	Fields []Field
	Info   *MessageInfo // nil: its type is not in the dictionary

	dictionary *Dictionary
	body       int // index of the first field that is not of the header
	trailer    int // … of the first one of the trailer
	misplaced  uint32
	groups     []group // in order of their count fields
	entries    []entry // in order of their ends
	fault      Fault   // of structure: the first one
	faultAt    int     // fields from here on are not to be trusted
	scopes     [mostDepth + 1]*Members
	room       []Field
}

type group struct {
	at, end int // its count field, and the field behind it
	first   int // entries from here on, those of groups within it among them
	count   int
	members *Members
}

// Entry is the fields From to To of one entry of a group.
type Entry struct{ From, To int }

type entry struct {
	Entry
	group int
}

const (
	firstRoom = 128
	// MostFields is how many fields a message may have.
	MostFields = 1 << 17
)

// Parse reads a message as Frame cut it. The error is a *Fault of the message's own: garbled, or of the structure of groups, in which case Fields are there.
// Hot path: no allocation once the message has had room for as many fields and groups.
func (m *Message) Parse(raw []byte, d *Dictionary) error {
	m.Raw, m.dictionary, m.Info = raw, d, nil
	m.groups, m.entries = m.groups[:0], m.entries[:0]
	m.fault, m.misplaced = Fault{Reason: reasonNone}, 0
	if m.room == nil {
		m.room = make([]Field, firstRoom)
	}
	n, at, err := Scan(raw, m.room)
	for err == ErrRoom && len(m.room) < MostFields {
		m.room = make([]Field, 2*len(m.room))
		n, at, err = Scan(raw, m.room)
	}
	m.Fields = m.room[:n]
	m.body, m.trailer, m.faultAt = n, n, n
	if err != nil {
		m.garbled(at)
		return &m.fault
	}
	if n < 4 || m.Fields[0].Tag != TagBeginString || m.Fields[1].Tag != TagBodyLength || m.Fields[2].Tag != TagMsgType || m.Fields[n-1].Tag != TagCheckSum {
		m.fault = Fault{Reason: ReasonGarbled}
		return &m.fault
	}
	m.Info = d.Message(m.Value(2))
	m.structure()
	if m.fault.Reason != reasonNone {
		return &m.fault
	}
	return nil
}

// garbled says what cannot be a field; a value with an SOH in it looks like that too.
func (m *Message) garbled(at int) {
	m.fault = Fault{Reason: ReasonGarbled}
	if len(m.Fields) >= 3 && at < len(m.Raw) {
		m.fault = Fault{Reason: ReasonValueHasSOH, Tag: m.Fields[len(m.Fields)-1].Tag}
		if m.Raw[at] == '=' || bytes.IndexByte(m.Raw[at:min(len(m.Raw), at+12)], '=') > 0 {
			m.fault = Fault{Reason: ReasonTagNumber}
		}
	}
}

// structure finds the sections and the groups.
func (m *Message) structure() {
	m.scopes[0] = m.dictionary.header
	at := 3
	for at < len(m.Fields) {
		member := m.dictionary.header.find(m.Fields[at].Tag)
		if member == nil {
			break
		}
		at = m.member(at, member, 0)
	}
	m.body = at
	var body *Members
	if m.Info != nil {
		body = m.Info.Body
	}
	m.scopes[0] = body
	for at < len(m.Fields) {
		tag := m.Fields[at].Tag
		member := body.find(tag)
		if member == nil {
			if m.dictionary.trailer.find(tag) != nil {
				break
			}
			if m.misplaced == 0 && m.dictionary.header.find(tag) != nil {
				m.misplaced = tag
			}
			at++
			continue
		}
		at = m.member(at, member, 0)
	}
	m.trailer = at
	for ; at < len(m.Fields) && m.fault.Reason == reasonNone; at++ {
		if tag := m.Fields[at].Tag; m.dictionary.trailer.find(tag) == nil { // a group here would not be seen
			m.fault, m.faultAt = Fault{Reason: ReasonOrder, Tag: tag}, at
		}
	}
}

// member steps over a field and the group that it may count.
func (m *Message) member(at int, member *Member, depth int) (next int) {
	if member.Group == nil {
		return at + 1
	}
	return m.group(at, member.Group, depth+1)
}

// group reads the entries of the group that field at counts, and gives the index of the field behind them.
func (m *Message) group(at int, members *Members, depth int) (next int) {
	if depth > mostDepth {
		return m.wrong(at)
	}
	count := at
	n, ok := Uint(m.Value(at))
	if !ok || n > uint64(len(m.Fields)-at-1) { // more entries than fields
		return m.wrong(count)
	}
	index := len(m.groups)
	m.groups = append(m.groups, group{at: at, end: at + 1, first: len(m.entries), members: members})
	m.scopes[depth] = members
	at++
	if at == len(m.Fields) {
		return at
	}
	delimiter, found := m.Fields[at].Tag, uint64(0)
	if members.find(delimiter) != nil && !(n == 0 && m.outer(delimiter, depth)) {
		for at < len(m.Fields) && m.Fields[at].Tag == delimiter {
			from := at
			at = m.entry(at, members, delimiter, depth)
			m.entries = append(m.entries, entry{Entry{from, at}, index})
			found++
		}
	}
	m.groups[index].end, m.groups[index].count = at, int(found)
	if found != n {
		m.wrong(count)
	}
	return at
}

// entry steps over the fields of one entry.
func (m *Message) entry(at int, members *Members, delimiter uint32, depth int) (next int) {
	member := members.find(delimiter)
	for {
		at = m.member(at, member, depth)
		for {
			if at == len(m.Fields) || m.Fields[at].Tag == delimiter {
				return at
			}
			tag := m.Fields[at].Tag
			if member = members.find(tag); member != nil {
				break
			}
			if m.outer(tag, depth) {
				return at
			}
			at++ // of nobody: a venue's own field of this entry
		}
	}
}

// outer says whether a tag has its place around a group of some depth.
func (m *Message) outer(tag uint32, depth int) bool {
	for _, s := range m.scopes[:depth] {
		if s.find(tag) != nil {
			return true
		}
	}
	return m.dictionary.trailer.find(tag) != nil || m.dictionary.header.find(tag) != nil
}

// wrong notes a count that is not true.
func (m *Message) wrong(count int) (next int) {
	if m.fault.Reason == reasonNone {
		m.fault, m.faultAt = Fault{Reason: ReasonNumInGroup, Tag: m.Fields[count].Tag}, count
	}
	return count + 1
}

// Value is the value of a field by its index. Hot path.
func (m *Message) Value(i int) []byte { return m.Raw[m.Fields[i].Start:m.Fields[i].End] }

// MsgType is field 35.
func (m *Message) MsgType() []byte {
	if len(m.Fields) < 3 || m.Fields[2].Tag != TagMsgType {
		return nil
	}
	return m.Value(2)
}

// Get is the value of the first field of a tag outside groups, nil: there is none.
func (m *Message) Get(tag uint32) []byte { return m.In(Entry{0, len(m.Fields)}, tag) }

// In is the value of the first field of a tag in an entry, groups within it left out, nil: there is none.
func (m *Message) In(e Entry, tag uint32) []byte {
	g := m.groupsFrom(e.From)
	for i := e.From; i < e.To; i++ {
		if m.Fields[i].Tag == tag {
			return m.Value(i)
		}
		i, g = m.over(i, g)
	}
	return nil
}

// Entries appends the entries of a group outside groups to dst.
func (m *Message) Entries(dst []Entry, tag uint32) []Entry {
	return m.EntriesIn(dst, Entry{0, len(m.Fields)}, tag)
}

// EntriesIn appends the entries of a group within an entry to dst.
func (m *Message) EntriesIn(dst []Entry, e Entry, tag uint32) []Entry {
	g := m.groupsFrom(e.From)
	for i := e.From; i < e.To; i++ {
		if m.Fields[i].Tag == tag && g < len(m.groups) && m.groups[g].at == i {
			return m.appendEntries(dst, g)
		}
		i, g = m.over(i, g)
	}
	return dst
}

func (m *Message) appendEntries(dst []Entry, g int) []Entry {
	left := m.groups[g].count
	for i := m.groups[g].first; left > 0; i++ {
		if m.entries[i].group == g {
			dst = append(dst, m.entries[i].Entry)
			left--
		}
	}
	return dst
}

// groupsFrom is the first group whose count field is at or behind a field.
func (m *Message) groupsFrom(field int) int {
	lo, hi := 0, len(m.groups)
	for lo < hi {
		if mid := (lo + hi) / 2; m.groups[mid].at < field {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// over gives the last field of the group that field i counts, i if it counts none; g is the next group from i on.
func (m *Message) over(i, g int) (last, next int) {
	if g == len(m.groups) || m.groups[g].at != i {
		return i, g
	}
	last = max(m.groups[g].end-1, i)
	for g < len(m.groups) && m.groups[g].at <= last {
		g++
	}
	return last, g
}
