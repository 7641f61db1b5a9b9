package process

import (
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/ringbuf"
)

// TestExportByAnyClock: values are copied each 10 ms, and go on being copied when the clock was set back or forward by an hour.
func TestExportByAnyClock(t *testing.T) {
	file, err := ringbuf.CreateStats(filepath.Join(t.TempDir(), "x.stats"), 8, ringbuf.SideOptions{})
	must(t, err)
	defer file.Close()
	var c struct{ N uint64 }
	e := exporter{file: file}
	must(t, e.add("a", &c))
	copies := 0
	e.also(func() { copies++ })
	const hour, start = 3_600_000_000_000, 1_767_600_000_000_000_000
	for i, step := range []struct {
		now  uint64
		want int
	}{
		{start, 1}, {start, 1}, {start + exportEveryNs - 1, 1}, {start + exportEveryNs, 2}, {start + exportEveryNs + 1, 2},
		{start - hour, 3}, {start - hour + 5, 3}, {start + hour, 4}, {start + hour, 4},
	} {
		if e.export(step.now); copies != step.want {
			t.Errorf("step %d: copied %d times, want %d", i, copies, step.want)
		}
	}
	if e.last(); copies != 5 {
		t.Error("the last values are not copied")
	}
	if e.export(start + hour); copies != 6 {
		t.Error("nothing is copied after the last values")
	}
}
