package rxbench

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic/udp"
)

// packet is AF_PACKET with a TPACKET_V3 ring: blocks that the kernel fills with packets and hands over when they are full, or
// when retire is over.
//
//	block  | status, packets, offset of the first … | tpacket3_hdr, frame | tpacket3_hdr, frame | …
type packet struct {
	fd      int
	ring    []byte
	block   int // the one that comes next
	left    uint32
	at      uintptr // in the ring, of the next packet of the block in hand
	members *udp.Members
}

const (
	blockBytes  = 1 << 18
	blockCount  = 64 // 16 MiB
	retireMilli = 1

	// struct tpacket_block_desc
	blockStatus = 8
	blockNum    = 12
	blockFirst  = 16
	// struct tpacket3_hdr
	nextOffset = 0
	snapLen    = 12
	macOffset  = 24
)

func openPacket() (_ poller, err error) {
	r := &packet{fd: -1}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("AF_PACKET: %w", err), r.close())
		}
	}()
	face, err := net.InterfaceByName("feed0")
	if err != nil {
		return r, err
	}
	if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return r, err
	}
	if err = unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return r, err
	}
	if err = unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return r, err
	}
	req := unix.TpacketReq3{Block_size: blockBytes, Block_nr: blockCount, Frame_size: 2048, Frame_nr: blockBytes / 2048 * blockCount, Retire_blk_tov: retireMilli}
	if err = unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return r, err
	}
	if r.ring, err = unix.Mmap(r.fd, 0, blockBytes*blockCount, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return r, err
	}
	const ip = uint16(unix.ETH_P_IP>>8 | unix.ETH_P_IP&0xFF<<8)
	if err = unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: ip, Ifindex: face.Index}); err != nil {
		return r, err
	}
	r.members, err = join()
	return r, err
}

func (r *packet) word(at uintptr) *uint32 { return (*uint32)(unsafe.Pointer(&r.ring[at])) }

// poll takes what is left of a block, and gives it back when that was all.
func (r *packet) poll(t *tally) (int, error) {
	base := uintptr(r.block) * blockBytes
	status := r.word(base + blockStatus)
	if r.left == 0 {
		if atomic.LoadUint32(status)&unix.TP_STATUS_USER == 0 {
			return 0, nil
		}
		r.left, r.at = *r.word(base + blockNum), base+uintptr(*r.word(base + blockFirst))
	}
	if t.late != nil {
		t.now = monotonic()
	}
	n := min(r.left, batch)
	for range n {
		mac := r.at + uintptr(*(*uint16)(unsafe.Pointer(&r.ring[r.at+macOffset])))
		t.frame(r.ring[mac : mac+uintptr(*r.word(r.at + snapLen))])
		r.at += uintptr(*r.word(r.at + nextOffset))
	}
	if r.left -= n; r.left == 0 {
		atomic.StoreUint32(status, unix.TP_STATUS_KERNEL)
		r.block = (r.block + 1) % blockCount
	}
	return int(n), nil
}

func (r *packet) raw() {}

func (r *packet) close() error {
	var errs []error
	if r.members != nil {
		errs = append(errs, r.members.Close())
	}
	if r.ring != nil {
		errs = append(errs, unix.Munmap(r.ring))
	}
	if r.fd >= 0 {
		errs = append(errs, unix.Close(r.fd))
	}
	return errors.Join(errs...)
}
