package tcp

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

var local = netip.MustParseAddrPort("127.0.0.1:0")

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func dial(t *testing.T, c *Clients) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", c.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// echo sends a byte and waits for it.
func echo(t *testing.T, conn net.Conn) {
	t.Helper()
	var b [1]byte
	if _, err := conn.Write([]byte{7}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, b[:]); err != nil || b[0] != 7 {
		t.Fatalf("%v, %v", b, err)
	}
}

// ends waits for the other side to close.
func ends(t *testing.T, conn net.Conn) {
	t.Helper()
	var b [1]byte
	if n, err := conn.Read(b[:]); n != 0 || err == nil {
		t.Fatalf("%d bytes of a connection that ought to end", n)
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("the connection does not end")
	}
}

// TestClients: two are served at a time, a third is closed at once, one that leaves makes room, Drop leaves room for all, and after Close nobody is served.
func TestClients(t *testing.T) {
	c, err := Listen(local, 2)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan net.Conn, 16)
	c.Serve(func(conn net.Conn) {
		served <- conn
		_, _ = io.Copy(conn, conn)
	})
	first, second := dial(t, c), dial(t, c)
	echo(t, first)
	echo(t, second)
	ends(t, dial(t, c))
	if c.Accepted() != 3 || c.TooMany() != 1 {
		t.Errorf("%d accepted, %d too many", c.Accepted(), c.TooMany())
	}
	both := []net.Conn{<-served, <-served}
	if !c.Has(both[0]) || !c.Has(both[1]) {
		t.Error("a client is not there")
	}
	first.Close()
	second.Close()
	for until := time.Now().Add(patience); c.Has(both[0]) || c.Has(both[1]); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("a client that left is there still")
		}
	}
	third := dial(t, c)
	echo(t, third)
	c.Drop()
	ends(t, third)
	fourth := dial(t, c)
	echo(t, fourth)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	ends(t, fourth)
	if err := c.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if _, err := net.DialTimeout("tcp", c.Addr().String(), time.Second); err == nil {
		t.Error("it listens still")
	}
	if len(c.conns) != 0 {
		t.Errorf("%d clients are left", len(c.conns))
	}
}

func TestListenFails(t *testing.T) {
	c, err := Listen(local, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := Listen(c.Addr(), 1); err == nil {
		t.Error("two listen at one address")
	}
}
