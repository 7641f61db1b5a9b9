package ringbuf

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCreateHeader(t *testing.T) {
	for _, k := range Kinds {
		path := Path(t.TempDir(), "main", "nasdaq.x", "a", k)
		w := mustCreate(t, path, Options{Kind: k, Slots: 2048, Dataset: "XNAS.ITCH", Publisher: 2, Channel: 7})
		r := mustOpen(t, path, ReaderOptions{StaleAfter: time.Minute})
		h := r.Header()
		want := w.Header()
		want.Created = h.Created
		if h != want || time.Since(h.Created) > time.Minute {
			t.Errorf("%s: reader sees %+v, writer made %+v", k, h, w.Header())
		}
		if h.Name != "nasdaq.x.a."+k.String() || h.Dataset != "XNAS.ITCH" || h.Publisher != 2 || h.Channel != 7 || h.Slots != 2048 || h.Kind != k {
			t.Errorf("%s: header %+v", k, h)
		}
		s, err := r.Session()
		if err != nil || s.Epoch != 1 || s.First != 2048 || s.PID != os.Getpid() || s.State != StateRunning || s.BootID != bootID() {
			t.Errorf("%s: session %+v, %v", k, s, err)
		}
		if now := int64(s.StartMono + s.RealOffset); time.Since(time.Unix(0, now)) > time.Minute {
			t.Errorf("%s: start is %v", k, time.Unix(0, now))
		}
		if !r.Alive() {
			t.Errorf("%s: a new ring is not alive", k)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.a.mbo.ring")
	if err := os.WriteFile(foreign, bytes.Repeat([]byte("text "), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, path string
		o          Options
		want       string
	}{
		{"no kind", "x.a.mbo.ring", Options{}, "no kind of ring"},
		{"slots not a power of two", "x.a.mbo.ring", Options{Kind: KindMbo, Slots: 3000}, "3000 slots"},
		{"too few slots", "x.a.mbo.ring", Options{Kind: KindMbo, Slots: 512}, "512 slots"},
		{"too many slots", "x.a.mbo.ring", Options{Kind: KindMbo, Slots: 1 << 41}, "slots"},
		{"long dataset", "x.a.mbo.ring", Options{Kind: KindMbo, Dataset: "SEVENTEEN.LETTERS"}, "at most 16 fit"},
		{"long name", strings.Repeat("x", 40) + ".a.mbo.ring", Options{Kind: KindMbo, Slots: 1024}, ""},
		{"longer name", strings.Repeat("x", 42) + ".a.mbo.ring", Options{Kind: KindMbo, Slots: 1024}, "shorten"},
		{"mode that lets others write", "x.a.mbo.ring", Options{Kind: KindMbo, Mode: 0o660}, "others may at most read"},
		{"mode with bits beyond", "x.a.mbo.ring", Options{Kind: KindMbo, Mode: os.ModeSetuid | 0o640}, "others may at most read"},
		{"unknown group", "x.a.mbo.ring", Options{Kind: KindMbo, Group: "no such group"}, "no such group"},
		{"another file", "foreign.a.mbo.ring", Options{Kind: KindMbo, Slots: 1024}, "not a tickwire ring"},
	} {
		w, err := Create(filepath.Join(dir, tc.path), tc.o)
		if err == nil {
			_ = w.Close()
		}
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want %q", tc.name, err, tc.want)
		}
	}
	if b, err := os.ReadFile(foreign); err != nil || !bytes.HasPrefix(b, []byte("text text")) {
		t.Error("another program's file was changed")
	}
}

// A full shared memory is known before anything is written, and nothing is left there.
func TestCreateNoSpace(t *testing.T) {
	dir := shmDir(t)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.TMPFS_MAGIC || st.Blocks == 0 || st.Blocks*uint64(st.Bsize) >= maxSlots*64 {
		t.Skip("no tmpfs with a limit here")
	}
	slots := uint64(minSlots)
	for slots*64 <= st.Blocks*uint64(st.Bsize) {
		slots *= 2
	}
	_, err := Create(filepath.Join(dir, "big", "x.a.mbo.ring"), Options{Kind: KindMbo, Slots: slots})
	var full *NoSpaceError
	if !errors.As(err, &full) || !errors.Is(err, ErrNoSpace) || !errors.Is(err, unix.ENOSPC) || full.Need < slots*64 || full.Free > full.Need {
		t.Fatalf("%v", err)
	}
	t.Log(err)
	left, err := filepath.Glob(filepath.Join(dir, "big", "*.ring"))
	hidden, _ := filepath.Glob(filepath.Join(dir, "big", ".*.new"))
	if err != nil || len(left)+len(hidden) != 0 {
		t.Errorf("left behind: %v %v", left, hidden)
	}
}

func TestCreateBusy(t *testing.T) {
	dir := shmDir(t)
	here := filepath.Join(dir, "x.a.mbo.ring")
	w := mustCreate(t, here, Options{Kind: KindMbo, Slots: 1024})
	_, err := Create(here, Options{Kind: KindMbo, Slots: 2048})
	var busy *BusyError
	if !errors.As(err, &busy) || busy.PID != os.Getpid() || !errors.Is(err, ErrBusy) {
		t.Errorf("second producer in one process: %v", err)
	}
	publishN(w, 1)

	there := filepath.Join(dir, "y.a.mbo.ring")
	p := startProducer(t, "producer", there, KindMbo, 1024, 0)
	if _, err = Create(there, Options{Kind: KindMbo, Slots: 1024}); !errors.As(err, &busy) || busy.PID != p.cmd.Process.Pid {
		t.Errorf("second producer in another process: %v, owner is %d", err, p.cmd.Process.Pid)
	}
	if !strings.Contains(err.Error(), strconv.Itoa(p.cmd.Process.Pid)) {
		t.Errorf("owner's pid is not named: %v", err)
	}
	p.kill()
	mustCreate(t, there, Options{Kind: KindMbo, Slots: 1024})
}

func TestModeAndGroup(t *testing.T) {
	g, err := user.LookupGroupId(strconv.Itoa(os.Getgid()))
	if err != nil {
		t.Skipf("this process's group has no name: %v", err)
	}
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	for _, tc := range []struct {
		o    Options
		mode os.FileMode
		dir  os.FileMode
	}{
		{Options{}, 0o640, 0o750},
		{Options{Mode: 0o444 | 0o200, Group: g.Name}, 0o644, 0o755},
		{Options{Mode: 0o600, Group: strconv.Itoa(os.Getgid())}, 0o600, 0o700},
	} {
		path := Path(t.TempDir(), "main", "x", "a", KindMbo)
		tc.o.Kind, tc.o.Slots = KindMbo, 1024
		mustCreate(t, path, tc.o)
		for name, want := range map[string]os.FileMode{path: tc.mode, filepath.Dir(path): tc.dir} {
			st, err := os.Stat(name)
			if err != nil || st.Mode().Perm() != want || st.Sys().(*syscall.Stat_t).Gid != uint32(os.Getgid()) {
				t.Errorf("%+v: %s is %v, want %v (%v)", tc.o, filepath.Base(name), st.Mode(), want, err)
			}
		}
	}
}

// A consumer in the ring's group reads it, another user does not, and neither can keep a producer out.
func TestConsumerIsNotOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	const uid, gid = 64_321, 64_322
	prog := buildC(t, "gcc", "c99", "testdata/ringcheck.c")
	dir := shmDir(t)
	tool := filepath.Join(dir, "ringcheck")
	text, err := os.ReadFile(prog)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(tool, text, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	path := Path(dir, "main", "x", "a", KindMbo)
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024, Group: strconv.Itoa(gid)})
	publishN(w, 100)
	as := func(gid uint32) ([]byte, error) {
		cmd := exec.Command(tool, path, "1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		return cmd.CombinedOutput()
	}
	out, err := as(gid)
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("programs in %s cannot be started: %v", dir, err)
	}
	if err != nil || !strings.HasPrefix(string(out), "joined\n100 0 0 ") {
		t.Errorf("member of the group: %v, %s", err, out)
	}
	if out, err := as(uid); err == nil || !strings.Contains(string(out), "cannot be opened") {
		t.Errorf("stranger: %v, %s", err, out)
	}
	if st, err := os.Stat(path + ".lock"); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("lock file: %v, %v: a consumer could hold it", st, err)
	}
}

