package afxdp

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
)

var times = flag.Int("times", 400, "set-ups and tear-downs of TestManyTimes; 1000 take a minute")

// TestManyTimes: set-up and tear-down some hundred times: the queue is free again within the second that a bind is tried, no chunk is missing, packets come
// each time, and at the end nothing is attached, open, mapped or in memory that was not there after the first few. Most of the time is the kernel's
// waiting for its own readers (it changes a table of all XDP programs with each one, twice), so many interfaces take their turns at once.
func TestManyTimes(t *testing.T) {
	const pairs = 16
	n := *times
	if testing.Short() {
		n = min(n, 100)
	}
	p := nstest.Pair(t, netns.Options{Pairs: pairs})
	senders := make([]*udp.Sender, pairs)
	for i := range senders {
		senders[i] = sender(t, p, groupA, fmt.Sprintf("gen%d", i))
	}
	var mu sync.Mutex
	var took []time.Duration
	turns := func(turns int) (err error) {
		var all sync.WaitGroup
		for i := range pairs {
			all.Go(func() {
				for turn := i; turn < turns; turn += pairs {
					begun := time.Now()
					failed := p.Rx.Do(func() error { return once(turn, fmt.Sprintf("feed%d", i), senders[i]) })
					mu.Lock()
					took = append(took, time.Since(begun))
					if failed != nil {
						err = errors.Join(err, fmt.Errorf("time %d: %w", turn, failed))
					}
					mu.Unlock()
					if failed != nil {
						return
					}
				}
			})
		}
		all.Wait()
		return err
	}
	warm := min(n/5, 10*pairs)
	if err := turns(warm); err != nil {
		t.Fatal(err)
	}
	before := have(t)
	begun := time.Now()
	if err := turns(n - warm); err != nil {
		t.Fatal(err)
	}
	after := have(t)
	slices.Sort(took)
	t.Logf("%d times, the later %d in %v: median %v, slowest %v; %+v before, %+v after", n, n-warm, time.Since(begun).Round(time.Millisecond),
		took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), before, after)
	// One that stayed each time would show as hundreds. A few files and mappings are the runtime's own: threads' stacks, its heap's.
	if after.files > before.files+4 || after.mappings > before.mappings+50 || after.residentKiB > before.residentKiB+32<<10 && !raceEnabled || after.heapKiB > before.heapKiB+4<<10 {
		t.Errorf("%d set-ups and tear-downs leave something behind: %+v before, %+v after", n-warm, before, after)
	}
	if err := p.Rx.Do(func() error {
		for i := range pairs {
			if l, err := netlink.LinkByName(fmt.Sprintf("feed%d", i)); err != nil || l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached {
				return fmt.Errorf("feed%d: a program is still attached, or %v", i, err)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// once opens a source on an interface, receives by it, and closes it.
func once(turn int, iface string, send *udp.Sender) error {
	var h Host
	o := Options{Groups: []Group{on(iface, groupA)}, Ring: 64, Frames: 128}
	if turn%10 == 9 {
		o.Mode = Generic
	}
	s, err := h.Open(o)
	if err != nil {
		return err
	}
	if _, err := send.Send([][]byte{payload(turn), payload(turn + 1)}); err != nil {
		return errors.Join(err, s.Close())
	}
	packets, got := make([]nic.Packet, 64), 0
	for until := time.Now().Add(patience); got < 2 && err == nil; {
		var n int
		n, err = s.Poll(packets)
		for i := range packets[:n] {
			if !bytes.Equal(packets[i].Data, payload(turn+got)) {
				err = fmt.Errorf("packet %d is another one", got)
			}
			got++
		}
		if n == 0 && err == nil {
			_ = s.Wait(10 * time.Millisecond)
			if time.Now().After(until) {
				err = fmt.Errorf("%d packets of 2 came", got)
			}
		}
	}
	for _, q := range s.queues {
		if n := int(q.fill.between()) + int(q.rx.between()) + len(q.held); n != q.chunks && err == nil {
			err = fmt.Errorf("%d chunks of %d are there", n, q.chunks)
		}
	}
	return errors.Join(err, s.Close())
}

// belongings are what a process has.
type belongings struct{ files, mappings, residentKiB, heapKiB int }

func have(t *testing.T) (b belongings) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.heapKiB = int(m.HeapAlloc >> 10)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if value, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			if b.residentKiB, err = strconv.Atoi(string(bytes.Fields(value)[0])); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.files, b.mappings = len(files), bytes.Count(maps, []byte("\n"))
	return b
}
