package lifecycle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/testguest"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
	"github.com/tickwire/tickwire/plugins/store"
	"github.com/tickwire/tickwire/plugins/trial"
	"github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// helperEnv makes the test binary the process that compiles.
const helperEnv = "TICKWIRE_TEST_COMPILE"

func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) != "" {
		if err := HelperMain(os.Args[len(os.Args)-1], os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// logbook collects what is logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// world is a lane under load, whose plugins a set changes, and a reader of what it publishes.
type world struct {
	set   *Set
	lane  *pipeline.Lane
	log   *logbook
	kept  *pipeline.Kept
	dir   string
	stats string

	reader    *ringbuf.Reader
	gate      atomic.Uint64
	stop      atomic.Bool
	passes    atomic.Uint64
	size      atomic.Uint64 // of the rows
	pauses    []uint64      // of the lane for changes of plugins, ns, those left out in which the kernel took its core away: the lane's until it has ended
	disturbed int           // those
	done      sync.WaitGroup
}

// newWorld starts a lane with these plugins, whose files are written to its folder.
func newWorld(t *testing.T, change func(*Options), modules map[string][]byte, list ...config.Plugin) *world {
	t.Helper()
	w := &world{log: &logbook{}, dir: t.TempDir()}
	w.size.Store(1)
	for name, module := range modules {
		w.write(t, name, module)
	}
	for i := range list {
		list[i].Path = filepath.Join(w.dir, list[i].Path)
	}
	w.stats = filepath.Join(w.dir, "f.stats")
	stats, err := ringbuf.CreateStats(w.stats, 0, ringbuf.SideOptions{})
	must(t, err)
	o := Options{
		Config: &config.Plugins{CacheDir: filepath.Join(w.dir, "cache")}, Plugins: list, Publisher: 2, Path: filepath.Join(w.dir, "f.plugins.json"), Stats: stats,
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	if change != nil {
		change(&o)
	}
	w.set, err = Open(o)
	must(t, err)
	kept, err := pipeline.NewKept()
	must(t, err)
	w.kept = kept
	part, err := w.set.AddLane("0", kept)
	must(t, err)

	path := filepath.Join(w.dir, "f.0.mbp1.ring")
	ring, err := ringbuf.Create(path, ringbuf.Options{Kind: ringbuf.KindMbp1, Slots: 1 << 12, Private: true})
	must(t, err)
	w.reader, err = ringbuf.Open(path, ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	w.gate.Store(w.reader.Next())
	ring.Gate(&w.gate)
	books, err := book.New(book.Options{MaxInstruments: 1 << 10, MaxOrders: 1 << 10, MaxReference: 1 << 20})
	must(t, err)
	directory, err := symbols.New(0)
	must(t, err)
	w.lane, err = pipeline.New(pipeline.Config{
		Publisher: 2, Books: books, Symbols: directory, Out: pipeline.Outputs{Mbp1: ring}, Midnight: func(uint64) (uint64, error) { return 1e18, nil },
		Plugins: &part.Seat, Kept: kept,
	})
	must(t, err)
	part.SetDirectory(w.lane.Directory())
	must(t, w.set.Start())
	w.done.Go(w.load)
	t.Cleanup(func() {
		w.end(t)
		ring.Gate(nil)
		must(t, w.lane.Close())
		must(t, w.set.Close())
		must(t, books.Close())
		must(t, w.reader.Close())
		must(t, ring.Close())
		must(t, kept.Close())
		must(t, stats.Close())
	})
	return w
}

// load is the lane's thread: passes of 1 to 64 trades, as fast as the reader lets it.
func (w *world) load() {
	runtime.LockOSThread()
	next := uint64(1)
	var blocks []byte
	changes, switches := uint64(0), int64(0)
	for n := 0; !w.stop.Load(); n++ {
		count := rowsOf(n)
		blocks = blocks[:0]
		for i := range count {
			blocks = appendTrade(blocks, next+uint64(i), uint32(w.size.Load()))
		}
		w.lane.SetNow(uint64(time.Now().UnixNano()))
		w.lane.Messages(blocks, next, count, session.Arrival{TsRecv: next})
		w.lane.EndPass()
		next += uint64(count)
		w.passes.Add(1)
		var use unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_THREAD, &use)
		if c := w.lane.Counters(); c.PluginSwaps != changes {
			changes = c.PluginSwaps
			if use.Nivcsw+use.Nvcsw == switches {
				w.pauses = append(w.pauses, c.LivePluginSwapNs)
			} else {
				w.disturbed++
			}
		}
		switches = use.Nivcsw + use.Nvcsw
	}
}

// rowsOf is how many rows pass n has.
func rowsOf(n int) int { return 1 + n*7%64 }

func appendTrade(b []byte, number uint64, size uint32) []byte {
	m := []byte{'P', 0, 7, 0, 0}
	m = append(m, binary.BigEndian.AppendUint64(nil, number)[2:]...)
	m = binary.BigEndian.AppendUint64(m, 0)
	m = append(m, 'B')
	m = binary.BigEndian.AppendUint32(m, size)
	m = append(m, "TEST    "...)
	m = binary.BigEndian.AppendUint32(m, 1_000_000)
	m = binary.BigEndian.AppendUint64(m, number)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
}

// read calls fn with the records that are there.
func (w *world) read(t testing.TB, fn func(r *ringbuf.Mbp1Slot)) int {
	var recs [256]ringbuf.Mbp1Slot
	n, _, st := ringbuf.PollSlice(w.reader, recs[:])
	if n == 0 && st != ringbuf.None && st != ringbuf.Silent { // nobody beats for it
		t.Fatalf("ring: %v", st)
	}
	for i := range recs[:n] {
		fn(&recs[i])
	}
	w.gate.Store(w.reader.Next())
	return n
}

// follow reads in the background until the world ends.
func (w *world) follow(t testing.TB, fn func(r *ringbuf.Mbp1Slot)) (wait func()) {
	var done sync.WaitGroup
	var ended atomic.Bool
	gone := make(chan struct{})
	done.Go(func() {
		defer close(gone)
		for {
			last := ended.Load()
			if n := w.read(t, fn); n == 0 {
				if last {
					return
				}
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	return func() {
		w.stop.Store(true)
		left := make(chan struct{})
		go func() { w.done.Wait(); close(left) }()
		select { // while it reads, the gate is its own: end would lap it
		case <-left:
		case <-gone:
		}
		w.end(t)
		ended.Store(true)
		done.Wait()
	}
}

// end stops the load.
func (w *world) end(testing.TB) {
	w.stop.Store(true)
	stuck := make(chan struct{})
	go func() { // nobody may be reading any more
		for {
			select {
			case <-stuck:
				return
			case <-time.After(time.Millisecond):
				w.gate.Store(w.gate.Load() + 1<<11)
			}
		}
	}()
	w.done.Wait()
	close(stuck)
}

func (w *world) write(t testing.TB, name string, module []byte) string {
	t.Helper()
	path := filepath.Join(w.dir, name)
	must(t, os.WriteFile(path+".new", module, 0o600))
	must(t, os.Rename(path+".new", path))
	return path
}

// passed waits until so many more passes have gone.
func (w *world) passed(t testing.TB, n uint64) {
	t.Helper()
	from := w.passes.Load()
	await(t, "passes", func() bool { return w.passes.Load() >= from+n })
}

func await(t testing.TB, what string, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !fn(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// TestThousandReloads: under load a plugin is reloaded a thousand times. No row is lost or comes twice, each pass has one version, versions come in order, and
// none is left out.
func TestThousandReloads(t *testing.T) {
	reloads := 1000
	if testing.Short() {
		reloads = 100
	}
	w := newWorld(t, func(o *Options) { o.Config.CacheDir = "" }, map[string][]byte{"m.wasm": testguest.Mark("mark", "1.0.0", 0, 0)}, config.Plugin{Path: "m.wasm"})
	var rows, version, pass, end uint64 // end: number behind the pass's last row
	flagged, fault, seen := 0, "", 0
	wait := w.follow(t, func(r *ringbuf.Mbp1Slot) {
		rows++
		begins := rows > end
		if begins {
			end += uint64(rowsOf(int(pass)))
			pass++
		}
		if r.Flags&tick.FlagPublisherSpecific != 0 {
			flagged++
		}
		is := r.Plugin[0]
		switch {
		case fault != "":
		case uint64(r.Sequence) != rows:
			fault = fmt.Sprintf("row %d has number %d: lost or doubled", rows, r.Sequence)
		case is < version:
			fault = fmt.Sprintf("row %d is of version %d, the one before of %d", rows, is, version)
		case is != version && !begins:
			fault = fmt.Sprintf("row %d, in the middle of a pass, is of version %d, the one before of %d", rows, is, version)
		}
		if is != version {
			version = is
			seen++
		}
	})
	for n := 1; n <= reloads; n++ {
		w.write(t, "m.wasm", testguest.Mark("mark", fmt.Sprintf("1.0.%d", n), int64(n), 0))
		a, err := w.set.Reload(t.Context(), Request{Name: "mark"})
		must(t, err)
		if a.Waiting || a.Is != fmt.Sprintf("1.0.%d", n) || a.Trial == nil || a.Trial.Rows == 0 {
			t.Fatalf("reload %d: %+v", n, a)
		}
		w.passed(t, 2)
	}
	wait()
	if flagged != 0 {
		t.Errorf("%d rows passed without the plugin", flagged)
	}
	c := w.lane.Counters()
	if fault != "" {
		t.Error(fault)
	}
	if rows != c.Messages || pass != w.passes.Load() {
		t.Errorf("%d rows are published of %d, in %d passes of %d", rows, c.Messages, pass, w.passes.Load())
	}
	if seen != reloads {
		t.Errorf("%d versions came after the first one, want %d", seen, reloads)
	}
	w.pauses = append(w.pauses, 0) // there may be none on a machine that is busy
	slices.Sort(w.pauses)
	at := func(q float64) float64 { return float64(w.pauses[int(q*float64(len(w.pauses)-1))]) / 1e3 }
	t.Logf("%d reloads in %d passes, %d rows; the lane's pause for a change of plugins, µs: p50 %.1f, p90 %.1f, p99 %.1f; longest %.1f, with those in which the kernel took the core away (%d) %.1f",
		reloads, pass, rows, at(0.5), at(0.9), at(0.99), at(1), w.disturbed, float64(c.MaxPluginSwapNs)/1e3)
	if c.PluginSwaps != uint64(reloads)+1 {
		t.Errorf("%d changes", c.PluginSwaps)
	}
}

// latest is the version that rows have now.
func (w *world) latest(t testing.TB) (column uint64, flags uint8) {
	t.Helper()
	from := w.passes.Load()
	for w.passes.Load() < from+2 {
		w.read(t, func(r *ringbuf.Mbp1Slot) { column, flags = r.Plugin[0], r.Flags })
	}
	for w.read(t, func(r *ringbuf.Mbp1Slot) { column, flags = r.Plugin[0], r.Flags }) == 0 {
	}
	return column, flags
}

// TestRefusedVersionsStayOut: whatever is wrong with a new version, the old one stays, and the error says what it is.
func TestRefusedVersionsStayOut(t *testing.T) {
	w := newWorld(t, nil, map[string][]byte{"m.wasm": testguest.Mark("mark", "1.0.0", 1, 0)}, config.Plugin{Path: "m.wasm"})
	w.size.Store(5)
	b, err := tick.NewBatch()
	must(t, err)
	defer b.Free()
	await(t, "copies of such rows", func() bool {
		w.read(t, func(*ringbuf.Mbp1Slot) {})
		found := false
		must(t, w.kept.Each(b, func() error { found = found || b.Size[0] == 5; return nil }))
		return found
	})
	for _, tc := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"no module", []byte("ELF"), "not a WebAssembly module"},
		{"another plugin", testguest.Mark("other", "1.0.0", 1, 0), "is plugin other: load that, and unload this one"},
		{"one that traps on the feed's rows", testguest.Mark("mark", "1.1.0", 1, 5), "plugin mark 1.1.0: not taken: it fails when it is tried"},
		{"an older ABI", bytes.Replace(testguest.Mark("mark", "1.2.0", 1, 0), []byte(`"abi": 1`), []byte(`"abi": 0`), 1), "abi 0"},
	} {
		w.write(t, "m.wasm", tc.module)
		done := make(chan error, 1)
		go func() { _, err := w.set.Reload(context.Background(), Request{Name: "mark"}); done <- err }()
		var err error
		for waiting := true; waiting; { // the lane needs a reader to go on
			select {
			case err = <-done:
				waiting = false
			default:
				w.read(t, func(*ringbuf.Mbp1Slot) {})
			}
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if got, flags := w.latest(t); got != 1 || flags&tick.FlagPublisherSpecific != 0 {
			t.Errorf("%s: rows are of version %d with flags %02x", tc.name, got, flags)
		}
	}
	must(t, os.Remove(filepath.Join(w.dir, "m.wasm")))
	if _, err := w.set.Reload(t.Context(), Request{Name: "mark"}); err == nil || !strings.Contains(err.Error(), "m.wasm") {
		t.Errorf("a deleted file: %v", err)
	}
	if s := w.set.Status(); len(s.Plugins) != 1 || s.Plugins[0].Version != "1.0.0" || s.Plugins[0].TakenOut {
		t.Errorf("%+v", s)
	}
}

// background reads for the lane until the test ends, and keeps the latest row's first custom column.
func (w *world) background(t *testing.T) (column *atomic.Uint64) {
	column = new(atomic.Uint64)
	wait := w.follow(t, func(r *ringbuf.Mbp1Slot) { column.Store(r.Plugin[0] + uint64(r.Flags&tick.FlagPublisherSpecific)<<32) })
	t.Cleanup(wait)
	return column
}

const flaggedBit = uint64(tick.FlagPublisherSpecific) << 32

// TestLoadUnloadRollback: what commands do to a chain, what readers and status are told of it, and what counters say.
func TestLoadUnloadRollback(t *testing.T) {
	w := newWorld(t, nil, map[string][]byte{"a.wasm": testguest.Mark("a", "1.0.0", 1, 0), "b.wasm": testguest.MarkColumn("b", "2.0.0", "other", 9, 0)})
	now := w.background(t)
	ctx := t.Context()
	told := func(want string) {
		t.Helper()
		p, err := ringbuf.ReadPlugins(filepath.Join(w.dir, "f.plugins.json"))
		must(t, err)
		var got []string
		for _, c := range p.Chain {
			got = append(got, c.Name+" "+c.Version)
		}
		for _, c := range p.Custom {
			got = append(got, c.Plugin+"."+c.Name)
		}
		for _, c := range p.Former {
			got = append(got, "-"+c.Name+" "+c.Version)
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("the file says %q, want %q", s, want)
		}
	}
	path := func(name string) string { return filepath.Join(w.dir, name) }
	a, err := w.set.Load(ctx, Request{Path: path("a.wasm")})
	must(t, err)
	if a.Plugin != "a" || a.Is != "1.0.0" || a.Was != "" || a.Waiting || a.Trial.Rows == 0 {
		t.Errorf("%+v %+v", a, a.Trial)
	}
	await(t, "version 1", func() bool { return now.Load() == 1 })
	_, err = w.set.Load(ctx, Request{Path: path("b.wasm")})
	must(t, err)
	told("a 1.0.0, b 2.0.0, a.mark, b.other")
	if _, err := w.set.Load(ctx, Request{Path: path("a.wasm"), OnTrap: "stop"}); err == nil || !strings.Contains(err.Error(), `on_trap = "stop" is unknown`) {
		t.Errorf("an unknown word: %v", err)
	}
	if _, err := w.set.Load(ctx, Request{}); err == nil || !strings.Contains(err.Error(), "neither path nor name") {
		t.Errorf("nothing: %v", err)
	}
	if _, err := w.set.Load(ctx, Request{Path: path("a.wasm")}); err == nil || !strings.Contains(err.Error(), "a is loaded") {
		t.Errorf("twice: %v", err)
	}
	w.write(t, "c.wasm", testguest.Mark("c", "1.0.0", 1, 0))
	if _, err := w.set.Load(ctx, Request{Path: path("c.wasm")}); err == nil || !strings.Contains(err.Error(), "mark is a's already") {
		t.Errorf("two plugins of one column: %v", err)
	}
	if a, err := w.set.Reload(ctx, Request{Name: "a"}); err != nil || !a.Same {
		t.Errorf("the same bytes again: %+v, %v", a, err)
	}
	w.write(t, "a.wasm", testguest.Mark("a", "1.1.0", 2, 0))
	_, err = w.set.Reload(ctx, Request{Name: "a"})
	must(t, err)
	await(t, "version 2", func() bool { return now.Load() == 2 })
	told("a 1.1.0, b 2.0.0, a.mark, b.other, -a 1.0.0")
	a, err = w.set.Rollback(ctx, "a")
	if err != nil || a.Was != "1.1.0" || a.Is != "1.0.0" {
		t.Errorf("%+v, %v", a, err)
	}
	await(t, "version 1 again", func() bool { return now.Load() == 1 })
	if _, err := w.set.Rollback(ctx, "a"); err == nil || !strings.Contains(err.Error(), "no version before it") {
		t.Errorf("no version is left: %v", err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	w.set.Run(ended) // shows figures once
	before := w.counters(t)
	if before["0.plugin.a.rows"] == 0 || before["0.plugin.b.rows"] == 0 || before["0.plugin.a.latency_ns"] == 0 || before["0.plugin.a.traps"] != 0 {
		t.Errorf("%v", before)
	}
	_, err = w.set.Unload(ctx, "a")
	must(t, err)
	await(t, "b alone", func() bool { return now.Load() == 9 })
	told("b 2.0.0, b.other, -a 1.0.0, -a 1.1.0")
	_, err = w.set.Load(ctx, Request{Path: path("a.wasm")})
	must(t, err)
	w.set.Run(ended)
	after := w.counters(t)
	for _, name := range []string{"0.plugin.a.rows", "0.plugin.b.rows"} {
		if after[name] < before[name] {
			t.Errorf("%s went from %d to %d", name, before[name], after[name])
		}
	}
	for _, name := range []string{"a", "b"} {
		_, err = w.set.Unload(ctx, name)
		must(t, err)
	}
	await(t, "no plugin", func() bool { return now.Load() == 0 })
	told("-b 2.0.0, -a 1.1.0, -a 1.0.0")
	if _, err := w.set.Unload(ctx, "a"); err == nil || !strings.Contains(err.Error(), "none is") {
		t.Errorf("what is not there: %v", err)
	}
}

func (w *world) counters(t testing.TB) map[string]uint64 {
	t.Helper()
	r, err := ringbuf.OpenStats(w.stats)
	must(t, err)
	defer r.Close()
	all := map[string]uint64{}
	for _, s := range r.Append(nil) {
		all[s.Name] = s.Value
	}
	return all
}

// TestNewVersionThatFailsIsTakenBack: one that the trial could not catch, since the rows that it traps on came later.
func TestNewVersionThatFailsIsTakenBack(t *testing.T) {
	w := newWorld(t, nil, map[string][]byte{"m.wasm": testguest.Mark("mark", "1.0.0", 1, 0)}, config.Plugin{Path: "m.wasm"})
	now := w.background(t)
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.set.Run(ctx) })
	defer running.Wait()
	defer end()
	w.write(t, "m.wasm", testguest.Mark("mark", "1.1.0", 2, 5))
	_, err := w.set.Reload(ctx, Request{Name: "mark"})
	must(t, err)
	await(t, "the new version", func() bool { return now.Load() == 2 })
	w.size.Store(5)
	await(t, "the old version", func() bool { return now.Load() == 1 })
	w.passed(t, 100)
	if s := w.set.Status().Plugins[0]; s.Version != "1.0.0" || s.TakenOut || len(s.Before) != 0 {
		t.Errorf("%+v", s)
	}
	if log := w.log.String(); !strings.Contains(log, "going back to the version before") || !strings.Contains(log, "version=1.1.0") {
		t.Errorf("the log says %s", log)
	}
}

// TestNeededVersionIsNotTakenBack: a version that fails and that another plugin needs stays, which is told once.
func TestNeededVersionIsNotTakenBack(t *testing.T) {
	w := newWorld(t, nil, map[string][]byte{"m.wasm": testguest.Mark("mark", "1.0.0", 1, 0), "n.wasm": testguest.Requiring("needs", "1.0.0", "mark", ">=1.1.0")}, config.Plugin{Path: "m.wasm"})
	w.background(t)
	w.write(t, "m.wasm", testguest.Mark("mark", "1.1.0", 2, 5))
	_, err := w.set.Reload(t.Context(), Request{Name: "mark"})
	must(t, err)
	_, err = w.set.Load(t.Context(), Request{Path: filepath.Join(w.dir, "n.wasm")})
	must(t, err)
	w.size.Store(5)
	await(t, "it being out", func() bool { return w.set.Status().Plugins[0].TakenOut })
	for range 5 {
		w.set.look(t.Context())
	}
	if log := w.log.String(); strings.Count(log, "going back failed") != 1 || strings.Count(log, "failed while it was new") != 1 || !strings.Contains(log, "needs") {
		t.Errorf("the log says %s", log)
	}
}

// TestTakenOut: a plugin that fails and has no version before it is taken out; rows go on, flagged, and status says so.
func TestTakenOut(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept")
	w := newWorld(t, func(o *Options) { o.Config.KeepFailures = kept }, map[string][]byte{"m.wasm": testguest.Mark("mark", "1.0.0", 1, 5)}, config.Plugin{Path: "m.wasm", MaxFailures: 2})
	now := w.background(t)
	await(t, "the plugin", func() bool { return now.Load() == 1 })
	w.size.Store(5)
	await(t, "it being out", func() bool { return w.set.Status().Plugins[0].TakenOut })
	w.size.Store(1)
	w.passed(t, 20)
	await(t, "flagged rows", func() bool { return now.Load() == flaggedBit })
	s := w.set.Status().Plugins[0]
	if s.Lanes[0].Traps != 2 || !strings.Contains(s.Note, "taken out") {
		t.Errorf("%+v", s)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	w.set.Run(ended)
	if c := w.counters(t); c["0.plugin.mark.live_taken_out"] != 1 || c["0.plugin.mark.traps"] != 2 || c["0.plugin.mark.bypassed"] == 0 {
		t.Errorf("%v", c)
	}
	if !strings.Contains(w.log.String(), "plugin is taken out") {
		t.Errorf("the log says %s", w.log)
	}
	// What it failed on was kept, and fails again outside of the feed.
	var cases []*trial.Case
	await(t, "two failures that are kept", func() bool {
		var err error
		cases, err = trial.ReadCases(kept)
		must(t, err)
		return len(cases) == 2
	})
	fault, _, _, err := trial.Debug(testguest.Mark("mark", "1.0.0", 1, 5), nil, func(*plugins.Plugin) (*trial.Case, error) { return cases[0], nil }, false, slog.New(slog.DiscardHandler))
	if err != nil || fault == nil || !fault.Trap || fault.Instruction != "unreachable" {
		t.Errorf("%+v, %v", fault, err)
	}
	// The same bytes again are another try, not nothing.
	if a, err := w.set.Reload(t.Context(), Request{Name: "mark"}); err != nil || a.Same {
		t.Errorf("%+v, %v", a, err)
	}
	await(t, "it being back", func() bool { return now.Load() == 1 })
}

// TestStateMoves: what a version saves, the next one restores; no row is counted twice or not at all.
func TestStateMoves(t *testing.T) {
	w := newWorld(t, nil, map[string][]byte{"m.wasm": testguest.Count("count", "1.0.0")}, config.Plugin{Path: "m.wasm"})
	want, wrong := uint64(0), uint64(0)
	wait := w.follow(t, func(r *ringbuf.Mbp1Slot) {
		if want++; r.Plugin[0] != want && wrong == 0 {
			wrong = want
		}
	})
	for n := range 20 {
		w.write(t, "m.wasm", testguest.Count("count", fmt.Sprintf("1.1.%d", n)))
		_, err := w.set.Reload(t.Context(), Request{Name: "count"})
		must(t, err)
		w.passed(t, 2)
	}
	wait()
	if wrong != 0 || want == 0 {
		t.Errorf("row %d of %d has another number", wrong, want)
	}
}

// TestCloseWaitsForAllChains: a set that is closed while a change waits for its lane has ended the chains before it too, whose host is gone then.
func TestCloseWaitsForAllChains(t *testing.T) {
	w := newWorld(t, nil, map[string][]byte{"m.wasm": testguest.Mark("mark", "1.0.0", 1, 0)}, config.Plugin{Path: "m.wasm"})
	wait := w.follow(t, func(*ringbuf.Mbp1Slot) {})
	w.passed(t, 2)
	wait()
	hurried, cancel := context.WithCancel(t.Context())
	cancel()
	chains := []*plugins.Chain{w.set.lanes[0].chain}
	for n := range 2 {
		w.write(t, "m.wasm", testguest.Mark("mark", fmt.Sprintf("1.1.%d", n), 2, 0))
		a, err := w.set.Reload(hurried, Request{Name: "mark"})
		must(t, err)
		if !a.Waiting {
			t.Errorf("a lane that has ended took a change: %+v", a)
		}
		chains = append(chains, w.set.lanes[0].chain)
	}
	must(t, w.set.Close())
	for n, c := range chains {
		select {
		case <-c.Closed():
		default:
			t.Errorf("chain %d of %d is not closed", n, len(chains))
		}
	}
	// A command that came just before the end.
	if _, err := w.set.Load(t.Context(), Request{Path: filepath.Join(w.dir, "m.wasm")}); err == nil || !strings.Contains(err.Error(), "the feed ends") {
		t.Errorf("loading behind the end: %v", err)
	}
}

// TestProtocolStays: a plugin that is the feed's protocol too goes on being it when it is taken out of the chain, or another version takes its place there: spare
// instances are made of it.
func TestProtocolStays(t *testing.T) {
	speaks := func(version string) []byte {
		g := wasmtest.NewGuest(1)
		g.Layout(16, 64, 0, wasmtest.Col{ID: 1, Type: 1, Access: 2})
		g.Layout(16, 0, 0, wasmtest.Col{ID: 64, Type: 1, Access: 2}, wasmtest.Col{ID: 65, Type: 1, Access: 2})
		g.Func("tw_parse", "iili:i", "", wasmtest.I32(0))
		g.Func("tw_validate", "ii:i", "", wasmtest.I32(0))
		return g.Plugin(`{"name": "speaks", "version": "` + version + `", "abi": 1, "limits": {"max_rows": 16}, "kinds": [{"kind": "parser", "name": "ours", "writes": ["kind"]}, {"kind": "validator"}]}`)
	}
	w := newWorld(t, func(o *Options) { o.Protocol = "ours" }, map[string][]byte{"m.wasm": speaks("1.0.0")}, config.Plugin{Path: "m.wasm"})
	wait := w.follow(t, func(*ringbuf.Mbp1Slot) {})
	defer wait()
	lives := func(after string) {
		t.Helper()
		i, err := w.set.Parser().Plugin.Instance(plugins.Env{})
		if err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
		must(t, i.Close())
	}
	for n := range mostBefore + 1 {
		w.write(t, "m.wasm", speaks(fmt.Sprintf("1.1.%d", n)))
		_, err := w.set.Reload(t.Context(), Request{Name: "speaks"})
		must(t, err)
	}
	lives("reloads")
	_, err := w.set.Unload(t.Context(), "speaks")
	must(t, err)
	lives("unloading")
}

// TestTrialDoesNotCount: rows that a new version is tried on are copies, which its counters leave out.
func TestTrialDoesNotCount(t *testing.T) {
	counts := func(version string) []byte {
		g := wasmtest.NewGuest(1)
		g.Module = wasmtest.NewModule()
		metric := g.Import("tickwire", "metric", "iil:")
		g.Memory(1, 1)
		g.Layout(1024, 0, 0, wasmtest.Col{ID: 64, Type: 1, Access: 2}, wasmtest.Col{ID: 65, Type: 1, Access: 2})
		g.Data(64, []byte("rows"))
		g.Func("tw_validate", "ii:i", "", wasmtest.I32(64), wasmtest.I32(4), wasmtest.LocalGet(1), wasmtest.Op(0xac), wasmtest.Call(metric), wasmtest.I32(0))
		return g.Plugin(`{"name": "counts", "version": "` + version + `", "abi": 1, "kinds": [{"kind": "validator"}]}`)
	}
	w := newWorld(t, nil, map[string][]byte{"m.wasm": counts("1.0.0")}, config.Plugin{Path: "m.wasm"})
	wait := w.follow(t, func(*ringbuf.Mbp1Slot) {})
	for n := range 3 {
		w.passed(t, 2)
		w.write(t, "m.wasm", counts(fmt.Sprintf("1.1.%d", n)))
		a, err := w.set.Reload(t.Context(), Request{Name: "counts"})
		must(t, err)
		if a.Trial.Rows == 0 {
			t.Error("it was tried on nothing")
		}
	}
	w.passed(t, 2)
	wait()
	st := w.set.Status().Plugins[0].Lanes[0]
	if got := w.set.use[0].now.plugin.Metrics()["rows"]; got != int64(st.Rows) {
		t.Errorf("it counted %d rows, but %d passed it", got, st.Rows)
	}
}

// TestWatch: a file that changes is taken, one that is refused is not, one that is gone is told, and what runs goes on.
func TestWatch(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Config.Watch = true }, map[string][]byte{"m.wasm": testguest.Mark("mark", "1.0.0", 1, 0)}, config.Plugin{Path: "m.wasm"})
	now := w.background(t)
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.set.Run(ctx) })
	defer running.Wait()
	defer end()
	await(t, "version 1", func() bool { return now.Load() == 1 })
	w.write(t, "m.wasm", testguest.Mark("mark", "1.1.0", 2, 0))
	await(t, "version 2", func() bool { return now.Load() == 2 })
	w.write(t, "m.wasm", []byte("nothing of the kind"))
	await(t, "a refusal", func() bool { return strings.Contains(w.log.String(), "new version is not taken") })
	must(t, os.Remove(filepath.Join(w.dir, "m.wasm")))
	await(t, "its absence being told", func() bool { return strings.Contains(w.log.String(), "file is gone") })
	if now.Load() != 2 {
		t.Errorf("rows are of version %d", now.Load())
	}
	w.write(t, "m.wasm", testguest.Mark("mark", "1.2.0", 3, 0))
	await(t, "version 3", func() bool { return now.Load() == 3 })
}

// TestHelperCompiles: modules are compiled by another process, into a cache that nobody else may write; its refusal is the answer.
func TestHelperCompiles(t *testing.T) {
	t.Setenv(helperEnv, "1")
	w := newWorld(t, func(o *Options) { o.Helper = Self("compile") }, map[string][]byte{"m.wasm": testguest.Mark("mark", "1.0.0", 1, 0)}, config.Plugin{Path: "m.wasm"})
	now := w.background(t)
	await(t, "version 1", func() bool { return now.Load() == 1 })
	cache := filepath.Join(w.dir, "cache")
	st, err := os.Stat(cache)
	must(t, err)
	if st.Mode().Perm() != 0o700 {
		t.Errorf("the cache has mode %v", st.Mode())
	}
	files, err := filepath.Glob(filepath.Join(cache, "wazero-*", "*"))
	must(t, err)
	if len(files) != 1 {
		t.Errorf("the cache has %q", files)
	}
	bad := bytes.Replace(testguest.Mark("mark", "1.1.0", 1, 0), []byte("tw_transform"), []byte("tw_transfxrm"), 1)
	w.write(t, "m.wasm", bad)
	if _, err := w.set.Reload(t.Context(), Request{Name: "mark"}); err == nil || !strings.Contains(err.Error(), "does not export tw_transform") {
		t.Errorf("%v", err)
	}
	w.set.o.Helper = []string{"/bin/sh", "-c", "exit 3"}
	if _, err := w.set.Reload(t.Context(), Request{Name: "mark"}); err == nil || !strings.Contains(err.Error(), "the process that compiles ended with exit status 3") {
		t.Errorf("%v", err)
	}
	w.set.o.Helper = []string{"/bin/sh", "-c", "exec sleep 60"}
	impatient, end := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { end(errors.New("the client is gone")) })
	if _, err := w.set.Reload(impatient, Request{Name: "mark"}); err == nil || !strings.Contains(err.Error(), "whoever asked for it did not wait: the client is gone") {
		t.Errorf("%v", err)
	}
}

// TestGranted: status says what the policy gives a plugin beside its rows; one that wants what it is not given does not load, and a reload to it leaves the old one.
func TestGranted(t *testing.T) {
	dir := t.TempDir()
	asks := func(version, wants string) []byte {
		g := wasmtest.NewGuest(1)
		g.Layout(1024, 0, 0, wasmtest.Col{ID: 64, Type: 1, Access: 2}, wasmtest.Col{ID: 65, Type: 1, Access: 2})
		g.Func("tw_validate", "ii:i", "", wasmtest.I32(0))
		return g.Plugin(`{"name": "asks", "version": "` + version + `", "abi": 1, "wasi": true, "wants": ` + wants + `, "kinds": [{"kind": "validator"}]}`)
	}
	grants := func(o *Options) {
		o.Config.Grant = []sign.Grant{{Plugin: "asks", Dir: []sign.Dir{{Path: dir, At: "/maps"}}, Env: []string{"DESK=secret"}}}
	}
	w := newWorld(t, grants, map[string][]byte{"m.wasm": asks("1.0.0", `{"dirs": [{"at": "/maps"}], "env": ["DESK"]}`)}, config.Plugin{Path: "m.wasm"})
	wait := w.follow(t, func(*ringbuf.Mbp1Slot) {})
	defer wait()
	if got, want := fmt.Sprint(w.set.Status().Plugins[0].Granted), "[folder /maps (here "+dir+"), to read environment variable DESK]"; got != want {
		t.Errorf("granted %s, want %s", got, want)
	}
	w.write(t, "m.wasm", asks("1.1.0", `{"dirs": [{"at": "/maps", "write": true}]}`))
	if _, err := w.set.Reload(t.Context(), Request{Name: "asks"}); err == nil || !strings.Contains(err.Error(), "it wants folder /maps to write to, which no grant") {
		t.Errorf("%v", err)
	}
	if v := w.set.Status().Plugins[0].Version; v != "1.0.0" {
		t.Errorf("version %s runs", v)
	}
}

// TestCheck: what is wrong with a configuration's plugins is told, all of it.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, module []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, module, 0o600))
		return path
	}
	a, b := write("a/m.wasm", testguest.Mark("a", "1.0.0", 1, 0)), write("b.wasm", testguest.Mark("b", "1.0.0", 1, 0))
	must(t, os.Mkdir(filepath.Join(dir, "none"), 0o755))
	needs := write("n.wasm", testguest.Requiring("n", "1.0.0", "z", "^1.0.0"))
	for _, tc := range []struct {
		name string
		list []config.Plugin
		c    config.Plugins
		want []string
	}{
		{"good", []config.Plugin{{Path: filepath.Dir(a)}}, config.Plugins{}, nil},
		{"none", nil, config.Plugins{}, nil},
		{"no files", []config.Plugin{{Path: filepath.Join(dir, "x.wasm")}, {Path: filepath.Join(dir, "none")}}, config.Plugins{}, []string{"plugin[0]", "x.wasm", "plugin[1]", "no .wasm in folder"}},
		{"one column twice", []config.Plugin{{Path: a}, {Path: b}}, config.Plugins{}, []string{"mark is a's already"}},
		{"one plugin twice", []config.Plugin{{Path: a}, {Path: filepath.Dir(a)}}, config.Plugins{}, []string{"a is there twice"}},
		{"an unknown parameter", []config.Plugin{{Path: a, Params: map[string]any{"x": 1}}}, config.Plugins{}, []string{`no parameter "x"`}},
		{"nobody's signature", []config.Plugin{{Path: a}}, config.Plugins{Unsigned: "refuse"}, []string{"policy: a is refused"}},
		{"what it needs is not there", []config.Plugin{{Path: needs}}, config.Plugins{}, []string{"n 1.0.0 needs z ^1.0.0"}},
		{"not installed", []config.Plugin{{Name: "a"}}, config.Plugins{Dir: filepath.Join(dir, "installed")}, []string{"plugins.dir"}},
	} {
		tc.c.CacheDir = filepath.Join(dir, "cache")
		err := Check(&tc.c, "itch", tc.list)
		if len(tc.want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", tc.name, err, want)
			}
		}
	}
}

// TestInstalledPlugin: a plugin by name is the version that is enabled in the set; with watch another one that is enabled is taken, and one out of the range is not.
func TestInstalledPlugin(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "installed")
	set := store.Open(dir, store.Options{})
	enable := func(version string, mark int64) {
		t.Helper()
		_, err := set.Install(testguest.Mark("mark", version, mark, 0))
		must(t, err)
		_, err = set.Enable(store.Ref{Name: "mark", Range: version})
		must(t, err)
	}
	enable("1.0.0", 1)
	w := newWorld(t, func(o *Options) {
		o.Config.Watch, o.Config.Dir = true, dir
		o.Plugins = []config.Plugin{{Name: "mark", Version: "^1.0.0"}}
	}, nil)
	now := w.background(t)
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.set.Run(ctx) })
	defer running.Wait()
	defer end()
	await(t, "version 1", func() bool { return now.Load() == 1 })
	enable("1.1.0", 2)
	await(t, "version 2", func() bool { return now.Load() == 2 })
	enable("2.0.0", 3)
	await(t, "a refusal", func() bool { return strings.Contains(w.log.String(), "mark 2.0.0 is enabled in") })
	if s := w.set.Status().Plugins[0]; s.Version != "1.1.0" || s.Source != "mark@^1.0.0" {
		t.Errorf("%+v", s)
	}
	must(t, set.Disable("mark"))
	await(t, "it being told", func() bool { return strings.Contains(w.log.String(), "was disabled") })
	if now.Load() != 2 {
		t.Errorf("rows are of version %d", now.Load())
	}
}