// Another geometry or identity: a new file takes the name, readers of the old one read it to its end and are told.
func TestReplaced(t *testing.T) {
	path := filepath.Join(shmDir(t), "x.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	r := mustOpen(t, path, ReaderOptions{})
	idle := mustOpen(t, path, ReaderOptions{})
	publishN(w, 50)
	_ = w.Close()
	n := mustCreate(t, path, Options{Kind: KindMbo, Slots: 2048})
	publishN(n, 5)
	if n.UUID() == w.UUID() || n.Epoch() != 1 {
		t.Errorf("same file goes on: epoch %d", n.Epoch())
	}
	s := readFor(t, r, func(*seen) bool { return false })
	if s.read != 50 || s.bad != 0 || s.lost != 0 {
		t.Errorf("old file to its end: %s", s)
	}
	if r.State() != StateReplaced {
		t.Errorf("state %s", r.State())
	}
	if !idle.Wait(0) {
		t.Error("a reader that had not read yet lost the old file's records")
	}
	again := mustOpen(t, path, ReaderOptions{Join: JoinOldest})
	if got, _, _ := PollSlice(again, make([]tickMbo, 100)); got != 5 || again.Slots() != 2048 {
		t.Errorf("new file: %d records, %d slots", got, again.Slots())
	}
	_ = n.Close()
	for name, o := range map[string]Options{
		"dataset":   {Kind: KindMbo, Slots: 2048, Dataset: "SIM.ITCH"},
		"publisher": {Kind: KindMbo, Slots: 2048, Publisher: 2},
		"kind":      {Kind: KindTrades, Slots: 2048},
	} {
		w := mustCreate(t, path, o)
		if w.Epoch() != 1 {
			t.Errorf("another %s went on in the same file", name)
		}
		_ = w.Close()
	}
}

// A file whose name was taken away without a word (removed, or replaced by a producer that could not read it).
func TestUnlinked(t *testing.T) {
	path := filepath.Join(shmDir(t), "x.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	r := mustOpen(t, path, ReaderOptions{StaleAfter: time.Millisecond})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	publishN(w, 1)
	if n, _, st := PollSlice(r, make([]tickMbo, 4)); n != 1 {
		t.Errorf("a file without a name is still read: %d, %s", n, st)
	}
	time.Sleep(3 * time.Millisecond)
	if st := pollStatus(r); st != Replaced {
		t.Errorf("status %s, want replaced", st)
	}
}

// Files that a producer of this version would not go on in.
func TestTakeOverOfDamagedRings(t *testing.T) {
	for name, damage := range map[string]func(m *mapping){
		"other major":       func(m *mapping) { *m.half(offMajor) = 2 },
		"other boot":        func(m *mapping) { m.store64(offBootID, 1) },
		"epoch zero":        func(m *mapping) { m.store64(offEpoch, 0) },
		"intent far ahead":  func(m *mapping) { m.store64(offEpochIntent, 9) },
		"cursor ahead":      func(m *mapping) { m.store64(offCursor, 1<<40) },
		"replaced":          func(m *mapping) { m.store32(offState, uint32(StateReplaced)) },
		"capacity nonsense": func(m *mapping) { m.store64(offSlots, 77) },
	} {
		path := filepath.Join(t.TempDir(), "x.a.mbo.ring")
		w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
		publishN(w, 10)
		damage(w.m)
		_ = w.lock.Close()
		_ = w.m.close()
		w.closed = true
		n := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
		if n.UUID() == w.UUID() {
			t.Errorf("%s: the file was gone on with", name)
		}
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	if got, err := List(filepath.Join(dir, "none"), ""); err != nil || len(got) != 0 {
		t.Errorf("no directory: %v, %v", got, err)
	}
	want := []Entry{
		{Path(dir, "main", "cme", "a", KindMbp10), "main", "cme", "a", KindMbp10},
		{Path(dir, "main", "nasdaq.x", "b", KindMbo), "main", "nasdaq.x", "b", KindMbo},
		{Path(dir, "test", "iex", "a", KindExt), "test", "iex", "a", KindExt},
	}
	for _, e := range want {
		mustCreate(t, e.Path, Options{Kind: e.Kind, Slots: 1024})
	}
	for _, other := range []string{"nasdaq.inst", "nasdaq.a.mbo.snap", "a.nothing.ring", "mbo.ring", ".mbo.ring", ".x.a.mbo.ring.new"} {
		if err := os.WriteFile(filepath.Join(dir, "main", other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := List(dir, "")
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v", got, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	if got, err := List(dir, "test"); err != nil || len(got) != 1 || got[0] != want[2] {
		t.Errorf("one instance: %v, %v", got, err)
	}
	if _, err := ParseKind("bbo"); err == nil {
		t.Error("bbo is no kind")
	}
}
