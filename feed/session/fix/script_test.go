package fix_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	codec "github.com/tickwire/tickwire/parsers/fix"
	simfix "github.com/tickwire/tickwire/sim/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

// wireClient speaks FIX by hand: what it sends is written down in the test, right or wrong.
type wireClient struct {
	t     *testing.T
	v     session.Version
	conn  net.Conn
	s     codec.Stream
	buf   []byte
	seq   int
	they  string
	we    string
	quiet time.Duration // how long silence must last
}

func dialVenue(t *testing.T, v session.Version, address string) *wireClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wireClient{t: t, v: v, conn: conn, buf: make([]byte, 64<<10), they: "VENUE", we: "ME", quiet: 150 * time.Millisecond}
}

// fields of a message with the header that comes next: "0|112=T|" becomes 35=0|34=…|49=…|52=…|56=…|112=T|.
func (c *wireClient) fields(text string) string {
	c.seq++
	return c.numbered(c.seq, text)
}

func (c *wireClient) numbered(seq int, text string) string {
	typ, rest, _ := strings.Cut(text, "|")
	return fmt.Sprintf("35=%s|34=%d|49=%s|52=%s|56=%s|%s", typ, seq, c.we, now(), c.they, rest)
}

func (c *wireClient) raw(b []byte) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *wireClient) send(text string) {
	c.t.Helper()
	c.raw(wire(c.v.BeginString(), c.fields(text)))
}

func (c *wireClient) logon(more string) {
	c.t.Helper()
	if c.v == session.V50SP2 {
		more += "1137=9|"
	}
	c.send("A|98=0|108=30|" + more)
}

// read gives the next message, or why there is none.
func (c *wireClient) read(limit time.Duration) (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(limit))
	for {
		if raw := c.s.Next(); raw != nil {
			return plain(raw), nil
		}
		n, err := c.conn.Read(c.buf)
		if err != nil {
			return "", err
		}
		c.s.Add(c.buf[:n])
	}
}

// expect wants a message that has all these fields.
func (c *wireClient) expect(fields ...string) string {
	c.t.Helper()
	m, err := c.read(patience)
	if err != nil {
		c.t.Fatalf("no message with %q: %v", fields, err)
	}
	for _, f := range fields {
		if !strings.Contains("|"+m, "|"+f+"|") && !(strings.HasSuffix(f, "*") && strings.Contains("|"+m, "|"+strings.TrimSuffix(f, "*"))) {
			c.t.Fatalf("%s: has no %q", m, f)
		}
	}
	return m
}

func (c *wireClient) expectSilence() {
	c.t.Helper()
	if m, err := c.read(c.quiet); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("%q, %v; want silence", m, err)
	}
}

func (c *wireClient) expectClosed() {
	c.t.Helper()
	if m, err := c.read(patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("%q, %v; want the connection closed", m, err)
	} else if !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset by peer") {
		c.t.Fatal(err)
	}
}

func (c *wireClient) close() { _ = c.conn.Close() }

const subscribe = "V|262=R1|263=1|264=5|265=1|267=2|269=0|269=1|146=1|55=SYM0001|"

