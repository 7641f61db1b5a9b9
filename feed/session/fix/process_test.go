package fix_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	simfix "github.com/tickwire/tickwire/sim/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

// The tests of this file kill a process that has one side of a session, at any moment, and start it again with what it had on disk. The process is this test's
// program, told by its environment what to be; it ends with its standard input.

const (
	processEnv    = "TICKWIRE_FIX_TEST_PROCESS" // acceptor or initiator
	processPort   = 5201
	killedSymbols = 4
)

func beProcess(kind string) int {
	v, err := session.ParseVersion(os.Getenv("FIX_VERSION"))
	store, log := os.Getenv("FIX_STORE"), os.Getenv("FIX_LOG")
	steps, _ := strconv.Atoi(os.Getenv("FIX_STEPS"))
	port, _ := strconv.Atoi(os.Getenv("FIX_PORT"))
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if err == nil && kind == "acceptor" {
		_, err = simfix.Start(simfix.Options{
			Server: session.ServerConfig{Address: address, SenderCompID: "VENUE", Clients: []string{"ME"}, Versions: []session.Version{v}, StoreDir: store},
			Market: killedMarket(), Rate: 3000, Steps: steps,
		})
	} else if err == nil {
		var f *os.File
		if f, err = os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
			_, err = session.Open(session.Config{
				Session: session.Session{Version: v, SenderCompID: "ME", TargetCompID: "PEER", StoreDir: store, Patience: time.Second},
				Address: address, Symbols: []string{"ESZ4"}, Depth: 1, RetryLeast: 100 * time.Millisecond,
			}, func(raw []byte, _ time.Time) {
				if fieldOf(raw, "35") == "X" { // one write: a line is there whole, or not at all
					_, _ = fmt.Fprintf(f, "%s %s %s\n", fieldOf(raw, "34"), fieldOf(raw, "270"), fieldOf(raw, "43"))
				}
			})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func killedMarket() fixgen.Options { return fixgen.Options{Seed: 9, Symbols: killedSymbols} }

// startProcess starts this program as kind in a namespace. kill kills it.
func startProcess(t *testing.T, ns *netns.NS, kind string, env ...string) (kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), processEnv+"="+kind), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	var dead atomic.Bool
	kill = func() {
		if dead.Swap(true) {
			return
		}
		_ = cmd.Process.Signal(syscall.SIGKILL)
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("%s had ended before it was killed: %v", kind, cmd.ProcessState)
		}
		_ = in.Close()
	}
	t.Cleanup(kill)
	return kill
}

