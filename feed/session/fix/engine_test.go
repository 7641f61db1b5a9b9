package fix_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	codec "github.com/tickwire/tickwire/parsers/fix"
	simfix "github.com/tickwire/tickwire/sim/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

// The tests of this file have the C++ engine on the other side, a program of testdata/peer.cpp that is built here. It listens on all interfaces, so
// everything runs in a network namespace of the test's own. In the way stands a proxy that loses and spoils messages and cuts the connection.

var peerDir string // where the peer was built, if it was

var peerBuild = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tickwire-fix-peer-")
	if err != nil {
		return "", err
	}
	peerDir = dir
	out := filepath.Join(dir, "peer")
	text, err := exec.Command("g++", "-std=c++14", "-O1", "-w", "-o", out, "testdata/peer.cpp", "-lquickfix", "-lpthread").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("g++: %w\n%s", err, text)
	}
	return out, nil
})

func TestMain(m *testing.M) {
	if kind := os.Getenv(processEnv); kind != "" {
		os.Exit(beProcess(kind))
	}
	code := m.Run()
	if peerDir != "" {
		_ = os.RemoveAll(peerDir)
	}
	os.Exit(code)
}

// peerProgram builds the peer. Where the engine is missing the test is skipped and says so; where CI is set it fails.
func peerProgram(t *testing.T) string {
	t.Helper()
	_, err := os.Stat("/usr/include/quickfix/Session.h")
	if err == nil {
		_, err = exec.LookPath("g++")
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the C++ engine is missing, and CI must have it (apt-get install libquickfix-dev g++): %v", err)
		}
		t.Skipf("the C++ engine is missing (apt-get install libquickfix-dev g++): %v", err)
	}
	path, err := peerBuild()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// peer is a running C++ engine.
type peer struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	said map[string]int // lines by their first word
	each func(kind, message string)
	done chan struct{}
}

func startPeer(t *testing.T, ns *netns.NS, env []string, each func(kind, message string), args ...string) *peer {
	t.Helper()
	p := &peer{t: t, said: map[string]int{}, each: each, done: make(chan struct{})}
	p.cmd = exec.Command(peerProgram(t), args...)
	p.cmd.Env = append(os.Environ(), env...)
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = os.Stderr
	if err := ns.Do(p.cmd.Start); err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	t.Cleanup(p.stop)
	p.await("ready", 1)
	return p
}

func (p *peer) read(out io.Reader) {
	defer close(p.done)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		kind, message, _ := strings.Cut(lines.Text(), " ")
		if p.each != nil {
			p.each(kind, message)
		}
		p.mu.Lock()
		p.said[kind]++
		p.mu.Unlock()
	}
}

func (p *peer) count(kind string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said[kind]
}

func (p *peer) await(kind string, n int) {
	p.t.Helper()
	until(p.t, time.Minute, fmt.Sprintf("%q said %d times by the peer", kind, n), func() bool { return p.count(kind) >= n })
}

func (p *peer) tell(command string) { _, _ = io.WriteString(p.in, command+"\n") }

func (p *peer) stop() {
	p.tell("quit")
	_ = p.in.Close()
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	_ = p.cmd.Wait()
}

