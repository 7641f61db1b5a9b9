package tuning

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Setter is Devices that can be set as well. Only package tuning/apply calls it, which journals first and reads back after.
//
// A field is named by its JSON name in the struct of its group; its value is text: a number, or on and off. Three have a
// form of their own: "rss" field "equal" is how many queues the table is spread over, or "table 0,0,1,…" where it is another;
// "rules" field "insert" is "GROUP:PORT QUEUE", and without a queue there is no rule; "features" and "private" have
// a field for each name.
type Setter interface {
	Devices
	Set(nic, group, field, value string) error
}

// settable says which fields Set takes, by group; nil: any name.
var settable = map[string][]string{
	"rings":    {"rx_pending", "tx_pending"},
	"coalesce": {"rx_usecs", "rx_frames", "tx_usecs", "tx_frames", "adaptive_rx", "adaptive_tx"},
	"pause":    {"autoneg", "rx", "tx"},
	"channels": {"rx", "tx", "combined"},
	"eee":      {"enabled"},
	"fec":      {"configured"},
	"hwtstamp": {"rx_filter", "tx_type"},
	"rss":      {"equal"},
	"rules":    {"insert"},
	"features": nil,
	"private":  nil,
}

// Settable says whether Set takes a field.
func Settable(group, field string) bool {
	fields, ok := settable[group]
	return ok && (fields == nil && field != "" || slices.Contains(fields, field))
}

// Field is one field as Set takes it. The field "insert" of "rules" needs the group whose rule is meant, after a blank:
// "insert 233.54.12.11:26477".
func Field(d Devices, nic, group, field string) (string, error) {
	word, arg, _ := strings.Cut(field, " ")
	if !Settable(group, word) {
		return "", fmt.Errorf("%s.%s is nothing that can be set", group, field)
	}
	switch group {
	case "features":
		all, err := askFor[Features](d, nic, group)
		f, ok := all[field]
		if err == nil && !ok {
			err = unix.EOPNOTSUPP
		}
		return onOff(f.On), err
	case "private":
		all, err := askFor[Private](d, nic, group)
		on, ok := all[field]
		if err == nil && !ok {
			err = unix.EOPNOTSUPP
		}
		return onOff(on), err
	case "rss":
		r, err := askFor[RSS](d, nic, group)
		return r.text(), err
	case "rules":
		rules, err := askFor[Rules](d, nic, group)
		flow := arg
		if to, err := netip.ParseAddrPort(arg); err == nil {
			flow = to.String()
		}
		i := slices.IndexFunc(rules, func(r Rule) bool { return r.Group == flow })
		if err != nil || i < 0 {
			return arg, err
		}
		return arg + " " + strconv.Itoa(rules[i].Queue), nil
	}
	into := map[string]any{}
	var err error
	switch group { // Ask wants the struct of the group
	case "rings":
		err = askInto[Rings](d, nic, group, into)
	case "coalesce":
		err = askInto[Coalesce](d, nic, group, into)
	case "pause":
		err = askInto[Pause](d, nic, group, into)
	case "channels":
		err = askInto[Channels](d, nic, group, into)
	case "eee":
		err = askInto[EEE](d, nic, group, into)
	case "fec":
		err = askInto[FEC](d, nic, group, into)
	case "hwtstamp":
		err = askInto[HWTstamp](d, nic, group, into)
	}
	if err != nil {
		return "", err
	}
	if on, ok := into[field].(bool); ok {
		return onOff(on), nil
	}
	return fmt.Sprint(into[field]), nil
}

func askFor[T any](d Devices, nic, group string) (v T, err error) { return v, d.Ask(nic, group, &v) }

func askInto[T any](d Devices, nic, group string, into map[string]any) error {
	v, err := askFor[T](d, nic, group)
	if err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &into)
}

// text is how many queues the table is spread over as `ethtool -X IF equal N` does, or the table itself.
func (r RSS) text() string {
	if len(r.Table) == 0 {
		return ""
	}
	n := slices.Max(r.Table) + 1
	words := make([]string, len(r.Table))
	equal := true
	for i, q := range r.Table {
		equal = equal && q == i%n
		words[i] = strconv.Itoa(q)
	}
	if equal {
		return strconv.Itoa(n)
	}
	return "table " + strings.Join(words, ",")
}