// Goal: the rows of the session layer's tables hold at our server. Method: one venue, a conversation each, in each version where it differs. Every
// conversation begins with a Logon that resets the numbers.
func TestServerConversations(t *testing.T) {
	venue := startVenue(t, simfix.Options{
		Server: session.ServerConfig{FrameTimeout: patience, LogonTimeout: patience, MaxSymbols: 3, Patience: time.Minute},
		Market: fixgen.Options{Symbols: 5}, Held: true,
	})
	n := venue.Counters()
	for _, v := range session.Versions {
		reject := func(tag, reason string) []string { // 4.2 knows reasons up to 11
			out := []string{"35=3", "371=" + tag}
			if v != session.V42 || len(reason) == 1 || reason <= "11" {
				out = append(out, "373="+reason)
			}
			return out
		}
		for _, tc := range []struct {
			name string
			talk func(c *wireClient)
		}{
			{"a garbled message is passed over, and its number can be used again", func(c *wireClient) {
				before := n.Garbled.Load()
				good := wire(v.BeginString(), c.fields("1|112=A|"))
				c.raw(spoil(good, false))
				c.expectSilence()
				c.raw(spoil(good, true))
				c.raw([]byte("rubbish before it"))
				c.raw(good)
				c.expect("35=0", "112=A")
				if got := n.Garbled.Load() - before; got != 2 {
					t.Errorf("%d garbled messages counted, want 2", got)
				}
			}},
			{"too high: one ResendRequest, and what waited is answered behind the gap fill", func(c *wireClient) {
				first := c.fields("0|")
				c.send("1|112=B|")
				c.expect("35=2", "7=2", "16=0")
				c.send("1|112=C|")
				c.expectSilence()
				_ = first
				c.raw(wire(v.BeginString(), c.numbered(2, "4|43=Y|122="+now()+"|123=Y|36=3|")))
				c.expect("35=0", "112=B")
				c.expect("35=0", "112=C")
				c.send("1|112=D|")
				c.expect("35=0", "112=D")
			}},
			{"too low: Logout with the reason", func(c *wireClient) {
				c.send("0|")
				c.seq = 1
				c.send("0|")
				c.expect("35=5", "58=MsgSeqNum too low, expecting 3 but received 2")
				c.close()
			}},
			{"too low with PossDupFlag: seen already", func(c *wireClient) {
				c.send("0|")
				c.raw(wire(v.BeginString(), c.numbered(2, "0|43=Y|122="+now()+"|")))
				c.expectSilence()
				c.raw(wire(v.BeginString(), c.numbered(2, "0|43=Y|")))
				c.expect("35=3", "371=122", "373=1")
			}},
			{"a message without MsgSeqNum ends the connection", func(c *wireClient) {
				c.raw(wire(v.BeginString(), "35=0|49=ME|52="+now()+"|56=VENUE|"))
				c.expectClosed()
			}},
			{"an empty MsgSeqNum too", func(c *wireClient) {
				c.raw(wire(v.BeginString(), "35=0|34=|49=ME|52="+now()+"|56=VENUE|"))
				c.expectClosed()
			}},
			{"another BeginString", func(c *wireClient) {
				c.raw(wire("FIX.4.3", c.fields("0|")))
				c.expect("35=5", "58=Incorrect BeginString")
				c.close()
			}},
			{"wrong CompID: Reject, Logout", func(c *wireClient) {
				c.we = "YOU"
				c.send("0|")
				c.expect("35=3", "373=9")
				c.expect("35=5")
				c.close()
			}},
			{"stale SendingTime: Reject, Logout", func(c *wireClient) {
				text := c.fields("0|")
				c.raw(wire(v.BeginString(), strings.Replace(text, "52=2", "52=1", 1)))
				c.expect("35=3", "373=10")
				c.expect("35=5")
				c.close()
			}},
			{"SendingTime with any number of digits, and a leap second", func(c *wireClient) {
				for _, digits := range []string{"", ".1", ".123", ".123456", ".123456789"} {
					text := c.fields("1|112=T|")
					at := strings.Index(text, "|52=") + 4
					c.raw(wire(v.BeginString(), text[:at+17]+digits+text[strings.Index(text, "|56="):]))
					c.expect("35=0", "112=T")
				}
			}},
			{"SequenceReset-Reset: its own number means nothing; back it does not go", func(c *wireClient) {
				c.raw(wire(v.BeginString(), c.numbered(1, "4|36=10|")))
				c.seq = 9
				c.send("1|112=R|")
				c.expect("35=0", "112=R")
				c.raw(wire(v.BeginString(), c.numbered(11, "4|36=5|")))
				c.expect("35=3", "373=5")
			}},
			{"a gap fill that leads backwards is left alone", func(c *wireClient) {
				c.raw(wire(v.BeginString(), c.numbered(5, "4|43=Y|122="+now()+"|123=Y|36=2|")))
				c.expectSilence()
				c.send("1|112=G|")
				c.expect("35=0", "112=G")
			}},
			{"ResendRequest: one fill over everything, and books anew", func(c *wireClient) {
				c.send(subscribe)
				c.expect("35=W", "34=2")
				c.send("2|7=1|16=0|")
				c.expect("35=4", "34=1", "36=3", "43=Y", "123=Y")
				c.expect("35=W", "34=3", "262=R1")
			}},
			{"numbers begin anew in the middle of a session", func(c *wireClient) {
				c.send("0|")
				c.seq = 0
				c.logon("141=Y|")
				c.expect("35=A", "34=1", "141=Y")
				c.send("1|112=N|")
				c.expect("35=0", "34=2", "112=N")
			}},
			{"TestRequest", func(c *wireClient) {
				c.send("1|112=you there|")
				c.expect("35=0", "112=you there")
			}},
			{"Logout is answered, and the connection closed", func(c *wireClient) {
				c.send("5|")
				c.expect("35=5")
				c.expectClosed()
			}},
			{"a second connection gets no answer, the first stays", func(c *wireClient) {
				d := dialVenue(t, v, venue.Addr().String())
				d.logon("141=Y|")
				d.expectClosed()
				c.send("1|112=mine|")
				c.expect("35=0", "112=mine")
			}},
			{"data with SOH in it", func(c *wireClient) {
				c.send("1|95=9|96=a\x0110=000\x01|112=D|")
				c.expect("35=0", "112=D")
				c.send("V|262=R1|263=1|264=5|265=1|267=1|269=0|146=1|55=SYM0002|348=9|349=x\x018=FIX.4|")
				c.expect("35=W", "55=SYM0002")
			}},
			{"one byte at a time", func(c *wireClient) {
				for _, b := range wire(v.BeginString(), c.fields("1|112=slow|")) {
					c.raw([]byte{b})
				}
				c.expect("35=0", "112=slow")
			}},
			{"100 MB", func(c *wireClient) {
				if v != session.V44 {
					return // the same path
				}
				before := n.TooLong.Load()
				c.raw([]byte("8=FIX.4.4\x019=100000000\x0135=V\x0158="))
				for chunk, i := []byte(strings.Repeat("x", 1<<20)), 0; i < 100; i++ {
					c.raw(chunk)
				}
				c.raw(wire(v.BeginString(), c.fields("1|112=after|")))
				c.expect("35=0", "112=after")
				if n.TooLong.Load() != before+1 {
					t.Error("not counted")
				}
			}},
			{"another type", func(c *wireClient) {
				c.send("D|11=1|21=1|55=SYM0001|54=1|60=" + now() + "|40=1|38=1|")
				c.expect("35=j", "380=3")
				c.send("ZZ|")
				c.expect("35=3", "373=11")
			}},
			{"without 263", func(c *wireClient) {
				c.send("V|262=R1|264=5|265=1|267=1|269=0|146=1|55=SYM0001|")
				c.expect(reject("263", "1")...)
			}},
			{"263=9", func(c *wireClient) {
				c.send("V|262=R1|263=9|264=5|265=1|267=1|269=0|146=1|55=SYM0001|")
				c.expect(reject("263", "5")...)
			}},
			{"264=x", func(c *wireClient) {
				c.send("V|262=R1|263=1|264=x|265=1|267=1|269=0|146=1|55=SYM0001|")
				c.expect(reject("264", "6")...)
			}},
			{"262 empty", func(c *wireClient) {
				c.send("V|262=|263=1|264=5|265=1|267=1|269=0|146=1|55=SYM0001|")
				c.expect(reject("262", "4")...)
			}},
			{"267=3 with two entries", func(c *wireClient) {
				c.send("V|262=R1|263=1|264=5|265=1|267=3|269=0|269=1|146=1|55=SYM0001|")
				c.expect(reject("267", "16")...)
			}},
			{"a field of the header behind the body", func(c *wireClient) {
				c.send("V|262=R1|263=1|264=5|265=1|267=1|269=0|146=1|55=SYM0001|50=x|")
				c.expect(reject("50", "14")...)
			}},
			{"262 twice", func(c *wireClient) {
				c.send("V|262=R1|262=R1|263=1|264=5|265=1|267=1|269=0|146=1|55=SYM0001|")
				c.expect(reject("262", "13")...)
			}},
			{"updates of an unsaid kind", func(c *wireClient) {
				c.send("V|262=R1|263=1|264=5|267=1|269=0|146=1|55=SYM0001|")
				c.expect("35=j", "380=5")
			}},
			{"refused requests", func(c *wireClient) {
				for _, bad := range [][3]string{
					{"263=1|264=5|265=1|267=1|269=0|146=1|55=NONE|", "0", "unknown symbol NONE"},
					{"263=1|264=5|265=1|267=1|269=0|146=4|55=SYM0001|55=SYM0002|55=SYM0003|55=SYM0004|", "2", "4 symbols with those that run already, at most 3 are had"},
					{"263=1|264=5|265=1|266=N|267=1|269=0|146=1|55=SYM0001|", "7", "entries are had one a price, not one an order: AggregatedBook Y"},
					{"263=1|264=5|265=1|267=1|269=3|146=1|55=SYM0001|", "8", "MDEntryType 3 is not had; 0 to 2, 4 to 9 and A to C are"},
					{"263=2|264=5|265=1|267=1|269=0|146=1|55=SYM0001|", "4", "no request with this MDReqID runs"},
				} {
					c.send("V|262=BAD|" + bad[0])
					c.expect("35=Y", "262=BAD", "281="+bad[1], "58="+bad[2])
				}
				c.send(subscribe)
				c.expect("35=W")
				c.send(subscribe)
				c.expect("35=Y", "262=R1", "281=1")
			}},
			{"a snapshot, and nothing after it", func(c *wireClient) {
				c.send("V|262=S|263=0|264=1|267=2|269=0|269=1|146=1|55=SYM0003|")
				c.expect("35=W", "262=S", "268=2", "55=SYM0003")
				c.send("V|262=S|263=0|264=1|267=1|269=1|146=1|55=SYM0003|")
				c.expect("35=W", "262=S", "268=1", "269=1")
			}},
			{"unsubscribe", func(c *wireClient) {
				c.send(subscribe)
				c.expect("35=W")
				c.send(strings.Replace(subscribe, "263=1", "263=2", 1))
				c.expectSilence()
				c.send(subscribe)
				c.expect("35=W")
			}},
			{"the list and the status", func(c *wireClient) {
				if v == session.V42 {
					c.send("c|320=L|321=3|")
					for i := range 5 {
						c.expect("35=d", "320=L", "393=5", fmt.Sprintf("55=SYM%04d", i+1))
					}
				} else {
					c.send("x|320=L|559=4|")
					c.expect("35=y", "320=L", "560=0", "893=Y", "146=5", "55=SYM0005")
				}
				c.send("e|324=Q|55=SYM0001|263=0|")
				c.expect("35=f", "324=Q", "55=SYM0001", "326=17")
			}},
		} {
			t.Run(v.String()+"/"+tc.name, func(t *testing.T) {
				var c *wireClient
				for end := time.Now().Add(patience); ; { // the session before this one may be ending
					c = dialVenue(t, v, venue.Addr().String())
					c.logon("141=Y|")
					if m, err := c.read(patience); err == nil && strings.Contains(m, "|35=A|") {
						break
					} else if time.Now().After(end) {
						t.Fatalf("no Logon: %q, %v", m, err)
					}
					c.close()
					time.Sleep(5 * time.Millisecond)
				}
				defer c.close()
				tc.talk(c)
			})
		}
	}
}

