package fix_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/nic"
	simfix "github.com/tickwire/tickwire/sim/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

// wireVenue is a venue whose messages are written down in the test.
type wireVenue struct {
	t *testing.T
	l net.Listener
}

func listenVenue(t *testing.T) *wireVenue {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &wireVenue{t, l}
}

func (w *wireVenue) accept() *wireClient {
	w.t.Helper()
	_ = w.l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := w.l.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return &wireClient{t: w.t, v: session.V44, conn: conn, buf: make([]byte, 64<<10), they: "ME", we: "VENUE", quiet: 150 * time.Millisecond}
}

// value is a field of a message as read gives it.
func value(m, tag string) string { return fieldOf([]byte(strings.ReplaceAll(m, "|", "\x01")), tag) }

// Goal: what our client does in the situations of the session layer's tables, and with what a venue says to its requests. Method: a venue by hand, a
// conversation each.
func TestClientConversations(t *testing.T) {
	entry := "268=1|269=0|270=1|271=2|"
	for _, tc := range []struct {
		name string
		set  func(c *session.Config)
		talk func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(n int) []string)
	}{
		{"Logon with all that was configured", func(c *session.Config) {
			c.ResetOnLogon, c.Heartbeat = true, 7*time.Second
			c.CredentialsFile = filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(c.CredentialsFile, []byte("someone\nword\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
			c := w.accept()
			c.expect("8=FIX.4.4", "35=A", "34=1", "49=ME", "56=VENUE", "98=0", "108=7", "141=Y", "553=someone", "554=word")
			c.send("A|98=0|108=7|141=Y|")
			c.expect("35=V", "34=2", "263=1", "264=3", "265=1", "266=Y", "267=3", "269=0", "146=2", "55=AA")
		}},
		{"what comes is handed out as it is, but for what was asked before", nil,
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				id := c.begin()
				c.send("W|55=AA|262=" + id + "|" + entry)
				c.send("X|262=other|268=1|279=0|269=0|55=AA|270=2|")
				c.send("X|268=1|279=0|269=0|55=AA|270=3|354=9|355=a\x0110=000\x01|")
				c.send("B|148=news|33=1|58=x|")
				got := poll(3)
				for i, want := range []string{"35=W", "270=3|354=9|355=a|10=000||", "148=news"} {
					if !strings.Contains(got[i], want) {
						t.Errorf("%s: has no %q", got[i], want)
					}
				}
				if st := k.Status(); !st.Up || st.Live != 1 || st.Wanted != 2 || k.Counters().Stale.Load() != 1 {
					t.Errorf("%+v, stale %d", st, k.Counters().Stale.Load())
				}
			}},
		{"Y, Reject and BusinessMessageReject end a request", nil,
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				for i, answer := range []string{"Y|262=%[1]s|281=0|58=no such thing|", "3|45=%[2]s|58=what|373=5|", "j|45=%[2]s|372=V|380=0|58=not today|"} {
					c := w.accept()
					c.expect("35=A")
					if i == 0 {
						c.logon("")
					} else {
						c.seq = c.resume(k)
						c.logon("")
					}
					m := c.expect("35=V")
					c.send(fmt.Sprintf(answer, value(m, "262"), value(m, "34")))
					until(t, patience, "refused", func() bool { return k.Status().Refused == 2 })
					if want := []string{"no such thing (281=0)", "what (373=5)", "not today (380=0)"}[i]; k.Status().LastText != want {
						t.Errorf("%q, want %q", k.Status().LastText, want)
					}
					c.close()
					until(t, patience, "down", func() bool { return !k.Status().Up })
				}
			}},
		{"Resubscribe: another request first, and of each symbol the old one's X until the new one's W", nil,
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				id := c.begin()
				c.send("W|55=AA|262=" + id + "|" + entry)
				c.send("W|55=BB|262=" + id + "|" + entry)
				poll(2)
				k.Resubscribe("BB")
				anew := value(c.expect("35=V", "263=1", "146=2", "55=AA"), "262")
				c.expect("35=V", "263=2", "262="+id)
				x := func(id, symbol, px string) {
					c.send("X|262=" + id + "|268=1|279=0|269=0|55=" + symbol + "|270=" + px + "|")
				}
				x(id, "AA", "5")
				c.send("W|55=AA|262=" + anew + "|" + entry)
				x(id, "AA", "6") // is in the W
				x(id, "BB", "7")
				x(anew, "AA", "8")
				c.send("W|55=BB|262=" + anew + "|" + entry)
				x(id, "BB", "9") // of a request that is over
				x(anew, "BB", "10")
				got := poll(6)
				for i, want := range []string{"270=5|", "55=AA|", "270=7|", "270=8|", "55=BB|", "270=10|"} {
					if !strings.Contains(got[i], want) {
						t.Errorf("message %d has no %s: %s", i, want, got[i])
					}
				}
				if n := k.Counters(); n.Stale.Load() != 2 || n.Renewed.Load() != 1 || n.Resubscribe.Load() != 0 || s.Breaks() != 0 || k.Status().Live != 2 {
					t.Errorf("stale %d, renewed %d, all anew %d, breaks %d, %+v", n.Stale.Load(), n.Renewed.Load(), n.Resubscribe.Load(), s.Breaks(), k.Status())
				}
				// A venue that does not have an instrument twice: both requests are over, which is a break, and all is asked anew.
				k.Resubscribe("no symbol of ours")
				c.send("Y|262=" + value(c.expect("35=V", "263=1"), "262") + "|281=1|58=twice|")
				c.expect("35=V", "263=2", "262="+anew)
				c.expect("35=V", "263=1", "146=2")
				if s.Breaks() != 1 || k.Counters().Resubscribe.Load() != 1 {
					t.Errorf("%d breaks, all anew %d times", s.Breaks(), k.Counters().Resubscribe.Load())
				}
			}},
		{"a gap fill breaks the row of numbers, and all is asked anew", nil,
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				id := c.begin()
				c.send("W|55=AA|262=" + id + "|" + entry)
				poll(1)
				c.seq += 3
				c.send("X|262=" + id + "|268=1|279=0|269=0|55=AA|270=4|")
				c.expect("35=2", "7=3", "16=0")
				c.raw(wire("FIX.4.4", c.numbered(3, "4|43=Y|122="+now()+"|123=Y|36=6|")))
				poll(1)
				if s.Breaks() != 1 {
					t.Errorf("%d breaks", s.Breaks())
				}
				c.expect("35=V", "262="+id, "263=2")
				m := c.expect("35=V", "263=1")
				if value(m, "262") == id {
					t.Error("the MDReqID is used again")
				}
				c.send("X|262=" + id + "|268=1|279=0|269=0|55=AA|270=5|")
				c.send("W|55=AA|262=" + value(m, "262") + "|" + entry)
				if got := poll(1); !strings.Contains(got[0], "35=W") {
					t.Error(got)
				}
			}},
		{"a message against the rules is rejected, and is a break", nil,
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				id := c.begin()
				c.send("W|55=|262=" + id + "|" + entry)
				c.expect("35=3", "45=2", "371=55", "373=4")
				if s.Breaks() != 1 || k.Counters().Malformed.Load() != 1 {
					t.Errorf("%d breaks, %d malformed", s.Breaks(), k.Counters().Malformed.Load())
				}
			}},
		{"a strict client rejects what its dictionary does not have", func(c *session.Config) { c.Strict = true },
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				id := c.begin()
				c.send("W|55=AA|262=" + id + "|268=2|269=0|270=1|271=2|")
				c.expect("35=3", "45=2", "371=268", "373=16")
				c.send("W|55=AA|262=" + id + "|" + entry)
				if poll(1); s.Breaks() != 1 || k.Counters().Malformed.Load() != 1 {
					t.Errorf("%d breaks, %d malformed", s.Breaks(), k.Counters().Malformed.Load())
				}
			}},
		{"the venue has lost our request", nil,
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				id := c.begin()
				c.send("2|7=2|16=0|")
				c.expect("35=4", "34=2", "36=3", "43=Y", "123=Y")
				c.expect("35=V", "262="+id, "263=2")
				c.expect("35=V", "263=1")
			}},
		{"no heart beats", func(c *session.Config) { c.Heartbeat = time.Second },
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				c.expect("35=A", "108=1")
				c.send("A|98=0|108=1|")
				c.expect("35=V")
				beats, tests := 0, 0 // at 1 s and at 1.2 s, and then the end: on a slow machine in any order
				for {
					m, err := c.read(patience)
					if err != nil {
						break
					}
					if strings.Contains(m, "|35=0|") {
						beats++
					} else if strings.Contains(m, "|35=1|") && strings.Contains(m, "|112=TEST|") {
						tests++
					} else {
						t.Errorf("%s", m)
					}
				}
				if beats == 0 || tests == 0 {
					t.Errorf("%d Heartbeats, %d TestRequests", beats, tests)
				}
				c.expectClosed()
				until(t, patience, "down", func() bool { return !k.Status().Up && !s.Up() && s.Breaks() == 1 })
				w.accept().expect("35=A")
			}},
		{"the venue logs out and says why", nil,
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				c.begin()
				c.send("5|58=closing time|")
				c.expect("35=5")
				until(t, patience, "down", func() bool { return !k.Status().Up })
				if k.Status().LastText != "closing time" {
					t.Errorf("%q", k.Status().LastText)
				}
				d := w.accept()
				d.expect("35=A", "34=4")
			}},
		{"no answer to Logon", func(c *session.Config) { c.LogonTimeout = 300 * time.Millisecond },
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				c.expect("35=A")
				c.expectClosed()
				w.accept().expect("35=A")
			}},
		{"the list first, then what reports add to it", func(c *session.Config) { c.List, c.Symbols, c.ListPatience = true, nil, time.Minute },
			func(t *testing.T, w *wireVenue, k *session.Client, s *session.Source, poll func(int) []string) {
				c := w.accept()
				c.expect("35=A")
				c.logon("")
				id := value(c.expect("35=x", "559=4"), "320")
				c.send("y|320=" + id + "|322=1|560=0|393=3|893=N|146=2|55=L1|55=L2|")
				c.expectSilence()
				c.send("y|320=" + id + "|322=2|560=0|393=3|893=Y|146=1|55=L3|")
				c.expect("35=V", "146=3", "55=L1", "55=L2", "55=L3")
				c.send("BK|320=R|980=A|146=2|55=L4|55=L5|1324=D|")
				c.expect("35=V", "146=1", "55=L4")
				c.send("BP|980=D|55=L6|")
				c.send("BP|980=A|55=L7|")
				c.expect("35=V", "146=1", "55=L7")
				poll(5)
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := listenVenue(t)
			config := session.Config{
				Session: session.Session{Version: session.V44, SenderCompID: "ME", TargetCompID: "VENUE", Log: testLog(t), Patience: time.Minute},
				Name:    strings.ReplaceAll(tc.name, " ", "-"), Address: w.l.Addr().String(), Symbols: []string{"AA", "BB"}, Depth: 3, RetryLeast: 50 * time.Millisecond,
			}
			if tc.set != nil {
				tc.set(&config)
			}
			k, s, err := session.OpenSource(config)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			packets := make([]nic.Packet, 1)
			tc.talk(t, w, k, s, func(n int) (got []string) {
				t.Helper()
				until(t, patience, fmt.Sprintf("%d messages handed out", n), func() bool {
					for {
						m, err := s.Poll(packets)
						if m == 0 || err != nil {
							break
						}
						got = append(got, plain(packets[0].Data))
					}
					return len(got) >= n
				})
				return got
			})
		})
	}
}

