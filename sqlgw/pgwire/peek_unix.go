//go:build unix

package pgwire

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// gone looks whether the other side has closed its socket, without taking a byte from it. What a client has sent ahead
// hides that it went; it is then noticed when the answer is written.
func gone(c net.Conn) func() bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return func() bool {
		var b [1]byte
		closed := false
		err := raw.Control(func(fd uintptr) {
			n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			closed = err == nil && n == 0 || err == unix.ECONNRESET
		})
		return err != nil || closed
	}
}
