package fix

import (
	"embed"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
)

// The dictionaries of the QuickFIX family, unmodified, under their licence (dict/LICENSE):
// this product includes software developed by quickfixengine.org (http://www.quickfixengine.org/).
//
//go:embed dict/*.xml
var dictionaryFiles embed.FS

// Versions are those that Builtin knows, as they are named in configurations.
var Versions = []string{"FIX.4.2", "FIX.4.4", "FIX.5.0SP2"}

// Dictionary says which messages there are, what each consists of, and what each field is. It does not change and may be shared.
type Dictionary struct {
	Version     string // of the application messages, as in Versions
	BeginString string // field 8 of its messages

	fields   []*FieldInfo // by tag; nil: not defined
	messages map[string]*MessageInfo
	header   *Members
	trailer  *Members
}

// FieldInfo is one field of a dictionary.
type FieldInfo struct {
	Tag   uint32
	Name  string
	Type  Type
	Enums map[string]string // value to description; nil: any value of the type
}

// MessageInfo is one type of message.
type MessageInfo struct {
	Name    string
	MsgType string
	Admin   bool
	Body    *Members
}

// Members are the fields of a body, a header, a trailer or a group's entry, groups of components that they take in included, in the order of the dictionary.
type Members struct {
	List  []Member
	place []uint16 // by tag: index in List + 1
}

// Member is one of them.
type Member struct {
	Field    *FieldInfo
	Required bool
	Group    *Members // entries of the group that Field counts; nil: Field counts none. The first member is the delimiter
}

// find gives a tag's member, nil: it is none of them. Hot path.
func (m *Members) find(tag uint32) *Member {
	if m == nil || int(tag) >= len(m.place) || m.place[tag] == 0 {
		return nil
	}
	return &m.List[m.place[tag]-1]
}

// Field gives a tag's field, nil: it is not defined.
func (d *Dictionary) Field(tag uint32) *FieldInfo {
	if int(tag) >= len(d.fields) {
		return nil
	}
	return d.fields[tag]
}

// Message gives a type's message, nil: it is not defined. Hot path.
func (d *Dictionary) Message(msgType []byte) *MessageInfo { return d.messages[string(msgType)] }

// Messages are all types, in no order.
func (d *Dictionary) Messages() (all []*MessageInfo) {
	for _, m := range d.messages {
		all = append(all, m)
	}
	return all
}

// Builtin gives a dictionary that is part of the program: one of Versions, the last one being FIX 5.0 SP2 over FIXT.1.1. It is read when it is first
// asked for (5.0 SP2: tens of ms).
func Builtin(version string) (*Dictionary, error) {
	for i, v := range Versions {
		if strings.EqualFold(v, version) {
			return builtin[i]()
		}
	}
	return nil, fmt.Errorf("fix: version %q has no dictionary; known: %s", version, strings.Join(Versions, ", "))
}

var builtin = func() (all []func() (*Dictionary, error)) {
	for _, v := range Versions {
		all = append(all, sync.OnceValues(func() (*Dictionary, error) {
			return LoadDir(BuiltinDir(), v)
		}))
	}
	return all
}()

// BuiltinDir is the folder of the dictionaries that are part of the program.
func BuiltinDir() fs.FS {
	dir, err := fs.Sub(dictionaryFiles, "dict")
	if err != nil {
		panic("fix: the program lacks its dictionaries: " + err.Error())
	}
	return dir
}

// LoadDir reads a version's dictionary from a folder with the files FIX42.xml, FIX44.xml, or FIXT11.xml and FIX50SP2.xml.
func LoadDir(dir fs.FS, version string) (*Dictionary, error) {
	application := strings.ReplaceAll(version, ".", "") + ".xml"
	names := []string{application}
	if strings.HasPrefix(version, "FIX.5") {
		names = []string{"FIXT11.xml", application}
	}
	var readers []io.Reader
	for _, name := range names {
		f, err := dir.Open(name)
		if err != nil {
			return nil, fmt.Errorf("fix: dictionary of %s: %w", version, err)
		}
		defer f.Close()
		readers = append(readers, f)
	}
	d, err := Load(readers...)
	if err != nil {
		return nil, fmt.Errorf("fix: dictionary of %s: %w", version, err)
	}
	return d, nil
}

// Load reads a dictionary: one file, or the transport's and then the application's.
func Load(files ...io.Reader) (*Dictionary, error) {
	l := loader{d: &Dictionary{messages: map[string]*MessageInfo{}}, byName: map[string]*FieldInfo{}, components: map[string]*xmlMembers{}}
	var roots []xmlRoot
	for _, f := range files {
		var root xmlRoot
		if err := xml.NewDecoder(f).Decode(&root); err != nil {
			return nil, fmt.Errorf("not a dictionary: %w", err)
		}
		roots = append(roots, root)
		for _, x := range root.Fields {
			l.field(x)
		}
		for i := range root.Components {
			l.components[root.Components[i].Name] = &root.Components[i]
		}
	}
	for _, root := range roots {
		name := fmt.Sprintf("%s.%s.%s", root.Type, root.Major, root.Minor)
		if l.d.BeginString == "" {
			l.d.BeginString = name
		}
		if root.ServicePack != "" && root.ServicePack != "0" {
			name += "SP" + root.ServicePack
		}
		l.d.Version = name
		if len(root.Header.Members) > 0 {
			l.d.header = l.members(&root.Header)
			l.d.trailer = l.members(&root.Trailer)
		}
		for i := range root.Messages {
			x := &root.Messages[i]
			l.d.messages[x.MsgType] = &MessageInfo{Name: x.Name, MsgType: x.MsgType, Admin: x.Category == "admin", Body: l.members(x)}
		}
	}
	if l.err == nil && (l.d.header == nil || l.d.trailer == nil) {
		l.err = errors.New("no header or no trailer")
	}
	return l.d, l.err
}

