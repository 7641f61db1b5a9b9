package plugins

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tickwire/tickwire/plugins/build"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/sign"
)

// Goal: a module gets the folders and variables that the policy grants it, and nothing else, whatever it asks for. Method: a plugin in C that calls WASI with the paths it
// is given, as no library would: nothing is cleaned of dots on the way.

// reachSource is f(path, what) → 1000 and what it found, or WASI's error.
const reachSource = `#include "tickwire.h"

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
WASI(path_open) int32_t path_open(int32_t fd, int32_t follow, const char *path, int32_t len, int32_t how, int64_t rights, int64_t inherited, int32_t flags, int32_t *to);
WASI(path_filestat_get) int32_t path_filestat_get(int32_t fd, int32_t follow, const char *path, int32_t len, char *to);
WASI(path_unlink_file) int32_t path_unlink_file(int32_t fd, const char *path, int32_t len);
WASI(path_create_directory) int32_t path_create_directory(int32_t fd, const char *path, int32_t len);
WASI(path_rename) int32_t path_rename(int32_t fd, const char *from, int32_t len, int32_t to_fd, const char *to, int32_t to_len);
WASI(path_symlink) int32_t path_symlink(const char *text, int32_t text_len, int32_t fd, const char *path, int32_t len);
WASI(fd_read) int32_t fd_read(int32_t fd, const void *vectors, int32_t count, int32_t *n);
WASI(fd_write) int32_t fd_write(int32_t fd, const void *vectors, int32_t count, int32_t *n);
WASI(fd_close) int32_t fd_close(int32_t fd);
WASI(fd_readdir) int32_t fd_readdir(int32_t fd, char *to, int32_t room, int64_t cookie, int32_t *used);
WASI(fd_prestat_get) int32_t fd_prestat_get(int32_t fd, int32_t *to);
WASI(environ_sizes_get) int32_t environ_sizes_get(int32_t *count, int32_t *bytes);
WASI(environ_get) int32_t environ_get(char **list, char *text);
WASI(sock_accept) int32_t sock_accept(int32_t fd, int32_t flags, int32_t *to);

TW_TEXTS(path, 1, 64);
TW_COLUMN(int64_t, what, 1);
TW_COLUMN(int64_t, result, 1);
TW_LAYOUT(call, 1, TW_READ(TW_ARG, path), TW_READ(TW_ARG + 1, what), TW_WRITE(TW_RESULT, result));
TW_UNITS(&call)
TW_ROOM(4096)

static int32_t first = 3;

/* use opens path as the operation says, and reads or writes a byte. */
static int32_t use(const char *p, int32_t len, int32_t how, int64_t rights, int write)
{
	int32_t fd, n = 0;
	char byte = 'W';
	struct { char *at; int32_t len; } v = {&byte, 1};
	int32_t no = path_open(first, 1, p, len, how, rights, 0, 0, &fd);
	if (no)
		return no;
	no = write ? fd_write(fd, &v, 1, &n) : fd_read(fd, &v, 1, &n);
	int32_t closed = fd_close(fd);
	return no ? no : closed ? closed : 1000 + (n ? byte : 0);
}

static int32_t reach(const char *p, int32_t len, int64_t op)
{
	static char room[1024];
	static char *list[16];
	int32_t n = 0, bytes, no = 28, entries = 0;
	switch (op) {
	case 'r': return use(p, len, 0, 1 << 1, 0);
	case 'w': return use(p, len, 1, 1 << 6, 1);
	case 'R': return use(p, len, 0, 1 << 1 | 1 << 6, 0); /* to read, asking for more than that */
	case 's': no = path_filestat_get(first, 1, p, len, room); return no ? no : 1000 + room[16];
	case 'l': no = path_filestat_get(first, 0, p, len, room); return no ? no : 1000 + room[16];
	case 'u': no = path_unlink_file(first, p, len); break;
	case 'm': no = path_create_directory(first, p, len); break;
	case 'n': no = path_rename(first, p, len, first, "renamed", 7); break;
	case 'N': no = path_rename(first, p, len, first, "../renamed", 10); break;
	case 'y': no = path_symlink("/etc", 4, first, p, len); break;
	case 'p': no = fd_prestat_get(first, &bytes); break;
	case 'k': no = sock_accept(first, 0, &n); break;
	case 'o': /* opens until it may not, and leaves all open */
		for (no = 0; !no; n++)
			no = path_open(first, 1, p, len, 0, 2, 0, 0, &bytes);
		return n > 100 ? 1 : no;
	case 'D': no = fd_readdir(first, room, 40, 0, &n); break; /* begins a listing */
	case 'd': /* names, a few at a time */
		for (int64_t cookie = 0;;) {
			if ((no = fd_readdir(first, room, 40, cookie, &n)))
				return no;
			if (n < 24 + *(int32_t *)(room + 16))
				return 1000 + entries;
			entries++;
			cookie = *(int64_t *)room;
		}
	case 'e': /* the first variable's fifth byte */
		no = environ_sizes_get(&n, &bytes);
		if (no || n > 16 || bytes > (int32_t)sizeof room || (n && environ_get(list, room)))
			return 1;
		return 1000 + (n ? n * 256 + list[0][4] : 0);
	}
	return no ? no : 1000;
}

int32_t tw_init(const char *params, int32_t len)
{
	const char *at = tw_param(params, len, "early");
	if (!at || at[1] == '"')
		return 0;
	int32_t n = 1;
	while (at[n] != '"')
		n++;
	return reach(at + 1, n - 1, 'r') == 1000 + 'm' ? 0 : 1;
}

int32_t tw_function(int32_t unit, int32_t n)
{
	int32_t len = 0;
	while (len < 64 && path[0][len])
		len++;
	first = what[0] >> 8 ? (int32_t)(what[0] >> 8) : 3;
	result[0] = reach(path[0], len, what[0] & 255);
	return n;
}
`