// parseRSS is text's inverse, for a table of a size.
func parseRSS(text string, size int) ([]int, error) {
	table := make([]int, size)
	if list, ok := strings.CutPrefix(text, "table "); ok {
		words := strings.Split(list, ",")
		if len(words) != size {
			return nil, fmt.Errorf("rss: a table of %d entries, and the driver has %d", len(words), size)
		}
		for i, w := range words {
			q, err := strconv.Atoi(w)
			if err != nil || q < 0 || q > 65535 {
				return nil, fmt.Errorf("rss: entry %d is %q", i, short(w))
			}
			table[i] = q
		}
		return table, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return nil, fmt.Errorf("rss.equal = %q, want a number of queues", short(text))
	}
	for i := range table {
		table[i] = i % n
	}
	return table, nil
}

// parseInsert reads "GROUP:PORT" or "GROUP:PORT QUEUE"; queue -1: no rule is wanted.
func parseInsert(value string) (to netip.AddrPort, queue int, err error) {
	group, q, has := strings.Cut(value, " ")
	if to, err = netip.ParseAddrPort(group); err != nil || !to.Addr().Is4() {
		return to, -1, fmt.Errorf("rules.insert: %q, want an IPv4 group and port", short(group))
	}
	if !has {
		return to, -1, nil
	}
	if queue, err = strconv.Atoi(q); err != nil || queue < 0 || queue > 65535 {
		return to, -1, fmt.Errorf("rules.insert: queue %q", short(q))
	}
	return to, queue, nil
}

// parseField is a value of a group whose fields are words of 32 bits.
func parseField(group, field, value string) (uint32, error) {
	switch value {
	case "on":
		return 1, nil
	case "off":
		return 0, nil
	}
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s.%s = %q, want a number, on or off", group, field, short(value))
	}
	return uint32(n), nil
}

// words says of the groups that are plain structs: the commands that get and set them, how many words they have, and where
// the fields are in them (linux/ethtool.h).
var words = map[string]struct {
	get, set, size uint32
	field          map[string]int
}{
	"rings":    {0x10, 0x11, 9, map[string]int{"rx_pending": 5, "tx_pending": 8}},
	"coalesce": {0x0e, 0x0f, 23, map[string]int{"rx_usecs": 1, "rx_frames": 2, "tx_usecs": 5, "tx_frames": 6, "adaptive_rx": 10, "adaptive_tx": 11}},
	"pause":    {0x12, 0x13, 4, map[string]int{"autoneg": 1, "rx": 2, "tx": 3}},
	"channels": {0x3c, 0x3d, 9, map[string]int{"rx": 5, "tx": 6, "combined": 8}},
	"eee":      {0x44, 0x45, 10, map[string]int{"enabled": 5}},
	"fec":      {0x50, 0x51, 4, map[string]int{"configured": 2}},
}