// Goal: an acceptor that is killed in the middle of a session goes on with its numbers: the client logs on again without a reset, none of its numbers comes
// twice, what was lost it is told by a gap fill, and asks anew: its books are the venue's at the end. Method: a venue in a process of its own, with numbers on
// disk, killed while it sends, three times.
func TestAcceptorIsKilled(t *testing.T) {
	for _, v := range session.Versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			ns := nstest.Pair(t, netns.Options{}).Rx
			store := t.TempDir()
			start := func(steps int) func() {
				return startProcess(t, ns, "acceptor", "FIX_VERSION="+v.String(), "FIX_STORE="+store, fmt.Sprint("FIX_STEPS=", steps), fmt.Sprint("FIX_PORT=", processPort))
			}
			var symbols []string
			for i := range killedSymbols {
				symbols = append(symbols, fmt.Sprintf("SYM%04d", i+1))
			}
			r := newReader(t, v)
			var client atomic.Pointer[session.Client]
			r.gaps = func() uint64 {
				if c := client.Load(); c != nil {
					return c.Counters().Gaps.Load()
				}
				return 0
			}
			kill := start(0)
			c, err := session.Open(session.Config{
				Session: session.Session{Version: v, SenderCompID: "ME", TargetCompID: "VENUE", Log: testLog(t)}, Address: fmt.Sprint("127.0.0.1:", processPort),
				Symbols: symbols, Depth: 5, Dial: dialIn(ns), RetryLeast: 100 * time.Millisecond, RetryMost: 300 * time.Millisecond,
			}, r.take)
			if err != nil {
				t.Fatal(err)
			}
			client.Store(c)
			defer c.Close()
			const rounds, steps = 3, 3000
			last := uint64(0)
			for round := range rounds {
				_, seen, _ := r.counts()
				whileMoving(t, "books there, and changes", r.entryCount, func() bool {
					_, x, _ := r.counts()
					return c.Status().Live == killedSymbols && x >= seen+100*(round+1)
				})
				if kill(); round == rounds-1 {
					kill = start(steps)
				} else {
					kill = start(0)
				}
				r.mu.Lock()
				if r.seq <= last {
					t.Errorf("numbers go on with %d behind %d", r.seq, last)
				}
				last = r.seq
				r.mu.Unlock()
			}
			g, was := fixgen.New(killedMarket()), session.Book{}
			for range steps {
				g.Next(&was)
			}
			var differs error
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				differs = nil
				for i, symbol := range symbols {
					if err := r.same(symbol, g.Book(i), 5); err != nil {
						differs = err
					}
				}
				if differs == nil {
					break
				}
			}
			if differs != nil {
				t.Error(differs)
			}
			r.check(t)
			n := c.Counters()
			if n.Logons.Load() != rounds+1 || n.Malformed.Load()+n.Garbled.Load()+n.Backlog.Load() != 0 {
				t.Errorf("%d logons, want %d; malformed %d, garbled %d", n.Logons.Load(), rounds+1, n.Malformed.Load(), n.Garbled.Load())
			}
			if r.seq < 300 {
				t.Errorf("the last number is %d: they began anew", r.seq)
			}
			t.Logf("last number %d, gap fills %d, resubscribed %d", r.seq, n.Gaps.Load(), n.Resubscribe.Load())
		})
	}
}

// Goal: an initiator that is killed in the middle of a session asks for what it has missed: each update of the venue was handed out, in order and once, but that a
// process that died between handing one out and noting its number is given that one again, marked as PossDup. Method: the C++ engine as the venue, which keeps
// what it sends; a client in a process of its own that writes down what it is handed, killed three times.
func TestInitiatorIsKilled(t *testing.T) {
	for _, v := range session.Versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			updates := 30_000
			if raceEnabled {
				updates = 8_000
			}
			ns := nstest.Pair(t, netns.Options{}).Rx
			venue := startPeer(t, ns, nil, nil, "acceptor", peerConfig(t, v, "acceptor", 5001), strconv.Itoa(updates), "0")
			dir := t.TempDir()
			log := filepath.Join(dir, "log")
			read := func() []byte {
				b, _ := os.ReadFile(log)
				return b
			}
			lines := func() int { return bytes.Count(read(), []byte("\n")) }
			start := func() func() {
				return startProcess(t, ns, "initiator", "FIX_VERSION="+v.String(), "FIX_STORE="+dir, "FIX_LOG="+log, "FIX_PORT=5001")
			}
			kill := start()
			for round := range 3 {
				want := (round + 1) * updates / 5
				whileMoving(t, fmt.Sprintf("%d updates there", want), lines, func() bool { return lines() >= want })
				kill()
				kill = start()
			}
			whileMoving(t, "all updates sent", lines, func() bool { return venue.count("finished") == 1 })
			whileMoving(t, "the last update there", lines, func() bool {
				return bytes.Contains(read(), fmt.Appendf(nil, " %d ", updates))
			})
			next, again := 1, 0
			for i, line := range strings.Split(strings.TrimSuffix(string(read()), "\n"), "\n") {
				f := strings.Split(line, " ")
				price, err := strconv.Atoi(f[1])
				switch {
				case err != nil:
					t.Fatalf("line %d: %q", i, line)
				case price == next-1 && price > 0 && f[2] == "Y": // handed out, but its number was not noted
					again++
				case price != next:
					t.Fatalf("line %d: %q, want update %d", i, line, next)
				default:
					next++
				}
			}
			if next != updates+1 || again > 3 {
				t.Errorf("%d updates of %d, %d of them twice", next-1, updates, again)
			}
			if venue.count("logon") != 4 {
				t.Errorf("%d logons, want 4", venue.count("logon"))
			}
			t.Logf("%d updates again", again)
		})
	}
}