// begin answers Logon and gives the MDReqID of the request.
func (c *wireClient) begin() string {
	c.t.Helper()
	c.expect("35=A")
	c.logon("")
	return value(c.expect("35=V"), "262")
}

// resume is the last number that this client has had of us.
func (c *wireClient) resume(k *session.Client) int { return int(k.Next()) - 1 }

// certificate writes a certificate for localhost that is its own authority.
func certificate(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Goal: with TLS on both sides a session runs; a client without a certificate, or that expects another name, does not get in.
func TestTLS(t *testing.T) {
	t.Parallel()
	serverCert, serverKey := certificate(t, "venue.test")
	clientCert, clientKey := certificate(t, "client.test")
	venue := startVenue(t, simfix.Options{
		Server: session.ServerConfig{TLS: session.TLS{CertFile: serverCert, KeyFile: serverKey, CAFile: clientCert}},
		Market: fixgen.Options{Symbols: 2},
	})
	for _, tc := range []struct {
		name string
		tls  session.TLS
		good bool
	}{
		{"right", session.TLS{CertFile: clientCert, KeyFile: clientKey, CAFile: serverCert, ServerName: "venue.test"}, true},
		{"no certificate", session.TLS{CAFile: serverCert, ServerName: "venue.test"}, false},
		{"another name", session.TLS{CertFile: clientCert, KeyFile: clientKey, CAFile: serverCert, ServerName: "other.test"}, false},
		{"no TLS", session.TLS{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k, err := session.Open(session.Config{
				Session: session.Session{Version: session.V44, SenderCompID: "ME", TargetCompID: "VENUE", Log: testLog(t)},
				Address: venue.Addr().String(), Symbols: []string{"SYM0001"}, TLS: tc.tls, RetryLeast: 100 * time.Millisecond,
			}, func([]byte, time.Time) {})
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			if tc.good {
				until(t, patience, "live", func() bool { return k.Status().Live == 1 })
				return
			}
			before, tried := venue.Counters().Logons.Load(), venue.Counters().Connections.Load()
			until(t, patience, "refused, and tried again", func() bool { return venue.Counters().Connections.Load() >= tried+3 })
			if k.Status().Up || venue.Counters().Logons.Load() != before {
				t.Error("logged on")
			}
		})
	}
}

// smallListener's connections have little room in the kernel: what waits, waits in the server.
func smallListener(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	return smallConns{l}, err
}

type smallConns struct{ net.Listener }

func (l smallConns) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(8 << 10)
	}
	return conn, err
}