// TestLanesHaveTheirOwn: each lane has a chain of its own, all are changed, and one that does not run yet is said to be waiting.
func TestLanesHaveTheirOwn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.wasm")
	must(t, os.WriteFile(path, testguest.Mark("mark", "1.0.0", 1, 0), 0o600))
	s, err := Open(Options{Config: &config.Plugins{}, Plugins: []config.Plugin{{Path: path}}, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	var lanes []*Lane
	for _, name := range []string{"a", "b"} {
		l, err := s.AddLane(name, nil)
		must(t, err)
		lanes = append(lanes, l)
	}
	must(t, s.Start())
	a, b := lanes[0].Seat.Take(), lanes[1].Seat.Take()
	if a == nil || b == nil || a == b {
		t.Fatalf("chains %p and %p", a, b)
	}
	must(t, os.WriteFile(path, testguest.Mark("mark", "1.1.0", 2, 0), 0o600))
	done := make(chan Answer, 1)
	go func() {
		answer, err := s.Reload(t.Context(), Request{Name: "mark"})
		if err != nil {
			t.Error(err)
		}
		done <- answer
	}()
	var answer Answer
	for waiting := true; waiting; {
		select {
		case answer = <-done:
			waiting = false
		case <-time.After(time.Millisecond):
			lanes[0].Seat.Take() // b's lane sleeps
		}
	}
	if !answer.Waiting || answer.Is != "1.1.0" || !answer.Trial.Made {
		t.Errorf("%+v", answer)
	}
	if st := lanes[0].Seat.Take().Stats()[0]; st.Version != "1.1.0" {
		t.Errorf("%+v", st)
	}
	must(t, s.Close())
}

// A command is refused where a feed is checked, and says where it may go.
func TestCommandIsNoLanes(t *testing.T) {
	m, err := manifest.Parse([]byte(`{"name": "c", "version": "1.0.0", "abi": 1, "wasi": true, "command": true, "kinds": [{"kind": "validator", "reads": ["price"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := onLane(m); err == nil || !strings.Contains(err.Error(), "is a command") {
		t.Error(err)
	}
}
