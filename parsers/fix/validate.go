package fix

import "bytes"

// Checks are the switches of Validate. The zero value is the strictest.
type Checks struct {
	AllowUnknown  bool // tags that are not defined, or not for this type of message
	AllowUserTags bool // those from 5000 up
	AllowDisorder bool // fields of the header behind the first one of the body
	AllowEmpty    bool // tag=
	AllowAnyEnum  bool // values that the dictionary does not list
	AllowAnyOrder bool // members of a group's entry in another order than the dictionary's, an entry that does not begin with its first member
}

// Validate checks the message that Parse read against its dictionary, in the order of the public engines: type known; required fields; no empty value; sections
// in order; each field defined, of the message, of a legal value and form; none twice; groups. The error is a *Fault of the message's own, the first one found.
// Not for the hot path, though it does not allocate.
func (m *Message) Validate(c Checks) error {
	if m.fault.Reason == ReasonGarbled || m.fault.Reason == ReasonValueHasSOH || m.fault.Reason == ReasonTagNumber {
		return &m.fault
	}
	for _, check := range [...]func(*Message, Checks) Fault{known, required, filled, ordered, defined, unique, grouped} {
		if f := check(m, c); f.Reason != reasonNone {
			m.fault = f
			return &m.fault
		}
	}
	return nil
}

var fine = Fault{Reason: reasonNone}

func known(m *Message, _ Checks) Fault {
	if m.Info == nil {
		return Fault{Reason: ReasonMsgType}
	}
	return fine
}

func required(m *Message, c Checks) Fault {
	all := Entry{0, len(m.Fields)}
	for _, section := range [...]*Members{m.dictionary.header, m.Info.Body, m.dictionary.trailer} {
		if tag := m.missing(all, section); tag != 0 {
			return Fault{Reason: ReasonRequired, Tag: tag}
		}
	}
	for i, e := range m.entries {
		members := m.groups[e.group].members
		if !m.entryTrusted(i) || !c.AllowAnyOrder && m.Fields[e.From].Tag != members.List[0].Field.Tag {
			continue // grouped tells of it
		}
		if tag := m.missing(e.Entry, members); tag != 0 {
			return Fault{Reason: ReasonRequired, Tag: tag}
		}
	}
	return fine
}

// missing is a member that is required and is not there.
func (m *Message) missing(e Entry, members *Members) uint32 {
	for i := range members.List {
		if x := &members.List[i]; x.Required && m.In(e, x.Field.Tag) == nil {
			return x.Field.Tag
		}
	}
	return 0
}

// entryTrusted says whether an entry lies before what is wrong with the structure.
func (m *Message) entryTrusted(i int) bool { return m.entries[i].To <= m.faultAt }

func filled(m *Message, c Checks) Fault {
	for _, f := range m.Fields {
		if f.Start == f.End && !c.AllowEmpty {
			return Fault{Reason: ReasonNoValue, Tag: f.Tag}
		}
	}
	return fine
}

func ordered(m *Message, c Checks) Fault {
	if m.misplaced != 0 && !c.AllowDisorder {
		return Fault{Reason: ReasonOrder, Tag: m.misplaced}
	}
	return fine
}

func defined(m *Message, c Checks) Fault {
	e := 0 // entries are in order of their ends: those that end at or before a field are done with
	for i, f := range m.Fields[:m.faultAt] {
		for e < len(m.entries) && m.entries[e].To <= i {
			e++
		}
		info := m.dictionary.Field(f.Tag)
		if info == nil {
			if !c.AllowUnknown && !(c.AllowUserTags && f.Tag >= UserTags) {
				return Fault{Reason: ReasonTagNumber, Tag: f.Tag}
			}
			continue
		}
		if !c.AllowUnknown && !m.placed(i, e) {
			return Fault{Reason: ReasonNotOfType, Tag: f.Tag}
		}
		if f.Start == f.End {
			continue
		}
		if !info.Type.fits(m.Value(i)) {
			return Fault{Reason: ReasonFormat, Tag: f.Tag}
		}
		if !c.AllowAnyEnum && !info.Legal(m.Value(i)) {
			return Fault{Reason: ReasonValue, Tag: f.Tag}
		}
	}
	return fine
}

// placed says whether a field is a member of where it stands; from e on are the entries that it may stand in.
func (m *Message) placed(i, e int) bool {
	tag := m.Fields[i].Tag
	for ; e < len(m.entries); e++ {
		if x := m.entries[e]; x.From <= i {
			return m.groups[x.group].members.find(tag) != nil
		} else if x.From > i && m.outermost(e) {
			break
		}
	}
	return m.dictionary.header.find(tag) != nil || m.Info.Body.find(tag) != nil || m.dictionary.trailer.find(tag) != nil
}

// outermost says whether an entry's group is in no other entry.
func (m *Message) outermost(e int) bool {
	at := m.groups[m.entries[e].group].at
	for _, x := range m.entries[e+1:] {
		if x.From <= at && at < x.To {
			return false
		}
	}
	return true
}

// Legal says whether a value is one of those that the dictionary lists, if it lists any; of several values in one field each must be.
func (f *FieldInfo) Legal(value []byte) bool {
	if f.Enums == nil {
		return true
	}
	if f.Type != TypeMultiple && f.Type != TypeMultipleChar {
		_, ok := f.Enums[string(value)]
		return ok
	}
	for len(value) > 0 {
		one, rest, _ := bytes.Cut(value, []byte{' '})
		if _, ok := f.Enums[string(one)]; !ok {
			return false
		}
		value = rest
	}
	return true
}

// unique finds a tag that is there twice outside groups.
func unique(m *Message, _ Checks) Fault {
	var seen [mostTag/64 + 1]uint64
	g := 0
	for i := 0; i < m.faultAt; i++ {
		if tag := m.Fields[i].Tag; tag <= mostTag {
			if seen[tag/64]>>(tag%64)&1 != 0 {
				return Fault{Reason: ReasonTwice, Tag: tag}
			}
			seen[tag/64] |= 1 << (tag % 64)
		}
		i, g = m.over(i, g)
	}
	return fine
}

// grouped checks each entry's order, which finds what is there twice too, and then whether all counts are true.
func grouped(m *Message, c Checks) Fault {
	for k, e := range m.entries {
		if !m.entryTrusted(k) {
			continue
		}
		members := m.groups[e.group].members
		if first := m.Fields[e.From].Tag; !c.AllowAnyOrder && first != members.List[0].Field.Tag {
			return Fault{Reason: ReasonNumInGroup, Tag: m.Fields[m.groups[e.group].at].Tag} // the entry is not seen by a strict reader
		}
		if f := m.entryOrder(e.Entry, members, c); f.Reason != reasonNone {
			return f
		}
	}
	return m.fault
}

func (m *Message) entryOrder(e Entry, members *Members, c Checks) Fault {
	var seen [mostMembers/64 + 1]uint64
	last, g := uint16(0), m.groupsFrom(e.From)
	for i := e.From; i < e.To; i++ {
		tag := m.Fields[i].Tag
		if members.find(tag) != nil {
			place := members.place[tag]
			if seen[place/64]>>(place%64)&1 != 0 {
				return Fault{Reason: ReasonTwice, Tag: tag}
			}
			if place < last && !c.AllowAnyOrder {
				return Fault{Reason: ReasonGroupOrder, Tag: tag}
			}
			seen[place/64] |= 1 << (place % 64)
			last = place
		}
		i, g = m.over(i, g)
	}
	return fine
}