// peerConfig writes the engine's configuration.
func peerConfig(t *testing.T, v session.Version, kind string, port int) string {
	t.Helper()
	dir := t.TempDir()
	dict, err := filepath.Abs("../../../parsers/fix/dict")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[DEFAULT]\nConnectionType=%s\nStartTime=00:00:00\nEndTime=00:00:00\nFileStorePath=%s\nUseDataDictionary=Y\n", kind, dir)
	fmt.Fprintf(&b, "SenderCompID=PEER\nTargetCompID=ME\nReconnectInterval=1\nHeartBtInt=5\n")
	if kind == "acceptor" {
		fmt.Fprintf(&b, "SocketAcceptPort=%d\nSocketReuseAddress=Y\n", port)
	} else {
		fmt.Fprintf(&b, "SocketConnectHost=127.0.0.1\nSocketConnectPort=%d\n", port)
	}
	fmt.Fprintf(&b, "[SESSION]\nBeginString=%s\n", v.BeginString())
	switch v {
	case session.V42:
		fmt.Fprintf(&b, "DataDictionary=%s/FIX42.xml\n", dict)
	case session.V44:
		fmt.Fprintf(&b, "DataDictionary=%s/FIX44.xml\n", dict)
	default:
		fmt.Fprintf(&b, "DefaultApplVerID=FIX.5.0SP2\nTransportDataDictionary=%s/FIXT11.xml\nAppDataDictionary=%s/FIX50SP2.xml\n", dict, dict)
	}
	path := filepath.Join(dir, "peer.cfg")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// proxy stands between two engines in a namespace. What comes from the side that is dialled goes through a filter, message by message.
type proxy struct {
	ns     *netns.NS
	to     string
	filter func(n int, raw []byte) []byte // n counts messages of the application; nil: lost
	l      net.Listener
	mu     sync.Mutex
	conns  []net.Conn
	n      int
	wg     sync.WaitGroup
}

func startProxy(t *testing.T, ns *netns.NS, to string, filter func(n int, raw []byte) []byte) *proxy {
	t.Helper()
	p := &proxy{ns: ns, to: to, filter: filter}
	if err := ns.Do(func() (err error) { p.l, err = net.Listen("tcp", "127.0.0.1:0"); return err }); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.serve)
	t.Cleanup(func() { _ = p.l.Close(); p.cut(); p.wg.Wait() })
	return p
}

func (p *proxy) port() int { return p.l.Addr().(*net.TCPAddr).Port }

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *proxy) serve() {
	for {
		near, err := p.l.Accept()
		if err != nil {
			return
		}
		var far net.Conn
		if err := p.ns.Do(func() (err error) { far, err = net.Dial("tcp", p.to); return err }); err != nil {
			_ = near.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, near, far)
		p.mu.Unlock()
		p.wg.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
		p.wg.Go(func() { p.pass(near, far); _ = near.Close() })
	}
}

func (p *proxy) pass(near, far net.Conn) {
	var s codec.Stream
	buf := make([]byte, 64<<10)
	for {
		n, err := far.Read(buf)
		if err != nil {
			return
		}
		s.Add(buf[:n])
		var out []byte
		for raw := s.Next(); raw != nil; raw = s.Next() {
			if typ := fieldOf(raw, "35"); len(typ) == 1 && strings.Contains("012345A", typ) {
				out = append(out, raw...)
				continue
			}
			p.n++
			out = append(out, p.filter(p.n, raw)...)
		}
		if _, err := near.Write(out); err != nil {
			return
		}
	}
}

// fieldOf finds a field slowly.
func fieldOf(raw []byte, tag string) string {
	_, rest, ok := strings.Cut("\x01"+string(raw), "\x01"+tag+"=")
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, "\x01")
	return value
}

// spoil makes a message garbled: a wrong sum, or a wrong length.
func spoil(raw []byte, length bool) []byte {
	b := append([]byte(nil), raw...)
	if !length {
		b[len(b)-2] = '0' + (b[len(b)-2]-'0'+1)%10
		return b
	}
	body, rest, _ := strings.Cut(string(b), "\x0135=")
	begin, number, _ := strings.Cut(body, "9=")
	n, _ := strconv.Atoi(number)
	return []byte(begin + "9=" + strconv.Itoa(n+3) + "\x0135=" + rest)
}

func dialIn(ns *netns.NS) func(context.Context, string) (net.Conn, error) {
	return func(_ context.Context, address string) (conn net.Conn, err error) {
		err = ns.Do(func() error { conn, err = net.DialTimeout("tcp", address, 5*time.Second); return err })
		return conn, err
	}
}

