//go:build cgo

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	codec "github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/ringbuf"
	simfix "github.com/tickwire/tickwire/sim/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
	"github.com/tickwire/tickwire/tick"
)

// TestSQLFromFIX: a file of messages answers SQL; one with a hole says so, names it in gaps, and still answers.
func TestSQLFromFIX(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "day.fix")
	day := genDay(t, path, "--messages", "3000", "--symbols", "4")
	code, out, errs := command(t, "sql", "--from", path, "--format", "csv", "SELECT symbol, count(*) > 300 AS many FROM ticks GROUP BY 1 ORDER BY 1")
	if want := "symbol,many\nSYM0001,t\nSYM0002,t\nSYM0003,t\nSYM0004,t\n"; code != exitOK || out != want {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, out, errs = command(t, "sql", "--from", path, "--format", "csv", "SELECT count(*) FROM gaps")
	if code != exitOK || out != "count\n0\n" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	at := bytes.Index(day[len(day)/2:], []byte("\x01279=")) + len(day)/2
	day[at+1] ^= 1
	if err := os.WriteFile(path, day, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = command(t, "sql", "--from", path, "--format", "csv", "SELECT count(*) FROM gaps")
	if code != exitOK || out != "count\n1\n" || !strings.Contains(errs, "bytes belong to no whole message") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// daemon is a process of this command.
type daemon struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	log bytes.Buffer
}

func (c *daemon) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

func (c *daemon) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

func startDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	c := &daemon{cmd: exec.Command(tickwireBinary(t), args...)}
	c.cmd.Stdout, c.cmd.Stderr = c, c
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
		if t.Failed() {
			t.Log(args, c.text())
		}
	})
	return c
}

// end sends SIGTERM, and wants a clean end.
func (c *daemon) end(t *testing.T) {
	t.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- c.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("at SIGTERM: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("SIGTERM does not end it")
	}
}

// tops are best prices as a client of the port rebuilds them, by price.
type tops struct {
	mu     sync.Mutex
	m      codec.Message
	dict   *codec.Dictionary
	books  map[string]map[string]map[int64]uint32 // symbol, 269, price
	w, x   int
	faults []string
}

func (b *tops) take(raw []byte, _ time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := &b.m
	if err := m.Parse(raw, b.dict); err != nil {
		b.faults = append(b.faults, err.Error())
		return
	}
	typ, symbol := string(m.MsgType()), string(m.Get(55))
	switch typ {
	case "W":
		b.w++
		b.books[symbol] = map[string]map[int64]uint32{"0": {}, "1": {}}
	case "X":
		b.x++
	default:
		return
	}
	for _, e := range m.Entries(nil, 268) {
		if s := m.In(e, 55); typ == "X" && s != nil {
			symbol = string(s)
		}
		side := b.books[symbol][string(m.In(e, 269))]
		if side == nil {
			continue // a trade
		}
		px, _ := codec.Price(m.In(e, 270))
		size, _ := codec.Uint(m.In(e, 271))
		if string(m.In(e, 279)) == "2" {
			delete(side, px)
		} else {
			side[px] = uint32(size)
		}
	}
}

// same says whether a client's book is one level of each side: that of the ring.
func (b *tops) same(symbol string, p tick.BidAskPair) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	got, want := b.books[symbol], map[string]map[int64]uint32{"0": {p.BidPx: p.BidSz}, "1": {p.AskPx: p.AskSz}}
	return fmt.Sprint(got) == fmt.Sprint(want)
}