// Goal: a client that takes nothing for a while costs a bounded queue, and has right books afterwards; the others notice nothing.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	const steps = 40_000
	venue := startVenue(t, simfix.Options{
		Server: session.ServerConfig{SenderCompID: "BUSY", Clients: []string{"ME", "OTHER"}, QueueBytes: 256 << 10, QueueMessages: 500, Listen: smallListener}, Market: fixgen.Options{Symbols: 3, Seed: 5},
		Rate: 20_000, Steps: steps, Held: true,
	})
	open := func(name string) (*reader, *session.Client, chan struct{}) {
		r, held := newReader(t, session.V44), make(chan struct{})
		first := true
		k, err := session.Open(session.Config{
			Session: session.Session{Version: session.V44, SenderCompID: name, TargetCompID: "BUSY", Log: testLog(t)},
			Address: venue.Addr().String(), Symbols: []string{"SYM0001", "SYM0002", "SYM0003"},
			Dial: func(_ context.Context, address string) (net.Conn, error) {
				conn, err := net.Dial("tcp", address)
				if err == nil {
					err = conn.(*net.TCPConn).SetReadBuffer(8 << 10)
				}
				return conn, err
			},
		}, func(raw []byte, at time.Time) {
			r.take(raw, at)
			if w, _, _ := r.counts(); name == "ME" && first && w >= 3 { // before the day begins, however slow the machine is
				first = false
				<-held
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = k.Close() })
		until(t, time.Minute, "books", func() bool { return k.Status().Live == 3 })
		return r, k, held
	}
	slow, _, held := open("ME")
	other, _, _ := open("OTHER")
	venue.Begin()
	until(t, time.Minute, "the day over", func() bool { return venue.Steps() == steps })
	until(t, time.Minute, "more at the other client than at the slow one", func() bool { return other.entryCount() > slow.entryCount() })
	close(held)
	for name, r := range map[string]*reader{"slow": slow, "other": other} {
		var last error
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			last = nil
			for _, symbol := range []string{"SYM0001", "SYM0002", "SYM0003"} {
				b, _ := venue.Book(symbol)
				if err := r.same(symbol, &b, 5); err != nil {
					last = err
				}
			}
			if last == nil {
				break
			}
		}
		if last != nil {
			t.Errorf("%s: %v", name, last)
		}
		r.check(t)
	}
	n := venue.Counters()
	if n.Conflated.Load() == 0 || n.Catchups.Load() == 0 {
		t.Errorf("conflated %d, books anew %d; the slow client had %d entries, the other %d", n.Conflated.Load(), n.Catchups.Load(), slow.entryCount(), other.entryCount())
	}
}