// Goal: 100,000 updates of the C++ engine arrive at our client complete, once and in order, though messages are lost and garbled under way and the
// connection breaks in the middle: what was missed is asked for, by numbers that outlive the connection. Method: the price of an update is its number.
func TestClientOfEngine(t *testing.T) {
	for _, v := range session.Versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			updates := 100_000
			if raceEnabled {
				updates = 20_000
			}
			ns := nstest.Pair(t, netns.Options{}).Rx
			venue := startPeer(t, ns, []string{"HALT=1"}, nil, "acceptor", peerConfig(t, v, "acceptor", 5001), strconv.Itoa(updates), "0")
			begun := time.Now()
			again := false // one update of the replay after the break is lost
			p := startProxy(t, ns, "127.0.0.1:5001", func(n int, raw []byte) []byte {
				switch {
				case !again && fieldOf(raw, "270") == strconv.Itoa(updates/2+100) && fieldOf(raw, "43") == "Y":
					again = true
					return nil
				case fieldOf(raw, "35") != "X":
				case n == 1000, n >= 3000 && n < 3010, n == updates/2-10:
					return nil
				case n%(updates/6) == 0:
					return spoil(raw, false)
				case n%(updates/5) == 0:
					return spoil(raw, true)
				}
				return raw
			})
			var mu sync.Mutex
			next, list, books := 1, 0, 0
			var faults []string
			c, err := session.Open(session.Config{
				Session: session.Session{Version: v, SenderCompID: "ME", TargetCompID: "PEER", StoreDir: t.TempDir(), Patience: 2 * time.Second, Log: testLog(t)},
				Address: fmt.Sprintf("127.0.0.1:%d", p.port()), Symbols: []string{"ESZ4", "NQZ4"}, List: v != session.V42, Depth: 1, Dial: dialIn(ns), RetryLeast: 300 * time.Millisecond,
			}, func(raw []byte, recv time.Time) {
				mu.Lock()
				defer mu.Unlock()
				switch fieldOf(raw, "35") {
				case "y":
					list++
				case "W":
					books++
				case "X":
					if got := fieldOf(raw, "270"); got != strconv.Itoa(next) && len(faults) < 5 {
						faults = append(faults, fmt.Sprintf("update %s, want %d: %s", got, next, plain(raw)))
					}
					next++
				}
				if recv.Before(begun) || time.Since(recv) < 0 { // it may have waited for a replay for long
					faults = append(faults, fmt.Sprint("received at ", recv))
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			taken := func() int { mu.Lock(); defer mu.Unlock(); return next }
			whileMoving(t, "half of the updates sent", taken, func() bool { return venue.count("halted") == 1 })
			p.cut()
			venue.tell("go")
			whileMoving(t, "all updates sent", taken, func() bool { return venue.count("finished") == 1 })
			whileMoving(t, "all updates there", taken, func() bool { mu.Lock(); defer mu.Unlock(); return next > updates || len(faults) > 0 })
			want := 2
			if v != session.V42 {
				want += 3
			}
			until(t, time.Minute, "all books there", func() bool { return c.Status().Live == want })
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			venue.await("logout", 2)
			mu.Lock()
			defer mu.Unlock()
			for _, f := range faults {
				t.Error(f)
			}
			n := c.Counters()
			if next != updates+1 || n.Garbled.Load() == 0 || n.Logons.Load() != 2 || n.Malformed.Load()+n.RingFull.Load()+n.Backlog.Load() != 0 {
				t.Errorf("%d updates of %d; garbled %d, logons %d, malformed %d", next-1, updates, n.Garbled.Load(), n.Logons.Load(), n.Malformed.Load())
			}
			if want > 2 && list < 4 {
				t.Errorf("%d fragments of the list, want 2 at each logon", list)
			}
			t.Logf("garbled %d, gap fills %d, resubscribed %d, books %d", n.Garbled.Load(), n.Gaps.Load(), n.Resubscribe.Load(), books)
			if n.Reasked.Load() == 0 {
				t.Error("no gap within a replay was asked for again")
			}
		})
	}
}

// Goal: the C++ engine at our server has the venue's books after 100,000 entries, though messages are lost and garbled under way and the connection
// breaks, whether we replay (then each entry arrives, once and in order) or fill gaps and send books anew. It finds no fault with any message.
func TestEngineAtServer(t *testing.T) {
	for _, v := range session.Versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			for _, resend := range []bool{true, false} {
				t.Run(fmt.Sprintf("resend=%v", resend), func(t *testing.T) { engineAtServer(t, v, resend) })
			}
		})
	}
}