// Goal: what a FIX venue sends comes out of our own FIX port, through real processes: sim's venue, tickwire feed, rings, tickwire serve, a client. A
// CompID that is not named is refused; the feed logs out at SIGTERM; the port says that its books are not firm then.
func TestServeFIX(t *testing.T) {
	const steps = 3000
	venue, err := simfix.Start(simfix.Options{
		Server: fixsession.ServerConfig{Address: "127.0.0.1:0", SenderCompID: "VENUE", Clients: []string{"FEED"}, QueueMessages: 1 << 20, QueueBytes: 64 << 20},
		Market: fixgen.Options{Symbols: 3}, Rate: 1500, Steps: steps, Held: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer venue.Close()
	dir := t.TempDir()
	path := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(path, fmt.Appendf(nil, `
[instance]
name = "t"
ring_dir = %[1]q
run_dir = %[1]q
[[feed]]
name = "fx"
protocol = "fix"
publisher = 40003
[feed.fix]
version = "5.0SP2"
address = %[2]q
sender = "FEED"
target = "VENUE"
symbols = ["SYM0001", "SYM0002", "SYM0003"]
[serve]
sql = "127.0.0.1:0"
memory = "64MiB"
[serve.fix]
address = "127.0.0.1:0"
clients = ["BUYER"]
`, dir, venue.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	feed := startDaemon(t, "feed", "fx", "--config", path)
	server := startDaemon(t, "serve", "--config", path)
	within := func(what string, good func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !good(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not yet: ", what)
			}
		}
	}
	address := ""
	within("the port", func() bool {
		_, rest, ok := strings.Cut(server.text(), "fix=127.0.0.1:")
		if port, _, whole := strings.Cut(rest, "\n"); ok && whole {
			address = "127.0.0.1:" + strings.Fields(port)[0]
		}
		return address != ""
	})
	var last *ringbuf.LastReader
	var inst *ringbuf.InstReader
	within("the rings, with all instruments", func() bool {
		if inst == nil {
			if inst, err = ringbuf.OpenInst(ringbuf.SidePath(dir, "t", "fx", "0", ringbuf.ExtInst)); err != nil {
				inst = nil
				return false
			}
			if last, err = ringbuf.OpenLast(ringbuf.SidePath(dir, "t", "fx", "0", ringbuf.ExtLast), inst); err != nil { // it is made after the other
				_ = inst.Close()
				inst = nil
				return false
			}
		}
		return inst.Count() == 3
	})
	defer func() { _, _ = last.Close(), inst.Close() }()

	dict, err := codec.Builtin("FIX.4.4")
	if err != nil {
		t.Fatal(err)
	}
	b := &tops{dict: dict, books: map[string]map[string]map[int64]uint32{}}
	open := func(name string, sink fixsession.Sink) *fixsession.Client {
		k, err := fixsession.Open(fixsession.Config{
			Session: fixsession.Session{Version: fixsession.V44, SenderCompID: name, TargetCompID: "TICKWIRE"}, Address: address,
			Symbols: []string{"SYM0001", "SYM0002", "SYM0003"}, Depth: 1,
		}, sink)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = k.Close() })
		return k
	}
	time.Sleep(600 * time.Millisecond) // the port looks for new instruments each half second
	k := open("BUYER", b.take)
	stranger := open("NOBODY", func([]byte, time.Time) {})
	within("books", func() bool { return k.Status().Live == 3 })
	venue.Begin()
	within("the day over", func() bool { return venue.Steps() == steps })
	for i := range uint32(3) {
		symbol := fmt.Sprintf("SYM%04d", i+1)
		within(symbol+": the client's book is the ring's, and the venue's", func() bool {
			rec, ok := last.Last(40003, i+1)
			v, _ := venue.Book(symbol)
			return ok && rec.Levels[0] == v.Pairs[0] && b.same(symbol, rec.Levels[0])
		})
	}
	b.mu.Lock()
	if b.w != 3 || b.x < 100 || len(b.faults) > 0 {
		t.Errorf("%d W, %d X, faults %v", b.w, b.x, b.faults)
	}
	b.mu.Unlock()
	if n := stranger.Counters(); stranger.Status().Up || n.Logons.Load() != 0 || n.Connections.Load() == 0 {
		t.Error("a CompID that is not named has logged on, or never tried")
	}
	feed.end(t)
	within("the feed has logged out", func() bool { return venue.Counters().Logouts.Load() == 1 })
	server.end(t)
	within("the port has logged its client out", func() bool { return !k.Status().Up })
}
