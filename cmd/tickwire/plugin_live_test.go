package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/testguest"
)

// TestLivePlugins: the commands for a running feed's plugins, and what they say.
func TestLivePlugins(t *testing.T) {
	dir := t.TempDir()
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := socket.LocalAddr().(*net.UDPAddr).Port
	_ = socket.Close()
	module := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := module("m.wasm", testguest.Mark("mark", "1.0.0", 1, 0))
	file := filepath.Join(dir, "t.toml")
	text := fmt.Sprintf("[instance]\nname = \"t\"\nring_dir = %[1]q\nrun_dir = %[1]q\n[plugins]\ncache_dir = %[2]q\n[[feed]]\nname = \"nq\"\n[[feed.channel]]\n[[feed.channel.line]]\ninterface = \"lo\"\ngroup = \"239.255.72.11:%[3]d\"\n",
		dir, filepath.Join(dir, "cache"), port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	say := func(code int, want string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(append(append([]string{"plugin"}, args...), "--config", file), strings.NewReader(""), &out, &errs); got != code {
			t.Errorf("%v: exit code %d, want %d: %s%s", args, got, code, out.String(), errs.String())
		}
		if all := out.String() + errs.String(); !strings.Contains(all, want) {
			t.Errorf("%v: %q, want %q", args, all, want)
		}
		return out.String()
	}
	say(exitFailed, "the process does not run", "status")

	cfg, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Open(cfg, &cfg.Feed[0], slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	say(exitOK, "no plugins", "status")
	say(exitOK, "mark 1.0.0: loaded\ntried on 88 rows (made up, since the feed had none to show)", "load", path)
	say(exitFailed, "mark is loaded", "load", path)
	say(exitFailed, `no parameter "x"`, "load", path, "--param", "x=1")
	say(exitUsage, "want name=value", "load", path, "--param", "x")
	say(exitUsage, "no feed is named", "load", path, "--feed", "other")
	say(exitOK, "run already", "reload", "mark")
	module("m.wasm", testguest.Mark("mark", "1.1.0", 2, 0))
	say(exitOK, "mark: 1.1.0 in the place of 1.0.0", "reload", "mark")
	say(exitOK, "custom column 0: mark (i64, of mark)", "status")
	say(exitOK, "before it: 1.0.0", "status", "--feed", "nq")
	var s lifecycle.Status
	if err := json.Unmarshal([]byte(say(exitOK, `"lane":"0","plugin":"mark","version":"1.1.0","rows":0,`, "status", "--json")), &s); err != nil || len(s.Plugins) != 1 || s.Plugins[0].Source != path {
		t.Errorf("%+v, %v", s, err)
	}
	say(exitOK, "mark: 1.0.0 in the place of 1.1.0", "rollback", "mark", "--feed", "nq")
	say(exitFailed, "is not loaded", "unload", "none")
	say(exitOK, "mark 1.0.0: unloaded", "unload", "mark")
	say(exitFailed, "none is", "reload", "mark")
}

// TestCompileCommand: what a feed calls to have a module compiled tells by its exit code and in words.
func TestCompileCommand(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	var out, errs bytes.Buffer
	if code := run([]string{pluginCompile, cache}, bytes.NewReader(testguest.Mark("mark", "1.0.0", 1, 0)), &out, &errs); code != exitOK {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) == 0 {
		t.Errorf("the cache has %v, %v", left, err)
	}
	errs.Reset()
	if code := run([]string{pluginCompile, cache}, strings.NewReader("nothing"), &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "not a WebAssembly module") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// TestConfigCheckReadsPlugins: a configuration whose plugins do not load is wrong.
func TestConfigCheckReadsPlugins(t *testing.T) {
	dir := t.TempDir()
	check := func(code int, want, feed string) {
		t.Helper()
		file := filepath.Join(dir, "c.toml")
		text := fmt.Sprintf("[instance]\nname = \"t\"\n[plugins]\ncache_dir = %q\n[[feed]]\nname = \"nq\"\nsource = \"file\"\npath = \"/x.pcap\"\n%s", filepath.Join(dir, "cache"), feed)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if got := run([]string{"config", "check", file}, strings.NewReader(""), &out, &errs); got != code || !strings.Contains(out.String()+errs.String(), want) {
			t.Errorf("%s: exit code %d, %s%s; want %d, %q", feed, got, out.String(), errs.String(), code, want)
		}
	}
	path := filepath.Join(dir, "m.wasm")
	if err := os.WriteFile(path, testguest.Mark("mark", "1.0.0", 1, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("../../plugins/examples")
	if err != nil {
		t.Fatal(err)
	}
	check(exitOK, "good", fmt.Sprintf("[[feed.plugin]]\npath = %q", path))
	check(exitOK, "good", fmt.Sprintf("protocol = \"acme\"\nproduct = \"orders\"\n[[feed.plugin]]\npath = %q", filepath.Join(examples, "acme")))
	check(exitOK, "good", fmt.Sprintf("[[serve.plugin]]\npath = %q", filepath.Join(examples, "vwap")))
	check(exitUsage, "config: serve: plugin vwap: no parameter", fmt.Sprintf("[[serve.plugin]]\npath = %q\nparams = { x = 1 }", filepath.Join(examples, "vwap")))
	check(exitUsage, "no such file", fmt.Sprintf("[[feed.plugin]]\npath = %q", path+"x"))
	check(exitUsage, "neither path nor name", "[[feed.plugin]]\nmax_failures = 1")
	check(exitUsage, `on_trap = "stop"`, fmt.Sprintf("[[feed.plugin]]\npath = %q\non_trap = \"stop\"", path))
	check(exitUsage, `"acme" is none of ours`, fmt.Sprintf("protocol = \"acme\"\n[[feed.plugin]]\npath = %q", path))
	check(exitUsage, "there is nothing that a feed's rows could pass", fmt.Sprintf("[[feed.plugin]]\npath = %q", filepath.Join(examples, "vwap")))
	check(exitUsage, "nobody knows how to ask them", fmt.Sprintf("protocol = \"acme\"\n[[feed.plugin]]\npath = %q\n[feed.recovery]\nservers = [\"1.2.3.4:5\"]", filepath.Join(examples, "acme")))
}