func engineAtServer(t *testing.T, v session.Version, resend bool) {
	steps := 100_000
	if raceEnabled {
		steps = 20_000
	}
	ns := nstest.Pair(t, netns.Options{}).Rx
	var l net.Listener
	if err := ns.Do(func() (err error) { l, err = net.Listen("tcp", "127.0.0.1:0"); return err }); err != nil {
		t.Fatal(err)
	}
	venue, err := simfix.Start(simfix.Options{
		Server: session.ServerConfig{
			SenderCompID: "ME", Clients: []string{"PEER"}, Versions: []session.Version{v}, Resend: resend, QueueMessages: 1 << 20, QueueBytes: 256 << 20,
			Listen: func(string) (net.Listener, error) { return l, nil }, Log: testLog(t),
		},
		Market: fixgen.Options{Seed: 3, Symbols: 4}, Rate: 50_000, Steps: steps, Held: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer venue.Close()
	p := startProxy(t, ns, l.Addr().String(), func(n int, raw []byte) []byte {
		switch {
		case fieldOf(raw, "43") == "Y": // the engine asks once: what is lost of an answer it waits for for ever
			return raw
		case n == 100, n >= 300 && n < 310:
			return nil
		case n%700 == 0:
			return spoil(raw, false)
		case n%900 == 0:
			return spoil(raw, true)
		}
		return raw
	})
	r := newReader(t, v)
	client := startPeer(t, ns, nil, func(kind, message string) {
		switch kind {
		case "app":
			r.takePlain(message)
		case "sent":
			if fieldOf([]byte(strings.ReplaceAll(message, "|", "\x01")), "35") == "3" {
				r.mu.Lock()
				r.fault("the engine rejects: %s", message)
				r.mu.Unlock()
			}
		}
	}, "initiator", peerConfig(t, v, "initiator", p.port()), "5", "SYM0001", "SYM0002", "SYM0003", "SYM0004")
	client.await("logon", 1)
	until(t, time.Minute, "books there", func() bool { w, _, _ := r.counts(); return w >= 4 })
	venue.Begin()
	if !resend {
		// The day is over sooner than a slow engine has read a tenth of it: the break waits until it has met the lost message.
		whileMoving(t, "half of the day over and a book sent anew", r.entryCount, func() bool {
			return venue.Steps() > uint64(steps/2) && venue.Counters().Catchups.Load() > 0
		})
		p.cut()
	}
	whileMoving(t, "the day over", func() int { return int(venue.Steps()) + r.entryCount() }, func() bool {
		return venue.Steps() == uint64(steps) && (!resend || uint64(r.entryCount()) >= venue.Counters().Entries.Load())
	})
	if !resend {
		client.await("logon", 2)
	}
	var last error
	defer func() {
		if last != nil {
			t.Log(last)
		}
	}()
	whileMoving(t, "the venue's books at the engine", r.entryCount, func() bool {
		last = nil
		for _, symbol := range []string{"SYM0001", "SYM0002", "SYM0003", "SYM0004"} {
			b, _ := venue.Book(symbol)
			if err := r.same(symbol, &b, 5); err != nil {
				last = err
			}
		}
		return last == nil
	})
	n := venue.Counters()
	if resend {
		r.check(t)
		if uint64(r.entryCount()) != n.Entries.Load() {
			t.Errorf("%d entries, want %d", r.entryCount(), n.Entries.Load())
		}
	} else if n.Catchups.Load() == 0 {
		t.Error("no book was sent anew")
	}
	if n.Resends.Load() == 0 || n.Conflated.Load() != 0 && resend {
		t.Errorf("resend requests %d, conflated %d", n.Resends.Load(), n.Conflated.Load())
	}
	w, x, _ := r.counts()
	t.Logf("%d W, %d X of %d entries; resend requests %d, books anew %d", w, x, r.entryCount(), n.Resends.Load(), n.Catchups.Load())
}

// takePlain reads a message as the peer tells it.
func (r *reader) takePlain(text string) {
	body := strings.ReplaceAll(text, "|", "\x01")
	r.take([]byte(body), time.Time{})
}
