package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	peer "github.com/google/go-containerregistry/pkg/registry"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// pluginFile writes a module with a manifest, of which more is the rest.
func pluginFile(t *testing.T, dir, name, version, more string) string {
	t.Helper()
	text := fmt.Sprintf(`{"name": %q, "version": %q, "abi": 1, "kinds": [{"kind": "validator", "reads": ["price"]}]%s}`, name, version, more)
	path := filepath.Join(dir, name+"-"+version+".wasm")
	if err := os.WriteFile(path, wasm.AppendCustom([]byte("\x00asm\x01\x00\x00\x00"), manifest.SectionName, []byte(text)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// plugin runs tickwire plugin and wants an exit code and a part of what it writes.
func plugin(t *testing.T, code int, want string, args ...string) string {
	t.Helper()
	got, out, errs := command(t, append([]string{"plugin"}, args...)...)
	if got != code || !strings.Contains(out+errs, want) {
		t.Errorf("plugin %s: exit %d, want %d with %q\n%s%s", strings.Join(args, " "), got, code, want, out, errs)
	}
	return out
}

// TestPluginLife: a set from nothing to rolled back, by commands alone.
func TestPluginLife(t *testing.T) {
	t.Setenv("TICKWIRE_CONFIG", "")
	files, set := t.TempDir(), filepath.Join(t.TempDir(), "set")
	one, two := pluginFile(t, files, "band", "1.0.0", ""), pluginFile(t, files, "band", "1.1.0", "")
	in := func(args ...string) []string { return append(args, "--dir", set) }
	plugin(t, exitOK, "no plugin is installed", in("list")...)
	if out := plugin(t, exitOK, "", in("list", "--json")...); out != "[]\n" {
		t.Errorf("an empty list: %s", out)
	}
	plugin(t, exitOK, "band 1.0.0 is enabled", in("install", one, "--enable")...)
	plugin(t, exitOK, "band 1.1.0 is installed", in("install", two)...)
	plugin(t, exitOK, "band 1.1.0 is enabled", in("enable", "band@^1")...)
	var listed []struct{ Name, Version, State, SHA256, Problem string }
	if err := json.Unmarshal([]byte(plugin(t, exitOK, "", in("list", "--json")...)), &listed); err != nil || len(listed) != 2 || listed[0].State != "enabled" || listed[0].Version != "1.1.0" || len(listed[0].SHA256) != 64 || listed[1].State != "installed" {
		t.Errorf("%+v, %v", listed, err)
	}
	plugin(t, exitOK, "from 1.1.0 back to 1.0.0", in("rollback", "band")...)
	plugin(t, exitFailed, "no earlier version", in("rollback", "band")...)
	plugin(t, exitFailed, "is enabled: disable it first", in("remove", "band")...)
	plugin(t, exitOK, "band is disabled", in("disable", "band")...)
	plugin(t, exitFailed, "band is not enabled", in("disable", "band")...)
	plugin(t, exitOK, "band 1.0.0 is enabled", in("enable", "band")...)
	plugin(t, exitOK, "band@1.1.0 is removed", in("remove", "band@1.1.0")...)
	plugin(t, exitFailed, "is not installed", in("remove", "band@1.1.0")...)
	plugin(t, exitFailed, "is not installed", in("enable", "band@1.1.0")...)
	if err := os.Remove(filepath.Join(set, "band", "1.0.0.wasm")); err != nil {
		t.Fatal(err)
	}
	plugin(t, exitFailed, "its file is gone", in("list")...)
	plugin(t, exitFailed, "its file is gone", in("inspect", "band")...)
	plugin(t, exitOK, "band 1.0.0 is enabled", in("install", one)...) // it was, and its file is back
	plugin(t, exitOK, "enabled", in("list")...)
	plugin(t, exitFailed, "1.2.0 needs band ^2, not 1.0.0", in("install", pluginFile(t, files, "over", "1.2.0", `, "requires": [{"name": "band", "version": "^2"}]`), "--enable")...)
	for _, bad := range [][]string{
		{"enable"}, {"enable", "Band"}, {"enable", "band@newest"}, {"remove", "band@^1"}, {"remove", "../band"}, {"rollback"}, {"install"}, {"frobnicate"}, {"inspect", "Band"}, {"list", "ftp://x/band"}, {"push", one, "band"}, {"pull", "band"},
	} {
		plugin(t, exitUsage, "tickwire: ", bad...)
	}
}

func TestPluginInspect(t *testing.T) {
	t.Setenv("TICKWIRE_CONFIG", "")
	path := pluginFile(t, t.TempDir(), "band", "1.0.0", `, "author": "A desk \u001b[31m", "description": "flags\u202e trades", "requires": [{"name": "map", "version": "^1"}],
		"params": [{"name": "width", "type": "price", "default": 0.01, "min": 0, "max": 5, "description": "of the band"}], "limits": {"memory_pages": 2}`)
	out := plugin(t, exitOK, "", "inspect", path)
	for _, want := range []string{"band 1.0.0", "A desk �[31m", "flags� trades", "reads price", "width price = 0.01, at least 0, at most 5: of the band", "map ^1", "128 KiB", "unsigned", "allowed: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	var v struct {
		Name, Version, SHA256 string
		Policy                struct{ Signature string }
		Manifest              manifest.Manifest
	}
	if err := json.Unmarshal([]byte(plugin(t, exitOK, "", "inspect", path, "--json")), &v); err != nil || v.Name != "band" || v.Policy.Signature != "unsigned" || v.Manifest.Limits.MemoryPages != 2 || len(v.SHA256) != 64 {
		t.Errorf("%+v, %v", v, err)
	}
	granted := filepath.Join(t.TempDir(), "grants.toml")
	if err := os.WriteFile(granted, []byte("[[plugins.grant]]\nplugin = \"map\"\nenv = [\"DESK=secret\"]\n[[plugins.grant.dir]]\npath = \"/srv/maps\"\nat = \"/maps\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	maps := pluginFile(t, t.TempDir(), "map", "1.0.0", `, "wasi": true, "wants": {"dirs": [{"at": "/maps"}], "env": ["DESK"]}`)
	out = plugin(t, exitOK, "", "inspect", maps, "--config", granted)
	for _, want := range []string{"folder /maps (here /srv/maps), to read", "environment variable DESK", "wants", "allowed: "} {
		if !strings.Contains(out, want) || strings.Contains(out, "secret") {
			t.Errorf("%q is not in, or a value is\n%s", want, out)
		}
	}
	plugin(t, exitOK, "REFUSED: it wants folder /maps to read, which no grant of the policy gives it", "inspect", maps)
	plugin(t, exitFailed, "it wants folder /maps", "install", maps, "--dir", t.TempDir())
	plugin(t, exitOK, "band 1.0.0", "inspect", filepath.Dir(path))
	pluginFile(t, filepath.Dir(path), "band", "1.1.0", "")
	plugin(t, exitUsage, "has 2 modules", "inspect", filepath.Dir(path))
	none := filepath.Join(t.TempDir(), "none.wasm")
	if err := os.WriteFile(none, []byte("\x00asm\x01\x00\x00\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	plugin(t, exitFailed, "no manifest", "inspect", none)
	plugin(t, exitFailed, "no such file", "inspect", none+"2.wasm")
}

// TestPluginSigned: keys, signatures, and a configuration that trusts one of two.
func TestPluginSigned(t *testing.T) {
	t.Setenv("TICKWIRE_CONFIG", "")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	word := strings.TrimSpace(plugin(t, exitOK, "ed25519:", "keygen", at("release.key")))
	plugin(t, exitFailed, "is not overwritten", "keygen", at("release.key"))
	plugin(t, exitOK, "ed25519:", "keygen", at("other.key"))
	band := pluginFile(t, dir, "band", "1.0.0", "")
	plugin(t, exitFailed, "signature unsigned", "verify", band)
	plugin(t, exitUsage, "--key is missing", "sign", band)
	plugin(t, exitFailed, "is a public key", "sign", band, "--key", chmod(t, at("release.key.pub"), 0o600))
	plugin(t, exitOK, "is signed by ed25519:", "sign", band, "--key", at("other.key"), "--out", at("others.wasm"))
	plugin(t, exitOK, "is signed by "+word, "sign", band, "--key", at("release.key"))
	plugin(t, exitOK, "signature good, allowed", "verify", band)
	plugin(t, exitOK, "signature good, allowed: signed by "+word, "verify", band, "--key", word)
	plugin(t, exitFailed, "REFUSED: signed by ed25519:", "verify", band, at("others.wasm"), "--key", at("release.key.pub"))
	plugin(t, exitUsage, "no key such as", "verify", band, "--key", at("none"))
	plugin(t, exitFailed, "may be used by others", "sign", band, "--key", chmod(t, at("other.key"), 0o644))

	config := at("tickwire.toml")
	text := fmt.Sprintf("[plugins]\ndir = %q\n[[plugins.key]]\nname = \"release\"\npublic = %q\nplugins = [\"ba*\"]\n", at("set"), word)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	plugin(t, exitFailed, "which is no key of the policy", "install", at("others.wasm"), "--config", config)
	plugin(t, exitFailed, "unsigned; the policy refuses", "install", pluginFile(t, dir, "bare", "1.0.0", ""), "--config", config)
	cap := pluginFile(t, dir, "cap", "1.0.0", "")
	plugin(t, exitOK, "", "sign", cap, "--key", at("release.key"))
	plugin(t, exitFailed, "signed by release, who may not sign cap", "install", cap, "--config", config)
	plugin(t, exitOK, "band 1.0.0 is enabled", "install", band, "--enable", "--config", config)
	plugin(t, exitOK, "release", "list", "--config", config)
	// The policy changes, and what is in use is told to be refused.
	if err := os.WriteFile(config, []byte(strings.Replace(text, "ba*", "ca*", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	plugin(t, exitFailed, "refused: signed by release, who may not sign band", "list", "--config", config)
	if err := os.WriteFile(config, []byte(strings.Replace(text, "ed25519:", "ed25519:x", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	plugin(t, exitUsage, "is no public key", "list", "--config", config)
	damaged, err := os.ReadFile(band)
	if err != nil {
		t.Fatal(err)
	}
	damaged[20] ^= 1
	if err := os.WriteFile(band, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	plugin(t, exitFailed, "signature broken", "verify", band)
}

func chmod(t *testing.T, path string, mode os.FileMode) string {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPluginRegistries: push, list and pull with what is needed, by a folder and by an OCI registry.
func TestPluginRegistries(t *testing.T) {
	t.Setenv("TICKWIRE_CONFIG", "")
	s := httptest.NewServer(peer.New(peer.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	t.Setenv(registryToken, "")
	files := t.TempDir()
	needs := `, "requires": [{"name": "map", "version": "^1"}]`
	for _, at := range []string{"file://" + t.TempDir() + "/", "oci://" + strings.TrimPrefix(s.URL, "http://") + "/desk/"} {
		set := filepath.Join(t.TempDir(), "set")
		for _, path := range []string{pluginFile(t, files, "band", "1.0.0", ""), pluginFile(t, files, "band", "2.0.0", needs), pluginFile(t, files, "map", "1.5.0", ""), pluginFile(t, files, "map", "2.0.0", "")} {
			plugin(t, exitOK, "sha256", "push", path, at, "--plain-http")
		}
		plugin(t, exitFailed, "is band by its manifest", "push", filepath.Join(files, "band-1.0.0.wasm"), at+"bane", "--plain-http")
		if out := plugin(t, exitOK, "", "list", at+"band", "--plain-http"); out != "2.0.0\n1.0.0\n" {
			t.Errorf("list: %s", out)
		}
		out := filepath.Join(t.TempDir(), "out.wasm")
		plugin(t, exitOK, "band 1.0.0 is in", "pull", at+"band@^1", "--out", out, "--plain-http")
		if got, want := read(t, out), read(t, filepath.Join(files, "band-1.0.0.wasm")); got != want {
			t.Errorf("pulled %d bytes, want %d", len(got), len(want))
		}
		plugin(t, exitUsage, "goes with neither", "pull", at+"band", "--out", out, "--enable")
		plugin(t, exitFailed, "band 2.0.0 needs map ^1, which is not there", "pull", at+"band", "--enable", "--dir", set, "--plain-http")
		plugin(t, exitOK, "map 1.5.0 is enabled\nband 2.0.0 is enabled", "pull", at+"band", "--needs", "--enable", "--dir", set, "--plain-http")
		plugin(t, exitFailed, "is not there", "pull", at+"none", "--dir", set, "--plain-http")
	}
	t.Setenv(registryToken, "")
	plugin(t, exitUsage, "wants a password", "list", "http://192.0.2.1/band", "--user", "desk")
	empty := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(empty, []byte("\nsecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	plugin(t, exitUsage, "is empty", "list", "http://192.0.2.1/band", "--secret-file", empty)
	t.Setenv(registryToken, "hush")
	plugin(t, exitFailed, "no credentials are sent", "list", "http://192.0.2.1/band", "--timeout", "10s")
	if _, out, errs := command(t, "plugin", "list", "http://192.0.2.1/band", "--timeout", "10s"); strings.Contains(out+errs, "hush") {
		t.Errorf("the token is shown: %s%s", out, errs)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