// Goal: who may not log on learns nothing.
func TestServerLogons(t *testing.T) {
	venue := startVenue(t, simfix.Options{
		Server: session.ServerConfig{LogonTimeout: time.Minute, MaxConnections: 3, Clients: []string{"ME"}},
		Market: fixgen.Options{Symbols: 2}, Held: true,
	})
	n := venue.Counters()
	over := func() { // the sessions before this one have ended
		t.Helper()
		until(t, patience, "logged out", func() bool { return n.Logouts.Load() == n.Logons.Load() })
	}
	// logon connects until it gets an answer: a session that has ended may not be ready for the next one yet.
	logon := func(seq int) (d *wireClient, first string) {
		t.Helper()
		over()
		until(t, patience, "an answer to Logon", func() (good bool) {
			d = dialVenue(t, session.V44, venue.Addr().String())
			d.seq = seq
			d.logon("")
			var err error
			if first, err = d.read(patience); err != nil {
				d.close()
			}
			return err == nil
		})
		return d, first
	}
	for _, tc := range []struct {
		name string
		talk func(c *wireClient)
	}{
		{"not a Logon", func(c *wireClient) { c.send("0|"); c.expectClosed() }},
		{"an unknown session", func(c *wireClient) { c.we = "YOU"; c.logon(""); c.expectClosed() }},
		{"no HeartBtInt", func(c *wireClient) { c.send("A|98=0|"); c.expectClosed() }},
		{"encryption", func(c *wireClient) {
			c.send("A|98=5|108=30|")
			c.expect("35=5", "58=EncryptMethod is 5, want 0")
			c.expectClosed()
		}},
		{"too low", func(c *wireClient) {
			c.logon("141=Y|")
			c.expect("35=A")
			c.send("0|")
			c.close()
			d, first := logon(0)
			if !strings.Contains(first, "|35=5|") || !strings.Contains(first, "|58=MsgSeqNum too low, expecting 3 but received 1|") {
				t.Error(first)
			}
			d.expectClosed()
		}},
		{"too high: Logon, then ResendRequest", func(c *wireClient) {
			c.logon("141=Y|")
			c.expect("35=A")
			c.close()
			d, first := logon(9)
			if !strings.Contains(first, "|35=A|") {
				t.Error(first)
			}
			d.expect("35=2", "7=2", "16=0")
			d.send("1|112=up|")
			d.raw(wire("FIX.4.4", d.numbered(2, "4|43=Y|122="+now()+"|123=Y|36=11|")))
			d.expect("35=0", "112=up")
			d.close()
		}},
		{"no heartbeats", func(c *wireClient) {
			c.send("A|98=0|108=0|141=Y|")
			c.expect("35=A", "108=0")
			c.expectSilence()
		}},
		{"too many connections", func(c *wireClient) {
			before := n.Connections.Load() - 1 // c may be taken already
			d, e := dialVenue(t, session.V44, venue.Addr().String()), dialVenue(t, session.V44, venue.Addr().String())
			until(t, patience, "three are taken", func() bool { return n.Connections.Load() >= before+3 })
			f := dialVenue(t, session.V44, venue.Addr().String())
			f.expectClosed()
			d.close()
			e.close()
			if n.Refused.Load() == 0 {
				t.Error("not counted")
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			over()
			c := dialVenue(t, session.V44, venue.Addr().String())
			defer c.close()
			c.t = t
			tc.talk(c)
		})
	}
	t.Run("FIXT without DefaultApplVerID", func(t *testing.T) {
		c := dialVenue(t, session.V50SP2, venue.Addr().String())
		c.send("A|98=0|108=30|")
		c.expectClosed()
	})
}

// Goal: a connection that says nothing, or not all of something, is not held for ever, and counted.
func TestSlowPeers(t *testing.T) {
	const soon = 300 * time.Millisecond
	names := 0
	start := func(logon, frame time.Duration) (*simfix.Venue, *wireClient) {
		names++
		name := fmt.Sprint("SLOW", names)
		venue := startVenue(t, simfix.Options{
			Server: session.ServerConfig{SenderCompID: name, LogonTimeout: logon, FrameTimeout: frame}, Market: fixgen.Options{Symbols: 2}, Held: true,
		})
		c := dialVenue(t, session.V44, venue.Addr().String())
		c.they = name
		return venue, c
	}
	for _, first := range []string{"", "8=FIX.4.4\x019=70\x0135=A\x01"} {
		venue, c := start(soon, patience)
		c.raw([]byte(first))
		c.expectClosed()
		if n := venue.Counters().Slow.Load(); n != 1 {
			t.Errorf("behind %q: %d slow connections, want 1", first, n)
		}
	}
	venue, c := start(patience, soon)
	c.logon("141=Y|")
	c.expect("35=A")
	whole := wire("FIX.4.4", c.fields("0|"))
	c.raw(whole[:len(whole)-5])
	c.expectClosed()
	if n := venue.Counters().Slow.Load(); n != 1 {
		t.Errorf("half a Heartbeat: %d slow connections, want 1", n)
	}
}
