package udp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic"
)

// control makes control messages: level SOL_SOCKET, a type and its data each.
func control(messages ...any) (b []byte) {
	for i := 0; i < len(messages); i += 2 {
		data := messages[i+1].([]byte)
		b = binary.NativeEndian.AppendUint64(b, uint64(cmsgHead+len(data)))
		b = binary.NativeEndian.AppendUint32(b, unix.SOL_SOCKET)
		b = binary.NativeEndian.AppendUint32(b, uint32(messages[i].(int)))
		b = append(b, data...)
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
	}
	return b
}

func words(v ...uint64) (b []byte) {
	for _, w := range v {
		b = binary.NativeEndian.AppendUint64(b, w)
	}
	return b
}

// The NIC's stamp is the third of three, by its own clock, and counts only when that clock can be trusted.
func TestHardwareStamps(t *testing.T) {
	good := func(hw uint64) (uint64, bool) { return hw - 37_000_000_000, true }
	bad := func(uint64) (uint64, bool) { return 0, false }
	three := func(soft, hard uint64) []byte {
		return words(soft/1e9, soft%1e9, 0, 0, hard/1e9, hard%1e9)
	}
	const soft, hard uint64 = 1_767_600_000_000_000_900, 1_767_600_037_000_000_100
	for _, tc := range []struct {
		name    string
		control []byte
		convert func(uint64) (uint64, bool)
		want    uint64
		source  nic.StampSource
	}{
		{"both", control(unix.SO_TIMESTAMPING, three(soft, hard)), good, soft - 800, nic.StampHardware},
		{"hardware alone", control(unix.SO_TIMESTAMPING, three(0, hard)), good, soft - 800, nic.StampHardware},
		{"behind the drops", control(unix.SO_RXQ_OVFL, []byte{1, 0, 0, 0}, unix.SO_TIMESTAMPING, three(soft, hard)), good, soft - 800, nic.StampHardware},
		{"a clock that is not trusted", control(unix.SO_TIMESTAMPING, three(soft, hard)), bad, soft, nic.StampKernel},
		{"a NIC that did not stamp", control(unix.SO_TIMESTAMPING, three(soft, 0)), good, soft, nic.StampKernel},
		{"nobody asked for the NIC's", control(unix.SO_TIMESTAMPING, three(soft, hard)), nil, soft, nic.StampKernel},
		{"kernel's, the old way", control(unix.SO_TIMESTAMPNS, words(soft/1e9, soft%1e9)), nil, soft, nic.StampKernel},
		{"none that can be trusted", control(unix.SO_TIMESTAMPING, three(0, hard)), bad, 0, nic.StampNone},
		{"cut short", control(unix.SO_TIMESTAMPING, three(soft, hard)[:40]), good, 0, nic.StampNone},
		{"nothing", nil, good, 0, nic.StampNone},
	} {
		k := newSocket(-1, Group{}, 0)
		k.convert = tc.convert
		copy(k.control, tc.control)
		k.headers[0].hdr.SetControllen(len(tc.control))
		kernel, hardware, _, _ := k.ancillary(0)
		if got, source := k.arrival(kernel, hardware); got != tc.want || source != tc.source {
			t.Errorf("%s: %d by %s, want %d by %s", tc.name, got, source, tc.want, tc.source)
		}
	}
}

// Asking for the NIC's stamps on an interface that has none leaves the kernel's.
func TestStampsWithoutHardware(t *testing.T) {
	group := netip.AddrPortFrom(groupA, freePort(t))
	asked := ""
	s := open(t, Options{
		Groups: []Group{{Group: group, Interface: "lo"}},
		Stamp: func(iface string) func(uint64) (uint64, bool) {
			asked = iface
			return func(hw uint64) (uint64, bool) { t.Errorf("a hardware stamp on lo: %d", hw); return 0, false }
		},
	})
	if asked != "lo" {
		t.Errorf("asked for the clock of %q", asked)
	}
	to := sender4(t, group)
	for deadline, stamped := time.Now().Add(20*time.Second), false; !stamped; { // the kernel begins to stamp a moment after the first socket asked for it
		began := uint64(time.Now().UnixNano())
		if _, err := to.Send([][]byte{[]byte("x")}); err != nil {
			t.Fatal(err)
		}
		receive(t, s, 1, func(p *nic.Packet) {
			now := uint64(time.Now().UnixNano())
			stamped = p.Stamp == nic.StampKernel && p.TsRecv >= began && p.TsRecv <= now
		})
		if time.Now().After(deadline) {
			t.Fatal("no stamps of the kernel's")
		}
	}
}

// Where no stamps are wanted there are none, of the NIC's neither.
func TestNoStamps(t *testing.T) {
	group := netip.AddrPortFrom(groupA, freePort(t))
	s := open(t, Options{
		Groups: []Group{{Group: group, Interface: "lo"}}, NoStamps: true,
		Stamp: func(string) func(uint64) (uint64, bool) { t.Error("asked for a clock"); return nil },
	})
	if _, err := sender4(t, group).Send([][]byte{[]byte("x")}); err != nil {
		t.Fatal(err)
	}
	receive(t, s, 1, func(p *nic.Packet) {
		if p.TsRecv != 0 || p.Stamp != nic.StampNone {
			t.Errorf("stamped %d by %s", p.TsRecv, p.Stamp)
		}
	})
}

// An error of the kernel's names the group and can be told apart.
func TestPollFails(t *testing.T) {
	group := netip.AddrPortFrom(groupA, freePort(t))
	s, err := Open(Options{Groups: []Group{{Group: group, Interface: "lo"}}})
	if err != nil {
		t.Fatal(err)
	}
	k := s.sockets[0]
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	k.fd = -1
	s.sockets = append(s.sockets, k)
	_, err = s.Poll(make([]nic.Packet, 1))
	if !errors.Is(err, unix.EBADF) || !strings.Contains(err.Error(), "udp: group "+group.String()+" on lo: ") {
		t.Error(err)
	}
}
