package pcap

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"

	"github.com/tickwire/tickwire/nic"
)

// Writer writes pcap with nanosecond stamps and Ethernet frames.
type Writer struct {
	dst   *bufio.Writer
	frame []byte
	began bool
}

// NewWriter writes to dst. Flush at the end.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: bufio.NewWriterSize(dst, 1<<18)} }

func (w *Writer) begin() error {
	w.began = true
	le := binary.LittleEndian
	h := le.AppendUint32(nil, 0xA1B23C4D)
	h = le.AppendUint16(h, 2)
	h = le.AppendUint16(h, 4)
	h = append(h, make([]byte, 8)...)
	h = le.AppendUint32(h, 1<<18)
	h = le.AppendUint32(h, uint32(nic.LinkEthernet))
	_, err := w.dst.Write(h)
	return err
}

// WriteUDP writes one datagram with right checksums; ts is ns since the Unix epoch, vlan 0 no tag. Addresses must be
// IPv4, payload at most 65,507 bytes.
func (w *Writer) WriteUDP(ts uint64, src, dst netip.AddrPort, vlan uint16, payload []byte) error {
	if !src.Addr().Is4() || !dst.Addr().Is4() || len(payload) > 65_507 {
		return fmt.Errorf("pcap: datagram of %d bytes from %s to %s cannot be written: IPv4 and at most 65507 bytes", len(payload), src, dst)
	}
	w.frame = nic.AppendFrame(w.frame[:0], src, dst, vlan, payload)
	return w.WriteFrame(ts, w.frame)
}

// WriteFrame writes an Ethernet frame as it is.
func (w *Writer) WriteFrame(ts uint64, frame []byte) error {
	if !w.began {
		if err := w.begin(); err != nil {
			return fmt.Errorf("pcap: %w", err)
		}
	}
	le := binary.LittleEndian
	var h [16]byte
	le.PutUint32(h[0:], uint32(ts/1_000_000_000))
	le.PutUint32(h[4:], uint32(ts%1_000_000_000))
	le.PutUint32(h[8:], uint32(len(frame)))
	le.PutUint32(h[12:], uint32(len(frame)))
	if _, err := w.dst.Write(h[:]); err != nil {
		return fmt.Errorf("pcap: %w", err)
	}
	if _, err := w.dst.Write(frame); err != nil {
		return fmt.Errorf("pcap: %w", err)
	}
	return nil
}

// Flush writes what is buffered; an empty capture still has its header.
func (w *Writer) Flush() error {
	if !w.began {
		if err := w.begin(); err != nil {
			return fmt.Errorf("pcap: %w", err)
		}
	}
	if err := w.dst.Flush(); err != nil {
		return fmt.Errorf("pcap: %w", err)
	}
	return nil
}
