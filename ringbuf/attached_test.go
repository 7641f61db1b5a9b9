package ringbuf

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tick"
)

// readAndStay is a reader in a process of its own: it reads some records of a ring, says so, and stays until its input ends.
//
//	arguments: path, name to report ("": unseen), records
func readAndStay(args []string) {
	r, err := Open(args[0], ReaderOptions{Join: JoinOldest, Report: args[1]})
	if err == nil {
		err = r.Reported()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	left, _ := strconv.Atoi(args[2])
	buf := make([]byte, 64*r.Kind().PayloadBytes())
	for left > 0 {
		n, _, _ := r.Poll(buf, min(left, 64))
		left -= n
	}
	if p := r.progress; p != nil {
		p.tell(r, true)
	}
	fmt.Println("reading")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	_ = r.Close()
	os.Exit(0)
}

// attachWorld is a ring of an instance with some records.
func attachWorld(t *testing.T, records int) (dir string, w *Writer, e Entry) {
	t.Helper()
	dir = shmDir(t)
	e = Entry{Path: Path(dir, "main", "f", "0", KindMbo), Instance: "main", Feed: "f", Lane: "0", Kind: KindMbo}
	w = mustCreate(t, e.Path, Options{Kind: KindMbo, Slots: 1 << 14})
	publishSome(w, records)
	return dir, w, e
}

func publishSome(w *Writer, n int) {
	rec := []tick.Mbo{{Header: tick.Header{Length: 14, RType: tick.RTypeMbo}}}
	for range n {
		PublishSlice(w, rec)
	}
	w.PublishHint()
	w.Beat(MonotonicNow())
}

// A reader that reports is seen with all it says, one that does not is found by its mapping, in Go and in C; what a killed
// one left is removed by who looks next.
func TestAttached(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, w, e := attachWorld(t, 5000)
	defer w.Close()
	goReader := func(name string, count int) *exec.Cmd {
		c := exec.Command(exe, e.Path, name, strconv.Itoa(count))
		c.Env = append(os.Environ(), roleEnv+"=reader", "GOMAXPROCS=1")
		return c
	}
	start := func(c *exec.Cmd) *process {
		t.Helper()
		if _, err := c.StdinPipe(); err != nil { // held open until the process is killed
			t.Fatal(err)
		}
		p := startProcess(t, c)
		if line, err := p.out.ReadString('\n'); line != "reading\n" {
			t.Fatalf("reader: %q, %v", line, err)
		}
		return p
	}
	seen := start(goReader("strategy", 1000))
	inC := start(exec.Command(buildC(t, "gcc", "c99", "testdata/progress.c"), e.Path, "in C", "4000"))
	unseen := start(goReader("", 10))

	byPID := func() map[int]Attached {
		m := map[int]Attached{}
		for _, a := range AttachedTo(dir, []Entry{e}) {
			if a.PID != os.Getpid() { // the producer does not read
				m[a.PID] = a
			} else {
				t.Errorf("the producer counts as a reader: %+v", a)
			}
		}
		return m
	}
	got := byPID()
	if len(got) != 3 {
		t.Fatalf("%d readers, want 3: %+v", len(got), got)
	}
	uid := uint32(os.Getuid())
	for _, tc := range []struct {
		p    *process
		want Attached
	}{
		{seen, Attached{Name: "strategy", Reports: true, Lag: 4000}},
		{inC, Attached{Name: "in C", Reports: true, Lag: 1000}},
		{unseen, Attached{Name: filepath.Base(exe)[:min(15, len(filepath.Base(exe)))]}},
	} {
		a := got[tc.p.cmd.Process.Pid]
		if a.Name != tc.want.Name || a.Reports != tc.want.Reports || a.Lag != tc.want.Lag || a.UID != uid || a.Ring != "f.0.mbo" || a.Instance != "main" || a.Lost != 0 {
			t.Errorf("%+v, want %+v of uid %d", a, tc.want, uid)
		}
		if a.Reports && (a.Epoch != 1 || a.Next+a.Lag != w.Next()) {
			t.Errorf("%+v, the ring goes on at %d", a, w.Next())
		}
	}
	other := foreignReader(t, dir, e, start)
	want := 3
	if other != nil {
		want++
		if a := byPID()[other.cmd.Process.Pid]; a.UID != 65534 || a.Name != "stranger" || !a.Reports || a.Lag != 4993 {
			t.Errorf("another user's: %+v", a)
		}
	}
	if n := len(byPID()); n != want {
		t.Errorf("%d readers, want %d", n, want)
	}
	publishSome(w, 100)
	if a := byPID()[seen.cmd.Process.Pid]; a.Lag != 4100 {
		t.Errorf("after 100 more: %+v", a)
	}
	if uid == 0 { // the owner is who the kernel says it is
		reports := Reports(dir, "main")
		i := slices.IndexFunc(reports, func(p Report) bool { return p.Name == "in C" })
		if err := os.Chown(reports[i].Path, 65534, -1); err != nil {
			t.Fatal(err)
		}
		if a := byPID()[inC.cmd.Process.Pid]; a.UID != 65534 {
			t.Errorf("%+v, want the file's owner 65534", a)
		}
	}
	seen.kill()
	inC.kill()
	unseen.kill()
	if other != nil {
		other.kill()
	}
	if got := byPID(); len(got) != 0 {
		t.Errorf("after all were killed: %+v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "main", readersDir, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// foreignReader starts a reader of another user, nil where we may not.
func foreignReader(t *testing.T, dir string, e Entry, start func(*exec.Cmd) *process) *process {
	t.Helper()
	if os.Getuid() != 0 {
		t.Log("not root: no reader of another user")
		return nil
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// The instance is opened to everybody, as a group is to its members.
	must(os.Chmod(dir, 0o755))
	must(os.Chmod(filepath.Join(dir, "main"), 0o755))
	must(os.Chmod(filepath.Join(dir, "main", readersDir), os.ModeSticky|0o777))
	must(os.Chmod(e.Path, 0o644))
	prog, err := os.ReadFile(buildC(t, "gcc", "c99", "testdata/progress.c"))
	must(err)
	place, err := os.MkdirTemp("", "tickwire-test-")
	must(err)
	t.Cleanup(func() { _ = os.RemoveAll(place) })
	must(os.Chmod(place, 0o755))
	must(os.WriteFile(filepath.Join(place, "reader"), prog, 0o755))
	c := exec.Command(filepath.Join(place, "reader"), e.Path, "stranger", "7")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return start(c)
}

// In one process: two readers of a ring have files of their own, Close removes them, places are told as reading goes on.
func TestProgressFollowsTheReader(t *testing.T) {
	dir, w, e := attachWorld(t, 10_000)
	defer w.Close()
	var readers [2]*Reader
	for i := range readers {
		r, err := Open(e.Path, ReaderOptions{Join: JoinOldest, Report: fmt.Sprintf("r%d", i)})
		if err != nil || r.Reported() != nil {
			t.Fatal(err, r.Reported())
		}
		readers[i] = r
	}
	report := func(name string) Report {
		t.Helper()
		for _, p := range Reports(dir, "main") {
			if p.Name == name {
				return p
			}
		}
		t.Fatalf("no report of %s", name)
		return Report{}
	}
	first := report("r1").Next
	recs := make([]tick.Mbo, 64)
	for range 100 { // 6,400 records: told once on the way
		PollSlice(readers[0], recs)
	}
	if p := report("r0"); p.Next-first < progressEvery || p.Next-first > 6400 {
		t.Errorf("after 6,400 records it says %d", p.Next-first)
	}
	for {
		if n, _, _ := PollSlice(readers[0], recs); n == 0 {
			break
		}
	}
	if p := report("r0"); p.Next != w.Next() || p.Ring != "f.0.mbo" || p.PID != os.Getpid() {
		t.Errorf("caught up: %+v, the ring goes on at %d", p, w.Next())
	}
	publishSome(w, 1<<15) // laps it
	for {
		if n, _, st := PollSlice(readers[0], recs); n == 0 && st == None {
			break
		}
	}
	if p := report("r0"); p.Lost == 0 || p.Lost != readers[0].Lost() || p.Next != w.Next() {
		t.Errorf("lapped: %+v, lost %d", p, readers[0].Lost())
	}
	if p := report("r1"); p.Next != first {
		t.Errorf("the other one is at %d, was at %d", p.Next, first)
	}
	for _, r := range readers {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if left := Reports(dir, "main"); len(left) != 0 {
		t.Errorf("after Close: %+v", left)
	}
}

// The folder takes files from whoever may enter the instance's folder, each may remove only its own, and it has that
// folder's group.
func TestReadersFolder(t *testing.T) {
	for _, tc := range []struct{ instance, want os.FileMode }{
		{0o750, os.ModeDir | os.ModeSticky | 0o770},
		{0o755, os.ModeDir | os.ModeSticky | 0o777},
	} {
		dir, w, e := attachWorld(t, 1)
		if err := os.Chmod(filepath.Join(dir, "main"), tc.instance); err != nil {
			t.Fatal(err)
		}
		gid := os.Getgid()
		if os.Getuid() == 0 {
			gid = 4
			if err := os.Chown(filepath.Join(dir, "main"), -1, gid); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(filepath.Join(dir, "main", readersDir)); err != nil { // the producer made it before the change
			t.Fatal(err)
		}
		r, err := Open(e.Path, ReaderOptions{Report: "x"})
		if err != nil || r.Reported() != nil {
			t.Fatal(err, r.Reported())
		}
		st, err := os.Stat(filepath.Join(dir, "main", readersDir))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := gidOf(st); st.Mode() != tc.want || got != gid {
			t.Errorf("folder %s of group %d, want %s of %d", st.Mode(), got, tc.want, gid)
		}
		_ = r.Close()
		_ = w.Close()
	}
}

// A reader that cannot be seen reads all the same, and says why.
func TestUnreportedReads(t *testing.T) {
	dir, w, e := attachWorld(t, 10)
	defer w.Close()
	if err := os.Remove(filepath.Join(dir, "main", readersDir)); err != nil { // made by the producer
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main", readersDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(e.Path, ReaderOptions{Join: JoinOldest, Report: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, _, _ := PollSlice(r, make([]tick.Mbo, 64)); n != 10 || r.Reported() == nil || !strings.Contains(r.Reported().Error(), "no folder") {
		t.Errorf("%d records, %v", n, r.Reported())
	}
}

// Whatever lies in the folder hangs nobody and is nobody's progress.
func TestProgressRefuses(t *testing.T) {
	dir, w, e := attachWorld(t, 10)
	defer w.Close()
	r, err := Open(e.Path, ReaderOptions{Report: "good\x1b[31m\xff"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	folder := filepath.Join(dir, "main", readersDir)
	good, err := os.ReadFile(r.progress.path)
	if err != nil {
		t.Fatal(err)
	}
	at := func(n int) string { return filepath.Join(folder, fmt.Sprintf("f.0.mbo.1.%d.progress", n)) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.Mkfifo(at(100), 0o666))
	must(os.Symlink(r.progress.path, at(101)))
	must(os.Mkdir(at(102), 0o700))
	must(os.WriteFile(at(103), good[:100], 0o600))
	must(os.WriteFile(at(104), append([]byte("XXXXXXXX"), good[8:]...), 0o600))
	must(os.WriteFile(at(105), nil, 0o600))
	must(os.WriteFile(filepath.Join(folder, "f.0.mbo.x.progress"), good, 0o600))
	must(os.WriteFile(filepath.Join(folder, "f.0.mbo.7.7.progress"), good, 0o600)) // nobody holds its lock
	done := make(chan []Report, 1)
	go func() { done <- Reports(dir, "main") }()
	select {
	case got := <-done:
		if len(got) != 1 || got[0].Name != "good?[31m?" {
			t.Errorf("%+v", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("hangs")
	}
	if _, err := os.Stat(filepath.Join(folder, "f.0.mbo.7.7.progress")); !os.IsNotExist(err) {
		t.Errorf("what a dead reader left is still there: %v", err)
	}
	for n := 100; n < 106; n++ { // what is no progress file is not ours to remove
		if _, err := os.Lstat(at(n)); err != nil {
			t.Error(err)
		}
	}
}

// Being seen costs no allocation.
func TestReportingDoesNotAllocate(t *testing.T) {
	_, w, e := attachWorld(t, 10)
	defer w.Close()
	r, err := Open(e.Path, ReaderOptions{Join: JoinOldest, Report: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	recs, one := make([]tick.Mbo, 64), make([]tick.Mbo, 1)
	if n := testing.AllocsPerRun(5000, func() { PublishSlice(w, one); PollSlice(r, recs); PollSlice(r, recs) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if p, err := readProgress(r.progress.path); err != nil || p.Next != w.Next() {
		t.Errorf("%+v, %v", p, err)
	}
}

// The offsets in the C header are those here.
func TestCProgressOffsets(t *testing.T) {
	text, err := os.ReadFile("c/tickring.h")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"BYTES": progressBytes, "OFF_VERSION": 8, "OFF_PID": 12, "OFF_NAME": progName, "OFF_NEXT": progNext, "OFF_LOST": progLost,
		"OFF_EPOCH": progEpoch, "OFF_BEAT": progBeat, "OFF_UUID": progUUID,
	} {
		if !strings.Contains(string(text), fmt.Sprintf("#define TW_PROGRESS_%s %d", name, want)) {
			t.Errorf("TW_PROGRESS_%s is not %d in tickring.h", name, want)
		}
	}
}

func FuzzProgress(f *testing.F) {
	f.Add([]byte(progressMagic), "f.0.mbo.1.2.progress")
	f.Add([]byte("TWPROG01\x01\x00\x00\x00\x07\x00\x00\x00name"), "a.progress")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		var line [progressBytes]byte
		copy(line[:], text)
		p, err := parseProgress(&line)
		if err == nil && (len(p.Name) > 3*progressNames || !utf8.ValidString(p.Name)) {
			t.Errorf("name %q", p.Name)
		}
		if ring, ok := ringOfProgress(name); ok && (ring == "" || !strings.HasPrefix(name, ring)) {
			t.Errorf("%q is of ring %q", name, ring)
		}
	})
}
