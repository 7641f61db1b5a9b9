package ringbuf

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/tick"
)

// Kind says what a ring holds and so how large its slots are.
//
//	kind    slot  payload  records                                                 default slots
//	mbo     64    56       tick.Mbo; inline tick.Status (40), tick.Gap (56)        1<<20, 64 MiB
//	mbp1    128   120      Mbp1Slot                                                1<<19, 64 MiB
//	trades  64    56       TradeSlot                                               1<<18, 16 MiB
//	events  128   120      EventSlot: status, imbalance, statistics, gap           1<<16,  8 MiB
//	ext     64    56       tick.Ext                                                1<<18, 16 MiB
//	mbp10   512   504      Mbp10Slot                                               1<<16, 32 MiB
//	cbbo    512   504      CbboSlot                                                1<<16, 32 MiB
//
// Records shorter than the payload are padded with zeros; their own length byte and rtype say what they are. Values up
// to KindEvents are those of tick.Ring….
type Kind uint8

// Kinds of ring.
const (
	KindMbo    = Kind(tick.RingMbo)
	KindMbp1   = Kind(tick.RingMbp1)
	KindTrades = Kind(tick.RingTrades)
	KindEvents = Kind(tick.RingEvents)
	KindExt    = Kind(5)
	KindMbp10  = Kind(6)
	KindCbbo   = Kind(7) // of package feed/consolidate, never of a feed
)

// Kinds lists all kinds, in the order of their numbers.
var Kinds = [...]Kind{KindMbo, KindMbp1, KindTrades, KindEvents, KindExt, KindMbp10, KindCbbo}

// SchemaMixed is the schema of a ring whose records have several DBN schemas, or none.
const SchemaMixed uint16 = 0xFFFF

type kindInfo struct {
	name      string
	slotBytes int
	slots     uint64
	schema    uint16 // DBN section 2
}

var kindTable = [...]kindInfo{
	KindMbo:    {"mbo", 64, 1 << 20, 0},
	KindMbp1:   {"mbp1", 128, 1 << 19, 1},
	KindTrades: {"trades", 64, 1 << 18, 4},
	KindEvents: {"events", 128, 1 << 16, SchemaMixed},
	KindExt:    {"ext", 64, 1 << 18, SchemaMixed},
	KindMbp10:  {"mbp10", 512, 1 << 16, 2},
	KindCbbo:   {"cbbo", 512, 1 << 16, 14},
}

// Valid says that k is one of the kinds above.
func (k Kind) Valid() bool { return k >= KindMbo && k <= KindCbbo }

func (k Kind) info() kindInfo {
	if !k.Valid() {
		return kindInfo{name: fmt.Sprintf("kind(%d)", uint8(k)), schema: SchemaMixed}
	}
	return kindTable[k]
}

// SlotBytes is the size of a slot: 64, 128 or 512, and 0 when k is not a kind.
func (k Kind) SlotBytes() int { return k.info().slotBytes }

// PayloadBytes is the room for a record in a slot: the slot without its number. 0 when k is not a kind.
func (k Kind) PayloadBytes() int { return max(0, k.SlotBytes()-slotHeadBytes) }

// DefaultSlots is the capacity a ring gets when Options.Slots is 0.
func (k Kind) DefaultSlots() uint64 { return k.info().slots }

// String is the kind's part of a file name.
func (k Kind) String() string { return k.info().name }

// Schema is the DBN schema id of the ring's records (DBN section 2), SchemaMixed where there is no single one. The mbo
// ring says mbo although status and gap records lie inline.
func (k Kind) Schema() uint16 { return k.info().schema }

// ParseKind is String backwards.
func ParseKind(name string) (Kind, error) {
	for _, k := range Kinds {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("ringbuf: %q is no kind of ring; mbo, mbp1, trades, events, ext and mbp10 are", name)
}

const ringExt = ".ring"

// Path is where a ring lies: <ringDir>/<instance>/<feed>.<lane>.<kind>.ring.
func Path(ringDir, instance, feed, lane string, k Kind) string {
	return filepath.Join(ringDir, instance, feed+"."+lane+"."+k.String()+ringExt)
}

// Entry names one ring file.
type Entry struct {
	Path     string
	Instance string
	Feed     string // may contain dots
	Lane     string // may not
	Kind     Kind
}

// List finds the rings of an instance, or of all instances below ringDir when instance is empty, sorted by path. Files
// whose name is not a ring's are passed over; a directory that does not exist holds no rings.
func List(ringDir, instance string) ([]Entry, error) {
	instances := []string{instance}
	if instance == "" {
		dirs, err := os.ReadDir(ringDir)
		if err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("ringbuf: list of rings: %w", err)
		}
		instances = instances[:0]
		for _, d := range dirs {
			if d.IsDir() {
				instances = append(instances, d.Name())
			}
		}
	}
	var found []Entry
	for _, in := range instances {
		files, err := os.ReadDir(filepath.Join(ringDir, in))
		if err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("ringbuf: list of rings: %w", err)
		}
		for _, f := range files {
			if e, ok := parseName(f.Name()); ok {
				e.Instance, e.Path = in, filepath.Join(ringDir, in, f.Name())
				found = append(found, e)
			}
		}
	}
	slices.SortFunc(found, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	return found, nil
}

// parseName takes <feed>.<lane>.<kind>.ring apart.
func parseName(name string) (Entry, bool) {
	rest, ok := strings.CutSuffix(name, ringExt)
	if !ok || strings.HasPrefix(name, ".") {
		return Entry{}, false
	}
	dot := strings.LastIndexByte(rest, '.')
	if dot < 0 {
		return Entry{}, false
	}
	kind, err := ParseKind(rest[dot+1:])
	if err != nil {
		return Entry{}, false
	}
	rest = rest[:dot]
	if dot = strings.LastIndexByte(rest, '.'); dot <= 0 || dot == len(rest)-1 {
		return Entry{}, false
	}
	return Entry{Feed: rest[:dot], Lane: rest[dot+1:], Kind: kind}, true
}
