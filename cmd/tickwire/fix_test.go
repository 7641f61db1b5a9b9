package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/internal/config"
)

// genDay writes a day of FIX messages, and gives its bytes.
func genDay(t *testing.T, path string, args ...string) []byte {
	t.Helper()
	code, _, errs := command(t, append([]string{"gen", "fix", "--out", path}, args...)...)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGenFIX: the same options give the same bytes; of every version each message is decoded, plain and compressed.
func TestGenFIX(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"4.2", "4.4", "5.0SP2"} {
		args := []string{"--version", version, "--messages", "500", "--symbols", "7"}
		plain, again, packed := filepath.Join(dir, "a.fix"), filepath.Join(dir, "b.fix"), filepath.Join(dir, "c.fix.gz")
		one := genDay(t, plain, args...)
		if !bytes.Equal(one, genDay(t, again, args...)) {
			t.Error(version, ": another day each time")
		}
		genDay(t, packed, args...)
		for _, path := range []string{plain, packed} {
			code, out, errs := command(t, "decode", path)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if code != exitOK || errs != "" || len(lines) != 500 {
				t.Fatalf("%s %s: exit %d, %d lines: %s", version, path, code, len(lines), errs)
			}
			var m struct {
				Protocol, Type string
				Sequence       uint64
				Fields         struct {
					Symbol string
				}
			}
			if err := json.Unmarshal([]byte(lines[6]), &m); err != nil || m.Protocol != "fix" || m.Type != "W" || m.Sequence != 7 || m.Fields.Symbol != "SYM0007" {
				t.Errorf("%s: %v %s", version, err, lines[6])
			}
		}
	}
}

// TestFIXFilesThatAreBad: garbage in the middle and a file that ends within a message are said, and counted; what is good is used.
func TestFIXFilesThatAreBad(t *testing.T) {
	dir := t.TempDir()
	day := genDay(t, filepath.Join(dir, "a.fix"), "--messages", "300", "--symbols", "3")
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	starts := []int{0}
	for i := 1; i < len(day); i++ {
		if bytes.HasPrefix(day[i:], []byte("8=FIX.4.4\x01")) {
			starts = append(starts, i)
		}
	}
	spoiled := bytes.Clone(day)
	spoiled[starts[100]+40] ^= 1 // its sum is wrong
	headless := bytes.Clone(day)
	headless[starts[100]] = 'x' // it no longer begins like one
	for _, tc := range []struct {
		name  string
		bytes []byte
		lines int
		says  string
	}{
		{"spoiled.fix", spoiled, 299, "places begins one whose length or sum is wrong"},
		{"headless.fix", headless, 299, "bytes belong to no message"},
		{"junk.fix", bytes.Join([][]byte{day[:starts[50]], []byte("garbage\x01\x00"), day[starts[50]:]}, nil), 300, "9 bytes belong to no message"},
		{"cut.fix", day[:len(day)-9], 299, "the file ends within a message"},
	} {
		code, out, errs := command(t, "decode", write(tc.name, tc.bytes))
		if n := strings.Count(out, "\n"); code != exitFailed || n != tc.lines || !strings.Contains(errs, tc.says) {
			t.Errorf("%s: exit %d, %d lines: %s", tc.name, code, n, errs)
		}
	}
	lines := write("lines.fix", bytes.ReplaceAll(day, []byte("8=FIX.4.4\x01"), []byte("\r\n8=FIX.4.4\x01"))[2:])
	if code, out, errs := command(t, "decode", lines); code != exitOK || strings.Count(out, "\n") != 300 || errs != "" {
		t.Errorf("one message a line: exit %d: %s", code, errs)
	}
}

// TestFIXWords: what is typed wrongly is named; what --print-config prints is a configuration.
func TestFIXWords(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"gen", "fix"}, "--out is missing"},
		{[]string{"gen", "fix", "--out", "/dev/null", "--version", "4.3"}, "4.3"},
		{[]string{"gen", "fix", "--out", "/dev/null", "--symbols", "0"}, "--symbols 0: want 1 to 100000"},
		{[]string{"gen", "fix", "--out", "/dev/null", "--levels", "11"}, "--levels 11: want 1 to 10"},
		{[]string{"gen", "fix", "--out", "/dev/null", "--messages", "3"}, "--messages 3: want at least 20"},
		{[]string{"sim", "fix", "--address", "here"}, "here"},
		{[]string{"sim", "fix", "--client", ""}, "client"},
		{[]string{"sim", "fix", "--symbols", "-1"}, "--symbols -1"},
		{[]string{"sim", "fix", "--levels", "99"}, "--levels 99"},
		{[]string{"bench", "fix", "--messages", "1"}, "--messages 1: want 100"},
	} {
		code, out, errs := command(t, tc.args...)
		if code != exitUsage || out != "" || !strings.Contains(errs, tc.want) {
			t.Errorf("%v: exit %d, nothing about %q: %s%s", tc.args, code, tc.want, out, errs)
		}
	}
	code, out, errs := command(t, "sim", "fix", "--print-config", "--address", "127.0.0.1:5300", "--sender", "V", "--client", "C")
	cfg, err := config.Parse([]byte(out), nil)
	if code != exitOK || err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	if x := &cfg.Feed[0].FIX; x.Address != "127.0.0.1:5300" || x.Sender != "C" || x.Target != "V" || !x.List || cfg.Feed[0].Source != "tcp" {
		t.Errorf("%+v", cfg.Feed[0])
	}
	if a := cfg.Serve.FIX.Address; !strings.HasPrefix(a, "127.0.0.1:") {
		t.Errorf("serve.fix listens at %s unless told otherwise: that is not this machine alone", a)
	}
	if len(cfg.Serve.FIX.Clients) != 0 {
		t.Error("there are clients though none is named")
	}
	for text, want := range map[string]string{
		"[feed.fix]\nsender = \"a\"\ntarget = \"b\"\nlist = true":                                                                             "address",
		"[feed.fix]\naddress = \"h:1\"\nlist = true":                                                                                          "sender and target",
		"[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"":                                                                       "nothing to subscribe to",
		"[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"\nlist = true\nversion = \"4.3\"":                                       "version",
		"[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"\nlist = true\nstart = \"08:00:00\"":                                    "start and end",
		"[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"\nlist = true\n[feed.fix.tls]\ncert = \"x\"":                            "cert and key",
		"[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"\nlist = true\n[serve.fix]\nclients = [\"c\"]\nfeed = \"nosuch\"":       "no feed of this configuration",
		"[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"\nlist = true\n[serve.fix]\nclients = [\"c\", \"c\"]":                   "twice",
		"[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"\nlist = true\n[serve.fix]\nfeed = \"f\"":                               "clients",
		"[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"\nlist = true\n[serve.fix]\nclients = [\"c\"]\nstart = \"08:00:00\"":    "start and end",
		"[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"\nlist = true\n[serve.fix]\nclients = [\"c\"]\nresend_bytes = \"1MiB\"": "resend",
		"product = \"nosuch\"\n[feed.fix]\naddress = \"h:1\"\nsender = \"a\"\ntarget = \"b\"\nlist = true":                                    "levels",
	} {
		if _, err := config.Parse(fmt.Appendf(nil, "[[feed]]\nname = \"f\"\nprotocol = \"fix\"\n%s\n", text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nsays nothing about %q: %v", text, want, err)
		}
	}
}
