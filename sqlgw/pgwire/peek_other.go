//go:build !unix

package pgwire

import "net"

// gone cannot be told here before the answer is written.
func gone(net.Conn) func() bool { return nil }