// Set gets the whole struct, changes one field and sets it: what else is in it stays.
func (kernel) Set(nic, group, field, value string) error {
	if len(nic) >= unix.IFNAMSIZ || nic == "" {
		return unix.ENODEV
	}
	if !Settable(group, field) {
		return fmt.Errorf("%s.%s is nothing that can be set", group, field)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	e := ethtool{fd, nic}
	if group == "rss" {
		return e.setRSS(value)
	} else if group == "rules" {
		return e.setRule(value)
	}
	n, err := parseField(group, field, value)
	if err != nil {
		return err
	}
	switch group {
	case "features":
		return e.setFeature(field, n != 0)
	case "private":
		return e.setPrivate(field, n != 0)
	case "hwtstamp":
		t, err := unix.IoctlGetHwTstamp(fd, nic)
		if err != nil {
			return err
		}
		if field == "rx_filter" {
			t.Rx_filter = int32(n)
		} else {
			t.Tx_type = int32(n)
		}
		return unix.IoctlSetHwTstamp(fd, nic, t)
	}
	s := words[group]
	w := make([]uint32, s.size)
	w[0] = s.get
	if err := e.call(unsafe.Pointer(&w[0])); err != nil {
		return err
	}
	w[0], w[s.field[field]] = s.set, n
	return e.call(unsafe.Pointer(&w[0]))
}

// setFeature is ETHTOOL_SFEATURES: of each block of 32, which bits are meant, and what they become.
func (e ethtool) setFeature(name string, on bool) error {
	names, err := e.strings(setFeatures)
	if err != nil {
		return err
	}
	i := slices.Index(names, name)
	if i < 0 {
		return unix.EOPNOTSUPP
	}
	w := make([]uint32, 2+2*((len(names)+31)/32))
	w[0], w[1] = 0x3b, uint32((len(names)+31)/32)
	w[2+2*(i/32)] = 1 << (i % 32)
	if on {
		w[3+2*(i/32)] = 1 << (i % 32)
	}
	return e.call(unsafe.Pointer(&w[0])) // that it may answer "wished, not done" without an error is what reading back is for
}

// setPrivate is ETHTOOL_SPFLAGS, of all flags at once.
func (e ethtool) setPrivate(name string, on bool) error {
	names, err := e.strings(setPrivate)
	if err != nil {
		return err
	}
	i := slices.Index(names, name)
	if i < 0 || i >= 32 {
		return unix.EOPNOTSUPP
	}
	w := [2]uint32{0x27}
	if err := e.call(unsafe.Pointer(&w)); err != nil {
		return err
	}
	w[0] = 0x28
	if w[1] &^= 1 << i; on {
		w[1] |= 1 << i
	}
	return e.call(unsafe.Pointer(&w))
}

// setRSS is ETHTOOL_SRSSH with a table alone: the key stays, and so do hash function and transformation, which are given back.
func (e ethtool) setRSS(text string) error {
	w := make([]uint32, 6)
	w[0] = 0x46
	if err := e.call(unsafe.Pointer(&w[0])); err != nil {
		return err
	}
	size, hash := w[2], w[4]
	if size == 0 {
		return unix.EOPNOTSUPP
	}
	if size > maxStrings {
		return fmt.Errorf("the driver claims a table of %d", size)
	}
	table, err := parseRSS(text, int(size))
	if err != nil {
		return err
	}
	w = make([]uint32, 6+size)
	w[0], w[2], w[4] = 0x47, size, hash
	for i, q := range table {
		w[6+i] = uint32(q)
	}
	return e.call(unsafe.Pointer(&w[0]))
}

// Where a rule goes: the driver chooses, if it said that it can.
const (
	locationAny     = 0xffffffff
	locationSpecial = 0x80000000
)

// setRule makes the one rule of a UDP flow lead to a queue, or removes it.
func (e ethtool) setRule(value string) error {
	to, queue, err := parseInsert(value)
	if err != nil {
		return err
	}
	var rules Rules
	if err := e.rules(&rules); err != nil {
		return err
	}
	used := map[uint32]bool{}
	for _, r := range rules {
		used[uint32(r.Location)] = true
		if r.Group != to.String() {
			continue
		}
		b := make([]byte, rxnfcBytes)
		binary.NativeEndian.PutUint32(b, 0x31)
		binary.NativeEndian.PutUint32(b[rxnfcSpec+specLoc:], uint32(r.Location))
		if err := e.bytes(b); err != nil {
			return err
		}
		delete(used, uint32(r.Location))
	}
	if queue < 0 {
		return nil
	}
	b := make([]byte, rxnfcBytes)
	binary.NativeEndian.PutUint32(b, 0x2e)
	if err := e.bytes(b); err != nil {
		return err
	}
	location, size := uint32(locationAny), uint32(binary.NativeEndian.Uint64(b[8:]))
	if size&locationSpecial == 0 {
		// As ethtool does it: the last one free.
		for location = size - 1; size > 0 && used[location] && location > 0; location-- {
		}
		if size == 0 || used[location] {
			return unix.ENOSPC
		}
	}
	b = make([]byte, rxnfcBytes)
	binary.NativeEndian.PutUint32(b, 0x32)
	putRule(b[rxnfcSpec:], to, queue, location)
	return e.bytes(b)
}

// putRule is parseRule's inverse.
func putRule(spec []byte, to netip.AddrPort, queue int, location uint32) {
	binary.NativeEndian.PutUint32(spec, flowUDPv4)
	addr := to.Addr().As4()
	copy(spec[specValues+4:], addr[:])
	binary.BigEndian.PutUint16(spec[specValues+10:], to.Port())
	copy(spec[specMasks+4:], []byte{0xff, 0xff, 0xff, 0xff})
	copy(spec[specMasks+10:], []byte{0xff, 0xff})
	binary.NativeEndian.PutUint64(spec[specCookie:], uint64(queue))
	binary.NativeEndian.PutUint32(spec[specLoc:], location)
}

// Set changes one field of the tree's file, as a driver without surprises does.
func (f fakeDevices) Set(nic, group, field, value string) error {
	if !interfaceName.MatchString(nic) {
		return unix.ENODEV
	}
	if !Settable(group, field) {
		return fmt.Errorf("%s.%s is nothing that can be set", group, field)
	}
	name := filepath.Join(f.dir, "nic", nic+".json")
	text, err := os.ReadFile(name)
	if err != nil {
		return unix.ENODEV
	}
	all := map[string]any{}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	current, ok := all[group]
	if !ok {
		return unix.EOPNOTSUPP
	}
	switch group {
	case "rules":
		var rules Rules
		if err := f.Ask(nic, group, &rules); err != nil {
			return err
		}
		to, queue, err := parseInsert(value)
		if err != nil {
			return err
		}
		rules = slices.DeleteFunc(rules, func(r Rule) bool { return r.Group == to.String() })
		if queue >= 0 {
			rules = append(rules, Rule{Location: len(rules), Queue: queue, Group: to.String()})
		}
		all[group] = rules
	case "rss":
		var r RSS
		if err := f.Ask(nic, group, &r); err != nil {
			return err
		}
		if r.Table, err = parseRSS(value, len(r.Table)); err != nil {
			return err
		}
		all[group] = r
	default:
		fields, ok := current.(map[string]any)
		if !ok {
			return fmt.Errorf("fake/nic/%s.json, %s is no object", nic, group)
		}
		if refused, ok := fields["errno"].(string); ok {
			return errnoOf(refused)
		}
		n, err := parseField(group, field, value)
		if err != nil {
			return err
		}
		var set any = n
		if value == "on" || value == "off" {
			set = n != 0
		}
		switch group {
		case "features":
			one, ok := fields[field].(map[string]any)
			if !ok {
				return unix.EOPNOTSUPP
			}
			if fixed, _ := one["fixed"].(bool); fixed {
				return unix.EOPNOTSUPP
			}
			one["on"] = set
		case "private":
			if _, ok := fields[field]; !ok {
				return unix.EOPNOTSUPP
			}
			fields[field] = set
		default:
			fields[field] = set
		}
	}
	if text, err = json.MarshalIndent(all, "", " "); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// Fields are all settings of an interface's driver that can be read, by "group.field" as Field has them.
func Fields(d Devices, nic string) map[string]string {
	all := map[string]string{}
	for group, fields := range settable {
		switch group {
		case "features":
			f, _ := askFor[Features](d, nic, group)
			for name, one := range f {
				if !one.Fixed {
					all[group+"."+name] = onOff(one.On)
				}
			}
		case "private":
			flags, _ := askFor[Private](d, nic, group)
			for name, on := range flags {
				all[group+"."+name] = onOff(on)
			}
		case "rules":
			rules, _ := askFor[Rules](d, nic, group)
			for _, r := range rules {
				all[fmt.Sprintf("rules.%d", r.Location)] = fmt.Sprintf("%s %d", r.Group, r.Queue)
			}
		default:
			for _, field := range fields {
				if text, err := Field(d, nic, group, field); err == nil {
					all[group+"."+field] = text
				}
			}
		}
	}
	return all
}