type xmlRoot struct {
	Type        string       `xml:"type,attr"`
	Major       string       `xml:"major,attr"`
	Minor       string       `xml:"minor,attr"`
	ServicePack string       `xml:"servicepack,attr"`
	Header      xmlMembers   `xml:"header"`
	Trailer     xmlMembers   `xml:"trailer"`
	Messages    []xmlMembers `xml:"messages>message"`
	Components  []xmlMembers `xml:"components>component"`
	Fields      []xmlField   `xml:"fields>field"`
}

type xmlField struct {
	Number uint32 `xml:"number,attr"`
	Name   string `xml:"name,attr"`
	Type   string `xml:"type,attr"`
	Values []struct {
		Enum        string `xml:"enum,attr"`
		Description string `xml:"description,attr"`
	} `xml:"value"`
}

// xmlMembers is whatever has members: message, component, group, header; and a field, which has none.
type xmlMembers struct {
	XMLName  xml.Name
	Name     string       `xml:"name,attr"`
	MsgType  string       `xml:"msgtype,attr"`
	Category string       `xml:"msgcat,attr"`
	Required string       `xml:"required,attr"`
	Members  []xmlMembers `xml:",any"`
}

const (
	mostTag     = 40_000 // of a field with a place in a table
	mostDepth   = 16     // of components and groups within each other
	mostMembers = 2048   // of one message or group
)

type loader struct {
	d          *Dictionary
	byName     map[string]*FieldInfo
	components map[string]*xmlMembers
	groups     map[*xmlMembers]*Members
	depth      int
	err        error
}

func (l *loader) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

// field takes in one field. Transport and application both define some: the later one counts.
func (l *loader) field(x xmlField) {
	if x.Number == 0 || x.Number > mostTag {
		l.fail("field %s has number %d, want 1 to %d", x.Name, x.Number, mostTag)
		return
	}
	f := &FieldInfo{Tag: x.Number, Name: x.Name, Type: typeOf(x.Type)}
	if f.Type == TypeUnknown {
		l.fail("field %s has type %q, which is not known", x.Name, x.Type)
	}
	for _, v := range x.Values {
		if f.Enums == nil {
			f.Enums = map[string]string{}
		}
		f.Enums[v.Enum] = v.Description
	}
	if n := int(x.Number) + 1; n > len(l.d.fields) {
		l.d.fields = append(l.d.fields, make([]*FieldInfo, n-len(l.d.fields))...)
	}
	if old := l.d.fields[x.Number]; old != nil && old.Name == f.Name && old.Tag == f.Tag {
		*old = merged(*old, *f)
		f = old
	}
	l.d.fields[x.Number], l.byName[x.Name] = f, f
}

// merged is a field that two files define: what the one does not know of its values, the other may.
func merged(a, b FieldInfo) FieldInfo {
	if a.Enums == nil || b.Enums == nil {
		b.Enums = nil
		return b
	}
	for k, v := range a.Enums {
		if _, known := b.Enums[k]; !known {
			b.Enums[k] = v
		}
	}
	return b
}

// members resolves what a message, a header or a group consists of.
func (l *loader) members(x *xmlMembers) *Members {
	if m := l.groups[x]; m != nil {
		return m
	}
	m := &Members{}
	l.add(m, x, true)
	if l.groups == nil {
		l.groups = map[*xmlMembers]*Members{}
	}
	l.groups[x] = m // components are shared, and so are the groups in them
	return m
}

// add takes in x's members; what a component that is not required requires is not.
func (l *loader) add(m *Members, x *xmlMembers, required bool) {
	if l.depth++; l.depth > mostDepth {
		l.fail("%s %s: components or groups are more than %d deep", x.XMLName.Local, x.Name, mostDepth)
	}
	for i := range x.Members {
		if l.err != nil {
			break
		}
		y := &x.Members[i]
		need := required && y.Required == "Y"
		if y.XMLName.Local == "component" {
			c := l.components[y.Name]
			if c == nil {
				l.fail("component %s is not defined", y.Name)
				break
			}
			l.add(m, c, need)
			continue
		}
		f := l.byName[y.Name]
		if f == nil {
			l.fail("field %s of %s is not defined", y.Name, x.Name)
			break
		}
		member := Member{Field: f, Required: need}
		if y.XMLName.Local == "group" {
			member.Group = l.members(y)
			if len(member.Group.List) == 0 {
				l.fail("group %s has no members", y.Name)
			}
		}
		if err := m.put(member); err != nil {
			l.fail("%s %s: %w", x.XMLName.Local, x.Name, err)
		}
	}
	l.depth--
}

func (m *Members) put(member Member) error {
	tag := member.Field.Tag
	if m.find(tag) != nil {
		return nil // a component that is taken in twice
	}
	if len(m.List) == mostMembers {
		return fmt.Errorf("field %s: a message or group has at most %d members", member.Field.Name, mostMembers)
	}
	if n := int(tag) + 1; n > len(m.place) {
		m.place = append(m.place, make([]uint16, n-len(m.place))...)
	}
	m.List = append(m.List, member)
	m.place[tag] = uint16(len(m.List))
	return nil
}
