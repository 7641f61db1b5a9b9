package bpf

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
)

// FlowKey picks a flow: group and port in network order from the lowest byte up, then the VLAN id.
type FlowKey uint64

// Flow is what the program does with a flow: its packets are redirected on Queue, and passed on others.
type Flow struct {
	ID    uint32
	Flags uint16
	Queue uint16
}

// AnyQueue redirects a flow's packets on whatever queue they come in.
const AnyQueue = 0xFFFF

// FlowDrop makes the program drop a flow's packets: for groups that a switch floods and nobody wants.
const FlowDrop = 1

// Key is the key of a flow; an error for anything but an IPv4 group.
func Key(group netip.AddrPort, vlan uint16) (FlowKey, error) {
	if !group.Addr().Is4() || !group.Addr().IsMulticast() {
		return 0, fmt.Errorf("bpf: %s is no IPv4 multicast group", group)
	}
	ip := group.Addr().As4()
	return FlowKey(binary.LittleEndian.Uint32(ip[:])) | FlowKey(bits.ReverseBytes16(group.Port()))<<32 | FlowKey(vlan&0x0FFF)<<48, nil
}

const (
	slots      = 4
	bucketBits = 12
	multiplier = 0x9E3779B97F4A7C15
)

// slot is struct slot, bucket struct bucket: rx.bpf.c draws them.
type slot struct {
	Flow Flow
	Key  FlowKey
}

type bucket struct{ Slots [slots]slot }

const ( // a size that differs either way does not compile
	_ = 64 - unsafe.Sizeof(bucket{})
	_ = unsafe.Sizeof(bucket{}) - 64
)

// MaxFlows is the most flows of a table. With that many, one whose two buckets are full is a matter of one set of groups in a hundred thousand.
const MaxFlows = 1024

// Flows is the table of flows of one interface, as the program reads it. Flows come and go while packets are steered: a slot is
// written before its key is, and a flow never moves. Any goroutine.
type Flows struct {
	mu      sync.Mutex
	m       *ebpf.Map
	buckets [1 << bucketBits]bucket
	n       int
}

// NewFlows takes the empty map MapFlows.
func NewFlows(m *ebpf.Map) *Flows { return &Flows{m: m} }

func bucketOf(key FlowKey) uint32 { return uint32(uint64(key) * multiplier >> (64 - bucketBits)) }

// find is where a key is; nil: nowhere.
func (f *Flows) find(key FlowKey) (at uint32, s *slot) {
	at = bucketOf(key)
	for range 2 {
		for i := range f.buckets[at].Slots {
			if s := &f.buckets[at].Slots[i]; s.Key == key {
				return at, s
			}
		}
		at ^= 1
	}
	return 0, nil
}

// Add steers a flow. It fails with ebpf.ErrKeyExist when the key is there already.
func (f *Flows) Add(key FlowKey, flow Flow) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, s := f.find(key); s != nil {
		return ebpf.ErrKeyExist
	}
	at := bucketOf(key)
	s := f.free(at)
	if s == nil {
		at ^= 1
		s = f.free(at)
	}
	if s == nil || f.n == MaxFlows {
		return fmt.Errorf("bpf: the table of flows has no room for another one beside its %d", f.n)
	}
	s.Flow = flow
	if err := f.m.Put(at, &f.buckets[at]); err != nil {
		return fmt.Errorf("bpf: flow: %w", err)
	}
	s.Key = key
	if err := f.m.Put(at, &f.buckets[at]); err != nil {
		s.Key = 0
		return fmt.Errorf("bpf: flow: %w", err)
	}
	f.n++
	return nil
}

func (f *Flows) free(at uint32) *slot {
	for i := range f.buckets[at].Slots {
		if s := &f.buckets[at].Slots[i]; s.Key == 0 {
			return s
		}
	}
	return nil
}

// Delete lets a flow's packets pass again. It fails with ebpf.ErrKeyNotExist when there is none.
func (f *Flows) Delete(key FlowKey) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, s := f.find(key)
	if s == nil {
		return ebpf.ErrKeyNotExist
	}
	s.Key = 0
	if err := f.m.Put(at, &f.buckets[at]); err != nil {
		s.Key = key
		return fmt.Errorf("bpf: flow: %w", err)
	}
	f.n--
	return nil
}
