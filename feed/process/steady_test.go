package process

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bench/liveload"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/nic"
)

var steady = flag.Duration("steady", 5*time.Second, "how long TestSteadyLane looks at a lane under load")

// TestSteadyLane: a feed as it is meant to run: the driver's poll on one core, the lane on another one, which is its alone as far as it can tell. Under
// load the lane's thread makes no system call; it gives its core away no more often than there are release windows, and what the runtime
// calls the kernel for in those is all that it is called for at all. The kernel counts, by a tracepoint on the thread.
//
//	core 0   packets made, driver's poll, XDP program ──► receive ring ──► core 1   lane: order, decode, books, rings
func TestSteadyLane(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it counts what the runtime does of itself, which a binary that looks for races does otherwise")
	}
	cores := meter.Allowed()
	if len(cores) < 2 {
		t.Skip("a lane and its load need a core each, and there is one")
	}
	t.Setenv("GODEBUG", "asyncpreemptoff=1") // as `tickwire run` and the unit set it
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	core := cores[len(cores)-1]
	r := spawnWith(t, p, t.TempDir(), func(dir string) []byte {
		return fmt.Appendf(configOf(dir, "source = \"afxdp\"\nidle = \"spin\""), "[[feed.lane]]\ncore = %d\n", core)
	})
	tid := laneThread(t, r, core)

	// Each packet is the next one of the session, with an order in it that takes the place of the one before.
	const rate, number = 100_000, 14 + 20 + 8 + 10 // a MoldUDP64 header's number is behind ten bytes of session
	frame := nic.AppendFrame(nil, netip.MustParseAddrPort("10.203.0.2:4660"), lineGroups[0], 0, packet(1, 1))
	frame[14+20+6], frame[14+20+7] = 0, 0 // no UDP check sum
	load, err := liveload.New(p.Tx, frame, number, nil)
	must(t, err)
	defer load.Close()
	const lead = 2 * time.Second
	type sent struct {
		n    int
		took time.Duration
		err  error
	}
	made := make(chan sent, 1)
	go func() {
		var out sent
		out.err = p.Tx.Do(func() (err error) {
			var set unix.CPUSet
			set.Set(cores[0])
			if err := unix.SchedSetaffinity(0, &set); err != nil {
				return err
			}
			out.n, out.took, err = load.Send(0, int(rate*(2*lead+*steady).Seconds()), rate)
			return err
		})
		made <- out
	}()
	time.Sleep(lead) // the first messages touch memory, and the runtime collects what the start left
	all, err := meter.Count("raw_syscalls/sys_enter", tid, "")
	must(t, err)
	defer all.Close()
	own, err := meter.Count("raw_syscalls/sys_enter", tid, notRuntimes())
	must(t, err)
	defer own.Close()

	before, given, from := r.counters(t), voluntary(t, r, tid), time.Now()
	time.Sleep(*steady)
	calls, err := all.Value()
	must(t, err)
	ours, err := own.Value()
	must(t, err)
	span, switches := time.Since(from), voluntary(t, r, tid)-given
	time.Sleep(20 * time.Millisecond) // counters are copied each 10 ms
	after := r.counters(t)
	moved := func(name string) uint64 { return after[name] - before[name] }
	releases := moved("0.window.releases") + moved("0.window.forced_releases")
	t.Logf("%v: %d packets, %d system calls (%d of them not the runtime's), %d voluntary switches, %d release windows, %d of them used", span.Round(time.Millisecond),
		moved("0.channel.0.line.A.packets"), calls, ours, switches, releases, moved("0.window.used_releases"))
	if got := moved("0.channel.0.messages"); got < uint64(0.1*rate*span.Seconds()) {
		t.Errorf("%d messages in %v are no load", got, span)
	}
	if ours != 0 {
		t.Errorf("%d system calls", ours)
	}
	if uint64(switches) > releases {
		t.Errorf("the thread gave its core away %d times, and there were %d release windows", switches, releases)
	}
	// A window that the runtime uses costs the thread a few calls (it is parked, and woken); none else has any.
	if most := 10 * moved("0.window.used_releases"); calls > most {
		t.Errorf("%d system calls, want at most %d in the windows that the runtime used", calls, most)
	}
	if out := <-made; out.err != nil {
		t.Fatal(out.err)
	} else if now := r.counters(t); now["0.lane.refused"] != 0 || now["0.channel.0.line.A.packets"] > uint64(out.n) {
		t.Errorf("%d packets were sent: %v", out.n, now)
	}
}

// laneThread is the thread of a process that is tied to a core.
func laneThread(t *testing.T, r *running, core int) int {
	t.Helper()
	status, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", r.child.Process.Pid))
	must(t, err)
	found := 0
	for _, path := range status {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		must(t, err)
		if statusValue(text, "Cpus_allowed_list") == strconv.Itoa(core) {
			if found != 0 {
				t.Fatalf("threads %d and %s are both tied to core %d", found, path, core)
			}
			found, err = strconv.Atoi(filepath.Base(filepath.Dir(path)))
			must(t, err)
		}
	}
	if found == 0 {
		t.Fatalf("no thread is tied to core %d", core)
	}
	return found
}

// voluntary is how often a thread has given its core away.
func voluntary(t *testing.T, r *running, tid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", r.child.Process.Pid, tid))
	must(t, err)
	n, err := strconv.Atoi(statusValue(text, "voluntary_ctxt_switches"))
	must(t, err)
	return n
}

func statusValue(text []byte, name string) string {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// notRuntimes is a filter for calls that are not those by which the Go runtime has threads take turns.
func notRuntimes() string {
	var terms []string
	for _, id := range []int{unix.SYS_FUTEX, unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK, unix.SYS_SCHED_YIELD, unix.SYS_NANOSLEEP, unix.SYS_TGKILL, unix.SYS_GETPID, unix.SYS_MADVISE} {
		terms = append(terms, fmt.Sprintf("id != %d", id))
	}
	return strings.Join(terms, " && ")
}