const reachManifest = `{"name": "reach", "version": "1.0.0", "abi": 1, "wasi": true, "limits": {"max_rows": 1, "fuel_per_row": 10000000},
	"params": [{"name": "early", "type": "string", "default": ""}], "kinds": [{"kind": "function", "name": "reach", "args": ["str", "i64"], "returns": "i64"}]}`

// reach builds the plugin.
func reach(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"plugin.c": reachSource, build.ManifestFile: reachManifest} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path, err := build.Build(dir)
	toolchain.Check(t, err)
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// granting is a host whose policy has grants.
func granting(t *testing.T, grants ...sign.Grant) (*Host, *logbook) {
	t.Helper()
	policy := &sign.Policy{Grants: grants}
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	book := &logbook{}
	h, err := New(Options{Trust: policy, Log: slog.New(slog.NewTextHandler(book, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, book
}

// world is a folder to grant, with all there is to stumble over, in one that is not granted.
func world(t *testing.T) (granted, outside string) {
	t.Helper()
	outside = t.TempDir()
	granted = filepath.Join(outside, "granted")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(granted, "below"), 0o755))
	for _, f := range []string{"secret", "granted/map", "granted/below/more"} {
		must(os.WriteFile(filepath.Join(outside, f), []byte(filepath.Base(f)), 0o600))
	}
	for _, link := range [][2]string{
		{"../secret", "out"}, {filepath.Join(outside, "secret"), "far"}, {"map", "near"}, {"..", "up"}, {"below/../../secret", "winding"}, {"round", "round"}, {"/", "root"},
	} {
		must(os.Symlink(link[0], filepath.Join(granted, link[1])))
	}
	must(syscall.Mkfifo(filepath.Join(granted, "pipe"), 0o600))
	return granted, outside
}

func (i *Instance) reach(t *testing.T, fd int, op byte, path string) int64 {
	t.Helper()
	b, stride := i.Column(0, 512)
	clear(b[:stride])
	copy(b, path)
	put64(i, 513, uint64(op)|uint64(fd)<<8)
	if err := i.Function(0, 1); err != nil {
		t.Fatalf("%c %s: %v", op, path, err)
	}
	return int64(get64(i, 768, 1)[0])
}

func TestGrantedFolder(t *testing.T) {
	module := reach(t)
	granted, outside := world(t)
	read, _ := granting(t, sign.Grant{Plugin: "re*", Dir: []sign.Dir{{Path: granted, At: "/maps"}}})
	i := instance(t, compile(t, read, module), Env{})
	for _, tc := range []struct {
		op   byte
		path string
		want int64
	}{
		{'r', "map", 1000 + 'm'}, {'r', "below/more", 1000 + 'm'}, {'r', "below/../map", 1000 + 'm'}, {'r', "near", 1000 + 'm'}, {'r', "./map", 1000 + 'm'},
		{'r', "nothing", wasiNoEnt}, {'r', "map/more", wasiNotDir}, {'r', "", wasiNoEnt},
		{'r', "../secret", wasiNotCapable}, {'r', "/etc/passwd", wasiNotCapable}, {'r', filepath.Join(outside, "secret")[:min(63, len(outside)+7)], wasiNotCapable},
		{'r', "below/../../secret", wasiNotCapable}, {'r', "out", wasiNotCapable}, {'r', "far", wasiNotCapable}, {'r', "winding", wasiNotCapable},
		{'r', "up/secret", wasiNotCapable}, {'r', "root/etc/passwd", wasiNotCapable}, {'r', "..", wasiNotCapable}, {'s', "out", wasiNotCapable}, {'s', "../secret", wasiNotCapable},
		{'r', "pipe", wasiNotCapable}, // which would wait for a writer
		{'s', "map", 1000 + filePlain}, {'s', "below", 1000 + fileFolder}, {'s', "near", 1000 + filePlain}, {'l', "near", 1000 + fileSymlink}, {'l', "out", 1000 + fileSymlink},
		{'d', "", 1000 + 10}, {'p', "", 1000},
		{'w', "map", wasiNotCapable}, {'w', "fresh", wasiNotCapable}, {'R', "map", wasiNotCapable}, {'u', "map", wasiNotCapable}, {'m', "fresh", wasiNotCapable},
		{'n', "map", wasiNotCapable}, {'y', "fresh", wasiNotCapable}, {'k', "", wasiNotCapable},
		{'e', "", 1000},
	} {
		if got := i.reach(t, 3, tc.op, tc.path); got != tc.want {
			t.Errorf("%c %q: %d, want %d", tc.op, tc.path, got, tc.want)
		}
	}
	if got := i.reach(t, 3, 'r', "round"); got == 0 || got >= 1000 { // ELOOP, by whoever counts first
		t.Errorf("a link to itself: %d", got)
	}
	if got := i.reach(t, 4, 'r', "map"); got != wasiBadF {
		t.Errorf("a descriptor that stands for nothing: %d", got)
	}
	if text, err := os.ReadFile(filepath.Join(granted, "map")); err != nil || string(text) != "map" {
		t.Errorf("what may only be read is %q now, %v", text, err)
	}
	if got := i.reach(t, 3, 'o', "map"); got != wasiMFile {
		t.Errorf("files without end: %d", got)
	}
	if got := i.reach(t, 3, 'o', "below"); got != wasiMFile {
		t.Errorf("folders without end: %d", got)
	}
}

// What a path and a listing cost the host is paid for, and bounded.
func TestFilesArePaidFor(t *testing.T) {
	module := reach(t)
	granted, _ := world(t)
	h, _ := granting(t, sign.Grant{Plugin: "reach", Dir: []sign.Dir{{Path: granted}}})
	i := instance(t, compile(t, h, module), Env{})
	cost := func(path string) uint64 {
		before := i.Fuel()
		if got := i.reach(t, 3, 's', path); got != 1000+filePlain {
			t.Fatalf("%s: %d", path, got)
		}
		return i.Fuel() - before
	}
	if short, long := cost("map"), cost(strings.Repeat("below/../", 6)+"map"); long < short+12*stepFuel {
		t.Errorf("a path of one step takes %d of fuel, one of 13 takes %d", short, long)
	}
	for k := range mostEntries / 2 {
		if err := os.WriteFile(filepath.Join(granted, "below", "file"+strconv.Itoa(k)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := i.reach(t, 3, 'o', "below"); got != wasiMFile {
		t.Fatalf("folders: %d", got)
	}
	all, full := 0, 0
	for k := range 20 {
		switch got := i.reach(t, 4+k, 'D', ""); got {
		case 1000:
			all++
		case wasiOverflow:
			full++
		default:
			t.Fatalf("listing %d: %d", k, got)
		}
	}
	if all != 7 || full != 13 || i.listed() > mostListed {
		t.Errorf("%d of 20 listings are held, %d were refused: %d entries", all, full, i.listed())
	}
}

// On a lane a file is not even closed: some file systems write then.
func TestNoClosingOnALane(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	i := &Instance{env: Env{Lane: true}, started: true, files: []*file{{f: f}}}
	s := []uint64{firstFile}
	if wasiClose(i, s); s[0] != wasiNotCapable || i.files[0] == nil {
		t.Errorf("fd_close: %d", s[0])
	}
	if err := i.closeFiles(); err != nil {
		t.Errorf("it was closed: %v", err)
	}
}

func TestGrantedToWrite(t *testing.T) {
	module := reach(t)
	granted, outside := world(t)
	h, _ := granting(t, sign.Grant{Plugin: "reach", Dir: []sign.Dir{{Path: granted, At: "/out", Write: true}}})
	i := instance(t, compile(t, h, module), Env{})
	for _, tc := range []struct {
		op   byte
		path string
		want int64
	}{
		{'w', "fresh", 1000 + 'W'}, {'r', "fresh", 1000 + 'W'}, {'m', "folder", 1000}, {'m', "folder", wasiExist}, {'w', "folder/x", 1000 + 'W'}, {'n', "fresh", 1000}, {'r', "renamed", 1000 + 'W'},
		{'u', "renamed", 1000}, {'u', "renamed", wasiNoEnt}, {'u', "folder", wasiIsDir}, {'w', "folder", wasiIsDir},
		{'w', "../fresh", wasiNotCapable}, {'w', "out", wasiNotCapable}, {'w', "far", wasiNotCapable}, {'w', "up/fresh", wasiNotCapable}, {'m', "../fresh", wasiNotCapable},
		{'u', "../secret", wasiNotCapable}, {'u', "up/secret", wasiNotCapable}, {'n', "../secret", wasiNotCapable}, {'N', "map", wasiNotCapable}, {'y', "link", wasiNotCapable},
	} {
		if got := i.reach(t, 3, tc.op, tc.path); got != tc.want {
			t.Errorf("%c %q: %d, want %d", tc.op, tc.path, got, tc.want)
		}
	}
	if text, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(text) != "secret" {
		t.Errorf("what is not granted is %q now, %v", text, err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 2 {
		t.Errorf("outside of it there is %v, %v", entries, err)
	}
}

// Without a grant there is nothing, on a lane files are there while an instance starts alone, and a folder that is gone is an error that says so.
func TestGrantsByPlaceAndTime(t *testing.T) {
	module := reach(t)
	granted, _ := world(t)
	bare, _ := newHost(t, Policy{})
	i := instance(t, compile(t, bare, module), Env{})
	for op, want := range map[byte]int64{'r': wasiNotCapable, 'w': wasiNotCapable, 's': wasiNotCapable, 'm': wasiNotCapable, 'p': wasiBadF, 'd': wasiBadF, 'e': 1000, 'k': wasiNotCapable} {
		if got := i.reach(t, 3, op, "map"); got != want {
			t.Errorf("nothing is granted, %c: %d, want %d", op, got, want)
		}
	}
	t.Setenv("TICKWIRE_TEST_DESK", "ny")
	h, _ := granting(t, sign.Grant{Plugin: "other", Env: []string{"A=1"}}, sign.Grant{Plugin: "reach", Dir: []sign.Dir{{Path: granted}}, Env: []string{"AAA=z", "TICKWIRE_TEST_NONE"}},
		sign.Grant{Plugin: "*", Env: []string{"AAA=second", "TICKWIRE_TEST_DESK"}})
	p := compile(t, h, module)
	if got, want := strings.Join(p.Granted().Lines(), "; "), "folder "+granted+" (here "+granted+"), to read; environment variable AAA; environment variable TICKWIRE_TEST_NONE, as this process has it; environment variable TICKWIRE_TEST_DESK, as this process has it"; got != want {
		t.Errorf("granted: %s", got)
	}
	early, err := p.Manifest().Values(map[string]any{"early": "map"})
	if err != nil {
		t.Fatal(err)
	}
	lane := instance(t, p, Env{Lane: true, Params: early}) // its tw_init reads
	if got := lane.reach(t, 3, 'r', "map"); got != wasiNotCapable {
		t.Errorf("a lane's call: %d", got)
	}
	if got := lane.reach(t, 3, 'e', ""); got != 1000+2*256+'z' {
		t.Errorf("the environment: %d", got)
	}
	late, err := p.Manifest().Values(map[string]any{"early": "../secret"})
	if err != nil {
		t.Fatal(err)
	}
	if i, err := p.Instance(Env{Lane: true, Params: late}); err == nil || !strings.Contains(err.Error(), "tw_init") {
		_ = i.Close()
		t.Errorf("a start that reads what is not its own: %v", err)
	}
	if err := os.RemoveAll(granted); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Instance(Env{}); err == nil || !strings.Contains(err.Error(), "folder "+granted+", which the policy grants") {
		t.Errorf("a folder that is gone: %v", err)
	}
}

// Go's own library finds its way by what it is granted: reading, listing, writing, removing.
func TestGoGuestWithFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a Go program for wasip1: left out with -short")
	}
	dir := t.TempDir()
	granted, _ := world(t)
	body := strings.Replace(goGuest, `_, err := os.Open("/etc/passwd")`, `_, err := os.Open("/etc/passwd")
	text, _ := os.ReadFile("/maps/below/more")
	entries, _ := os.ReadDir("/maps")
	fmt.Println("read", string(text), len(entries), os.Getenv("DESK"))
	_, out := os.ReadFile("/maps/out")
	fmt.Println("out", out)
	fmt.Println("write", os.WriteFile("/maps/new", []byte("abc"), 0o600), os.Remove("/maps/map"))
	f, _ := os.OpenFile("/maps/new", os.O_APPEND|os.O_WRONLY, 0)
	_, err2 := f.WriteString("def")
	fmt.Println("append", err2, f.Close())`, 1)
	for name, text := range map[string]string{"main.go": body, "go.mod": "module guest\n\ngo 1.24\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, book := granting(t, sign.Grant{Plugin: "go", Dir: []sign.Dir{{Path: granted, At: "/maps", Write: true}}, Env: []string{"DESK=ny"}})
	p := compile(t, h, appendManifest(goModule(t, dir), `{"name": "go", "version": "1.0.0", "abi": 1, "wasi": true, "limits": {"max_rows": 64, "memory_pages": 1024}, "kinds": [{"kind": "transform", "custom": [{"name": "x", "type": "i64"}]}]}`))
	instance(t, p, Env{Lane: true})
	waitFor(t, "its lines", func() bool {
		text := book.String()
		return strings.Contains(text, "the file: true the environment: 1") && strings.Contains(text, "read more 10 ny") && strings.Contains(text, "write <nil> <nil>") &&
			strings.Contains(text, "append <nil> <nil>") && strings.Contains(text, "out open /maps/out: Capabilities insufficient")
	})
	if t.Failed() {
		t.Log(book.String())
	}
	if text, err := os.ReadFile(filepath.Join(granted, "new")); err != nil || string(text) != "abcdef" {
		t.Errorf("it wrote %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(granted, "map")); err == nil {
		t.Error("it did not remove the file")
	}
}

// Whatever a guest asks of WASI's files, it gets an answer, and nothing outside of what is granted changes.
func FuzzFiles(f *testing.F) {
	for _, path := range []string{"map", "../secret", "a\x00b", "below/./../near", strings.Repeat("a/", 40)} {
		for _, op := range "rwRslumnNydeo" {
			f.Add(byte(op), path, uint8(3))
		}
	}
	var module []byte
	f.Fuzz(func(t *testing.T, op byte, path string, fd uint8) {
		if module == nil {
			module = reach(t)
		}
		granted, outside := world(t)
		h, _ := granting(t, sign.Grant{Plugin: "*", Dir: []sign.Dir{{Path: granted, Write: true}}})
		p, err := h.Compile(module)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		i, err := p.Instance(Env{})
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		if got := i.reach(t, int(fd), op, path[:min(len(path), 63)]); got == 0 || got > 1000+16*256+255 {
			t.Errorf("%c %q: %d", op, path, got)
		}
		if text, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(text) != "secret" {
			t.Errorf("%c %q: what is not granted is %q now, %v", op, path, text, err)
		}
		if entries, err := os.ReadDir(outside); err != nil || len(entries) != 2 {
			t.Errorf("%c %q: outside of it there is %v, %v", op, path, entries, err)
		}
	})
}
