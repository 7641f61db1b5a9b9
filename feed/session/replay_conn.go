package session

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

// ErrReplay is a replay that the venue refused.
var ErrReplay = errors.New("replay refused")

// serve has one request answered.
func (r *Replayer) serve(q request) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.o.Most)
	defer cancel()
	conn, err := r.dialer.DialContext(ctx, "tcp", r.servers[q.server])
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	x := replayConn{r: r, conn: conn, in: bufio.NewReader(conn), q: q}
	if err := x.say("A", fmt.Sprintf("553=%s\x01554=%s\x01", r.o.User, r.o.Password)); err != nil {
		return err
	}
	for asked := false; ; {
		packet, err := x.frame()
		if err != nil {
			return err
		}
		switch x.template(packet) {
		case r.o.LoginTemplate:
			if asked {
				return fmt.Errorf("session: a second logon confirmation")
			}
			asked = true
			err = x.say("V", fmt.Sprintf("1180=%d\x01262=1\x011182=%d\x011183=%d\x01", r.o.Channel, q.first, q.first+uint64(q.count)-1))
			if err != nil {
				return err
			}
		case r.o.LogoutTemplate:
			_ = x.say("5", "") // politeness
			if x.got == 0 {
				r.c.rejected.Add(1)
				return fmt.Errorf("%w: %q", ErrReplay, logoutText(packet))
			}
			return nil
		default:
			if !asked {
				return errors.New("session: a packet before the logon was confirmed")
			}
			if err := x.take(packet); err != nil {
				return err
			}
		}
	}
}

// replayConn is one connection.
type replayConn struct {
	r    *Replayer
	conn net.Conn
	in   *bufio.Reader
	q    request
	buf  []byte
	got  int // packets that were asked for
}

// say sends a FIX message: BodyLength, MsgType, fields, CheckSum.
func (x *replayConn) say(typ, fields string) error {
	if err := x.conn.SetWriteDeadline(time.Now().Add(x.r.o.Silence)); err != nil {
		return err
	}
	_, err := x.conn.Write(AppendReplayText(nil, typ, fields))
	return err
}

// AppendReplayText appends a message as CME's replay takes them: FIX that begins with BodyLength. fields are whole, each with its SOH.
func AppendReplayText(dst []byte, typ, fields string) []byte {
	body := "35=" + typ + "\x01" + fields
	at := len(dst)
	dst = fmt.Appendf(dst, "9=%d\x01%s", len(body), body)
	sum := byte(0)
	for _, b := range dst[at:] {
		sum += b
	}
	return fmt.Appendf(dst, "10=%03d\x01", sum)
}

// frame reads the next packet, valid until the next call.
func (x *replayConn) frame() ([]byte, error) {
	if err := x.conn.SetReadDeadline(time.Now().Add(x.r.o.Silence)); err != nil {
		return nil, err
	}
	var head [2]byte
	if _, err := io.ReadFull(x.in, head[:]); err != nil {
		return nil, fmt.Errorf("session: after %d packets: %w", x.got, err)
	}
	n := int(binary.LittleEndian.Uint16(head[:]))
	if n < mdp3.PacketBytes {
		x.r.c.malformed.Add(1)
		return nil, fmt.Errorf("session: a frame of %d bytes, want %d and more", n, mdp3.PacketBytes)
	}
	if cap(x.buf) < n {
		x.buf = make([]byte, 1<<16)
	}
	x.buf = x.buf[:n]
	if _, err := io.ReadFull(x.in, x.buf); err != nil {
		return nil, fmt.Errorf("session: after %d packets: %w", x.got, err)
	}
	return x.buf, nil
}

// template is that of a packet's first message, 0: it has none.
func (x *replayConn) template(packet []byte) uint16 {
	m, used := mdp3.Next(packet[mdp3.PacketBytes:])
	if used == 0 {
		return 0
	}
	return m.Template()
}

// take hands a packet to the lane, if it was asked for; it waits for room.
func (x *replayConn) take(packet []byte) error {
	c := &x.r.c
	c.received.Add(1)
	h, body, err := mdp3.ParsePacket(packet)
	if whole, _ := mdp3.Walk(body, 1); err != nil || whole == 0 {
		c.malformed.Add(1)
		return errors.New("session: a frame that is no packet")
	}
	if n := uint64(h.Sequence); n < x.q.first || n >= x.q.first+uint64(x.q.count) {
		c.outside.Add(1)
		return nil
	}
	x.got++
	if x.got > 2*replayMost {
		return fmt.Errorf("session: over %d packets in one answer", 2*replayMost)
	}
	if len(packet) > mostAnswerSize {
		c.oversize.Add(1)
		return nil
	}
	for end := time.Now().Add(time.Second); !x.r.link.put(int(x.q.server), x.r.o.Clock(), packet); time.Sleep(lookEvery) {
		if x.r.ctx.Err() != nil || time.Now().After(end) {
			c.dropped.Add(1)
			return nil
		}
	}
	c.handed.Add(1)
	return nil
}

// logoutText is what an AdminLogout says.
func logoutText(packet []byte) string {
	m, used := mdp3.Next(packet[mdp3.PacketBytes:])
	if used == 0 {
		return ""
	}
	b := m.Body()
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	return string(b)
}
