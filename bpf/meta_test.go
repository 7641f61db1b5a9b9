package bpf

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

const (
	pass     = 2
	redirect = 4
)

var group = netip.MustParseAddrPort("233.54.12.111:26477")

// load loads one of the programs that need no device, with a flow for group; skipped without privileges.
func load(t *testing.T, program string) (*ebpf.Program, *ebpf.Collection) {
	t.Helper()
	_ = rlimit.RemoveMemlock()
	spec, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	for name := range spec.Programs {
		if name != program {
			delete(spec.Programs, name)
		}
	}
	c, err := ebpf.NewCollection(spec)
	if errors.Is(err, os.ErrPermission) && os.Getenv("CI") == "" {
		t.Skipf("BPF programs cannot be loaded here: %v (CAP_BPF and CAP_NET_ADMIN)", err)
	}
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(c.Close)
	return c.Programs[program], c
}

func counts(t *testing.T, c *ebpf.Collection) (sum Counters) {
	t.Helper()
	var per []Counters
	if err := c.Maps[MapCounts].Lookup(uint32(0), &per); err != nil {
		t.Fatal(err)
	}
	for i := range per {
		sum.Add(&per[i])
	}
	return sum
}

// frame is a UDP frame to group with four bytes of payload; change may spoil it.
func frame(change func([]byte) []byte) []byte {
	b := []byte{
		1, 0, 0x5E, 54, 12, 111, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 32, 0, 0, 0, 0, 1, 17, 0, 0, 10, 0, 0, 1, 233, 54, 12, 111,
		0x12, 0x34, 0x67, 0x6D, 0, 12, 0, 0, 'd', 'a', 't', 'a',
	}
	if change != nil {
		b = change(b)
	}
	return append(b, make([]byte, max(0, 60-len(b)))...)
}

func set(at int, bytes ...byte) func([]byte) []byte {
	return func(b []byte) []byte { copy(b[at:], bytes); return b }
}

func insert(at int, bytes ...byte) func([]byte) []byte {
	return func(b []byte) []byte { return slices.Insert(b, at, bytes...) }
}

