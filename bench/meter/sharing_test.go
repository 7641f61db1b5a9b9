package meter

import (
	"os"
	"reflect"
	"testing"
	"unsafe"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic/clock"
	"github.com/tickwire/tickwire/ringbuf"
)

// TestNoFalseSharing: what a lane writes, or reads with each pass, lies a cache line or more away from what another thread writes. A
// line that two cores write costs each of them what `bench memory` gives as core to core, with every store.
//
// It looks at distances, not at offsets: the allocator puts a struct where it likes.
func TestNoFalseSharing(t *testing.T) {
	const cacheLine = 64
	for _, tc := range []struct {
		of           any
		lane, others []string // what the lane uses all the time, and what others write
	}{
		{ringbuf.Writer{}, []string{"next", "mask", "slots", "slotSize", "runMax", "hinted", "m"}, []string{"mu", "belled", "belledNs", "closed"}},
		{pin.Window{}, []string{"pinned", "inside", "used", "due", "opened", "seen", "quantum", "counters"}, []string{"want"}},
		{session.Link{}, []string{"requestTail", "answerHead", "alert", "taken"}, []string{"requestHead", "answerTail"}},
		{clock.Clock{}, []string{"latch"}, []string{"mu", "d", "why"}},
	} {
		is := reflect.TypeOf(tc.of)
		field := func(name string) (from, to uintptr) {
			f, ok := is.FieldByName(name)
			if !ok {
				t.Fatalf("%s has no field %s any more: say here what took its place", is, name)
			}
			return f.Offset, f.Offset + f.Type.Size()
		}
		for _, ours := range tc.lane {
			from, to := field(ours)
			for _, name := range tc.others {
				begins, ends := field(name)
				if ends <= from && from-ends >= cacheLine-8 || to <= begins && begins-to >= cacheLine-8 {
					continue
				}
				t.Errorf("%s: the lane's %s (bytes %d to %d) and %s of another thread (%d to %d) may share a cache line: put 64 bytes between them",
					is, ours, from, to, name, begins, ends)
			}
		}
	}
}

// TestRingHeaderLines: in shared memory the same holds, and there offsets are lines. Cursor, heartbeat and counters have a line, or a pair
// of them, each.
func TestRingHeaderLines(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/x.0.mbo.ring"
	w, err := ringbuf.Create(path, ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	before := read(t, path)
	w.Publish(unsafe.Pointer(unsafe.SliceData(make([]uint64, 7))), 1)
	w.PublishHint()
	cursor := changed(before, read(t, path))
	before = read(t, path)
	w.Beat(ringbuf.MonotonicNow())
	beat := changed(before, read(t, path))
	before = read(t, path)
	w.StoreCounters(&ringbuf.Counters{Packets: 1})
	counters := changed(before, read(t, path))
	if len(cursor) == 0 || len(beat) == 0 || len(counters) == 0 {
		t.Fatalf("nothing changed: cursor %v, heartbeat %v, counters %v", cursor, beat, counters)
	}
	for line := range cursor {
		if beat[line] || counters[line] {
			t.Errorf("line %d of the header has two writers: cursor %v, heartbeat %v, counters %v", line, cursor, beat, counters)
		}
	}
	for line := range beat {
		if counters[line] {
			t.Errorf("line %d of the header has heartbeat and counters", line)
		}
	}
}

// read is a ring's first page, which is its header.
func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || len(b) < 4096 {
		t.Fatal(err)
	}
	return b[:4096]
}

// changed are the numbers of the cache lines that differ.
func changed(a, b []byte) map[int]bool {
	lines := map[int]bool{}
	for i := range a {
		if a[i] != b[i] {
			lines[i/64] = true
		}
	}
	return lines
}