// TestVerdicts: what is no flow of ours passes, and moves exactly one counter. Without a socket our flows pass as well.
func TestVerdicts(t *testing.T) {
	p, c := load(t, ProgramPlain)
	flows := NewFlows(c.Maps[MapFlows])
	for _, f := range []struct {
		group string
		vlan  uint16
		flow  Flow
	}{
		{"233.54.12.111:26477", 0, Flow{Queue: AnyQueue}}, {"233.54.12.111:26477", 7, Flow{Queue: 0}},
		{"233.54.12.112:26477", 0, Flow{Flags: FlowDrop}}, {"233.54.12.113:26477", 0, Flow{Queue: 3}},
	} {
		k, err := Key(netip.MustParseAddrPort(f.group), f.vlan)
		if err != nil {
			t.Fatal(err)
		}
		if err := flows.Add(k, f.flow); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name  string
		frame []byte
		want  uint32
		moved func(*Counters) *uint64
	}{
		{"ours", frame(nil), pass, func(c *Counters) *uint64 { return &c.NoSocket }},
		{"ours, tagged", frame(insert(12, 0x81, 0, 0, 7)), pass, func(c *Counters) *uint64 { return &c.NoSocket }},
		{"ours, two tags, the outer counts", frame(insert(12, 0x88, 0xA8, 0xE0, 7, 0x81, 0, 0, 9)), pass, func(c *Counters) *uint64 { return &c.NoSocket }},
		{"another tag", frame(insert(12, 0x81, 0, 0, 8)), pass, func(c *Counters) *uint64 { return &c.NoFlow }},
		{"three tags", frame(insert(12, 0x81, 0, 0, 7, 0x81, 0, 0, 7, 0x81, 0, 0, 7)), pass, func(c *Counters) *uint64 { return &c.NotIP }},
		{"another port", frame(set(36, 0, 1)), pass, func(c *Counters) *uint64 { return &c.NoFlow }},
		{"another group", frame(set(30, 233, 54, 12, 110)), pass, func(c *Counters) *uint64 { return &c.NoFlow }},
		{"unwanted group", frame(set(30, 233, 54, 12, 112)), 1, func(c *Counters) *uint64 { return &c.Dropped }},
		{"a group of another queue", frame(set(30, 233, 54, 12, 113)), pass, func(c *Counters) *uint64 { return &c.WrongQueue }},
		{"unicast", frame(set(30, 10, 0, 0, 2)), pass, func(c *Counters) *uint64 { return &c.NotGroup }},
		{"link-local group", frame(set(30, 224, 0, 0, 1)), pass, func(c *Counters) *uint64 { return &c.NotGroup }},
		{"ARP", frame(set(12, 8, 6)), pass, func(c *Counters) *uint64 { return &c.NotIP }},
		{"PTP", frame(set(12, 0x88, 0xF7)), pass, func(c *Counters) *uint64 { return &c.NotIP }},
		{"IPv6", frame(set(12, 0x86, 0xDD)), pass, func(c *Counters) *uint64 { return &c.NotIP }},
		{"IP of another version", frame(set(14, 0x65)), pass, func(c *Counters) *uint64 { return &c.NotIP }},
		{"IP options", frame(set(14, 0x46)), pass, func(c *Counters) *uint64 { return &c.IPOptions }},
		{"IGMP", frame(set(14, 0x46, 0xC0, 0, 32, 0, 0, 0, 0, 1, 2)), pass, func(c *Counters) *uint64 { return &c.IPOptions }},
		{"TCP", frame(set(23, 6)), pass, func(c *Counters) *uint64 { return &c.NotUDP }},
		{"first fragment", frame(set(20, 0x20, 0)), pass, func(c *Counters) *uint64 { return &c.Fragment }},
		{"later fragment", frame(set(20, 0, 1)), pass, func(c *Counters) *uint64 { return &c.Fragment }},
		{"may not be fragmented", frame(set(20, 0x40, 0)), pass, func(c *Counters) *uint64 { return &c.NoSocket }},
		{"IP length beyond the frame", frame(set(16, 5, 220)), pass, func(c *Counters) *uint64 { return &c.Malformed }},
		{"IP length below its headers", frame(set(16, 0, 27)), pass, func(c *Counters) *uint64 { return &c.Malformed }},
		{"UDP length beyond IP's", frame(set(38, 0, 13)), pass, func(c *Counters) *uint64 { return &c.Malformed }},
		{"UDP length below its header", frame(set(38, 0, 7)), pass, func(c *Counters) *uint64 { return &c.Malformed }},
	} {
		before := counts(t, c)
		got, _, err := p.Test(tc.frame)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		after := counts(t, c)
		*tc.moved(&before)++
		before.Seen++
		if got != tc.want || after != before {
			t.Errorf("%s: verdict %d, want %d;\ncounters %+v\nwant     %+v", tc.name, got, tc.want, after, before)
		}
	}
}

// TestShortFrames: cut anywhere, a frame passes.
func TestShortFrames(t *testing.T) {
	p, c := load(t, ProgramPlain)
	k, err := Key(group, 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := NewFlows(c.Maps[MapFlows]).Add(k, Flow{}); err != nil {
		t.Fatal(err)
	}
	whole := insert(12, 0x81, 0, 0, 7)(frame(nil)[:46])
	for n := 14; n <= len(whole); n++ { // the kernel hands over no frame without a whole Ethernet header
		got, _, err := p.Test(slices.Clip(whole[:n]))
		if err != nil || got != pass {
			t.Errorf("%d bytes: verdict %d, %v", n, got, err)
		}
	}
	if sum := counts(t, c); sum.NoSocket != 1 || sum.Malformed+sum.NotIP != sum.Seen-1 {
		t.Errorf("%+v", sum)
	}
}

func TestKey(t *testing.T) {
	for _, bad := range []string{"10.0.0.1:5", "[ff02::1]:5"} {
		if _, err := Key(netip.MustParseAddrPort(bad), 0); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
