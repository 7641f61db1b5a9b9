package sign

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// module is the least one that has a manifest.
func module(name, version string) []byte {
	m := append([]byte("\x00asm\x01\x00\x00\x00"), 1, 4, 1, 0x60, 0, 0)
	return wasm.AppendCustom(m, manifest.SectionName, fmt.Appendf(nil, `{"name": %q, "version": %q, "abi": 1, "kinds": [{"kind": "validator"}]}`, name, version))
}

// key of a seed: tests are the same each time.
func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func signed(t testing.TB, module []byte, k ed25519.PrivateKey) []byte {
	t.Helper()
	s, err := Sign(module, k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSign(t *testing.T) {
	bare := module("price-band", "1.0.0")
	before := bytes.Clone(bare)
	once := signed(t, bare[:len(bare):len(bare)], key(1))
	if !bytes.Equal(bare, before) || !bytes.HasPrefix(once, bare) || len(once) != len(bare)+3+len(SectionName)+bodyBytes {
		t.Errorf("%d bytes from %d", len(once), len(bare))
	}
	if k, state, why := Verify(once); state != Good || why != nil || !k.Equal(Public(key(1))) {
		t.Errorf("%v, %v, %v", k, state, why)
	}
	if _, state, why := Verify(bare); state != Unsigned || why != nil {
		t.Errorf("unsigned: %v, %v", state, why)
	}
	// Signing again replaces: by the same key the same bytes, by another key that key's.
	if again := signed(t, once, key(1)); !bytes.Equal(again, once) {
		t.Error("signed again, it is another file")
	}
	other := signed(t, once, key(2))
	if k, state, _ := Verify(other); state != Good || !k.Equal(Public(key(2))) || len(other) != len(once) {
		t.Errorf("signed by another: %v", state)
	}
	if stripped, err := Strip(other); err != nil || !bytes.Equal(stripped, bare) {
		t.Errorf("stripped: %v", err)
	}
	// A broken signature is no reason not to sign.
	if k, state, _ := Verify(signed(t, wasm.AppendCustom(once, "more", nil), key(1))); state != Good || !k.Equal(Public(key(1))) {
		t.Errorf("signed over a broken one: %v", state)
	}
}

// TestSignIsRFC8032 checks the scheme by its vector (RFC 8032, 7.3, ed25519ph "abc"), with the same calls and the empty context that it has, and that a
// signature of the plain scheme or of another context does not pass.
func TestSignIsRFC8032(t *testing.T) {
	seed, _ := hex.DecodeString("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42")
	want := "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
	sum := sha512.Sum512([]byte("abc"))
	got, err := ed25519.NewKeyFromSeed(seed).Sign(nil, sum[:], &ed25519.Options{Hash: crypto.SHA512})
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("%x, %v", got, err)
	}
	bare := module("x", "1.0.0")
	sum = sha512.Sum512(bare)
	for name, o := range map[string]*ed25519.Options{"another context": {Hash: crypto.SHA512, Context: "tickwire plugin v2"}, "no context": {Hash: crypto.SHA512}} {
		s, err := key(1).Sign(nil, sum[:], o)
		if err != nil {
			t.Fatal(err)
		}
		m := wasm.AppendCustom(bytes.Clone(bare), SectionName, append(bytes.Clone(Public(key(1))), s...))
		if _, state, _ := Verify(m); state != Broken {
			t.Errorf("%s: %v", name, state)
		}
	}
	m := wasm.AppendCustom(bytes.Clone(bare), SectionName, append(bytes.Clone(Public(key(1))), ed25519.Sign(key(1), bare)...))
	if _, state, _ := Verify(m); state != Broken {
		t.Errorf("the plain scheme: %v", state)
	}
}

// TestTampering: no bit of a signed module can change, no byte be added or go, and the signature still be good.
func TestTampering(t *testing.T) {
	good := signed(t, module("price-band", "1.0.0"), key(1))
	section := len(good) - bodyBytes - len(SectionName) - 3
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			_, state, why := Verify(bad)
			if state == Good || state == Broken && why == nil {
				t.Errorf("byte %d bit %d: %v, %v", i, bit, state, why)
			}
			// As far as tampering gets is to hide the signature: its name is another, or a section before it takes it in.
			if body, err := wasm.Custom(bad, SectionName); state == Unsigned && (body != nil || err != nil) {
				t.Errorf("byte %d bit %d: taken as unsigned", i, bit)
			}
		}
		if _, state, _ := Verify(append(bytes.Clone(good[:i]), good[i+1:]...)); state == Good {
			t.Errorf("without byte %d: good", i)
		}
		if _, state, _ := Verify(good[:i]); state == Good {
			t.Errorf("the first %d bytes: good", i)
		}
	}
	two := wasm.AppendCustom(bytes.Clone(good), SectionName, good[len(good)-bodyBytes:])
	padded := bytes.Clone(good[:section]) // the section's size in one byte more
	padded = append(padded, 0, good[section+1]|0x80, 0)
	padded = append(padded, good[section+2:]...)
	if good[section] != 0 || good[section+1] >= 0x80 {
		t.Fatal("the section does not begin where this test thinks")
	}
	for name, tc := range map[string]struct {
		module []byte
		want   string
	}{
		"a byte behind":         {append(bytes.Clone(good), 0), "longer than the module"},
		"a section behind":      {wasm.AppendCustom(bytes.Clone(good), "name", nil), "behind the signature"},
		"a code section behind": {append(bytes.Clone(good), 10, 1, 0), "behind the signature"},
		"two signatures":        {two, "a second signature"},
		"a short signature":     {wasm.AppendCustom(module("x", "1.0.0"), SectionName, make([]byte, bodyBytes-1)), "95 bytes, want 96"},
		"a long signature":      {wasm.AppendCustom(module("x", "1.0.0"), SectionName, make([]byte, bodyBytes+1)), "97 bytes, want 96"},
		"zeros":                 {wasm.AppendCustom(module("x", "1.0.0"), SectionName, make([]byte, bodyBytes)), "not that of these bytes"},
		"a size in two bytes":   {padded, "fewest bytes"},
		"another's signature":   {append(module("price-bane", "1.0.0"), good[section:]...), "not that of these bytes"},
		"no module":             {[]byte("hello, I am a plugin"), "not a WebAssembly module"},
	} {
		if _, state, why := Verify(tc.module); state != Broken || !strings.Contains(fmt.Sprint(why), tc.want) {
			t.Errorf("%s: %v, %v; want broken, %q", name, state, why, tc.want)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	for name, m := range map[string][]byte{"no module": []byte("x"), "no manifest": []byte("\x00asm\x01\x00\x00\x00"), "broken": append(module("x", "1.0.0"), 1)} {
		if s, err := Sign(m, key(1)); err == nil {
			t.Errorf("%s is signed: %x", name, s)
		}
	}
	if _, err := Sign(module("x", "1.0.0"), key(1)[:32]); err == nil {
		t.Error("half a key signs")
	}
}

func TestKeyFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "release.key")
	made, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteKey(path, made); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if read, err := ReadKey(path); err != nil || !read.Equal(made) {
		t.Errorf("read back: %v", err)
	}
	for _, text := range []string{path + ".pub", Word(Public(made))} {
		if public, err := ReadPublic(text); err != nil || !public.Equal(Public(made)) {
			t.Errorf("%s: %v", text, err)
		}
	}
	other, _ := NewKey()
	if err := WriteKey(path, other); err == nil {
		t.Error("a key is overwritten")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := WriteKey(path, other); err == nil {
		t.Error("a public key is overwritten")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a private key stays without its public one")
	}
}

// TestOpenSSLKeys: keys of openssl are ours, and ours are openssl's.
func TestOpenSSLKeys(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed: keys are not compared with its")
	}
	dir := t.TempDir()
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	do := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	do("genpkey", "-algorithm", "ed25519", "-out", theirs)
	do("pkey", "-in", theirs, "-pubout", "-out", theirs+".pub")
	if err := os.Chmod(theirs, 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := ReadKey(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if public, err := ReadPublic(theirs + ".pub"); err != nil || !public.Equal(Public(k)) {
		t.Errorf("openssl's public key: %v", err)
	}
	if err := WriteKey(ours, k); err != nil {
		t.Fatal(err)
	}
	do("pkey", "-in", ours, "-pubout", "-out", filepath.Join(dir, "again"))
	a, _ := os.ReadFile(filepath.Join(dir, "again"))
	b, _ := os.ReadFile(ours + ".pub")
	if len(a) == 0 || !bytes.Equal(a, b) {
		t.Errorf("openssl makes of our key\n%swe\n%s", a, b)
	}
}

func TestKeyFilesRefused(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if err := WriteKey(good, key(1)); err != nil {
		t.Fatal(err)
	}
	secret, _ := os.ReadFile(good)
	put := func(name string, mode os.FileMode, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
		return path
	}
	rsa := "-----BEGIN PRIVATE KEY-----\nMFECAQEwBQYDK2VxBEEA\n-----END PRIVATE KEY-----\n"
	for _, tc := range []struct{ path, want string }{
		{put("group", 0o640, string(secret)), "mode 0640"},
		{put("all", 0o604, string(secret)), "mode 0604"},
		{put("written", 0o602, string(secret)), "mode 0602"},
		{put("empty", 0o600, ""), "no PEM"},
		{put("rsa", 0o600, rsa), "no ed25519 key"},
		{put("cut", 0o600, string(secret[:len(secret)/2])), "no PEM"},
		{put("cert", 0o600, strings.ReplaceAll(string(secret), "PRIVATE KEY", "CERTIFICATE")), `holds "CERTIFICATE"`},
		{dir, "is no file"},
		{filepath.Join(dir, "none"), "no such file"},
	} {
		_, err := ReadKey(tc.path)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", filepath.Base(tc.path), err, tc.want)
		} else if body := strings.Split(string(secret), "\n")[1]; strings.Contains(err.Error(), body) {
			t.Errorf("%s: the error shows the key", filepath.Base(tc.path))
		}
	}
	public, _ := os.ReadFile(good + ".pub")
	if _, err := ReadKey(put("public", 0o600, string(public))); err == nil || !strings.Contains(err.Error(), "is a public key") {
		t.Errorf("a public key as a private one: %v", err)
	}
	for _, tc := range []struct{ text, want string }{
		{good, "is a private key"}, {"", "no such file"}, {"ed25519:", "32 bytes"}, {"ed25519:AAAA", "32 bytes"}, {"ed25519:*", "32 bytes"}, {Word(Public(key(1))) + "\n", "32 bytes"}, {Word(Public(key(1))) + "AAAA", "32 bytes"},
	} {
		if _, err := ReadPublic(tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("public key %q: %v, want %q", tc.text, err, tc.want)
		}
	}
}

func TestPolicy(t *testing.T) {
	release, desk := Key{Name: "release", Public: Word(Public(key(1)))}, Key{Name: "desk", Public: Word(Public(key(2))), Plugins: []string{"desk-*", "price-band"}}
	bare := module("price-band", "1.0.0")
	desks, not := signed(t, module("desk-x", "1.0.0"), key(2)), signed(t, module("not-desk-x", "1.0.0"), key(2))
	broken := append(bytes.Clone(desks), 0)
	for _, tc := range []struct {
		name    string
		policy  Policy
		module  []byte
		allowed bool
		reason  string
	}{
		{"the zero value, unsigned", Policy{}, bare, true, "unsigned; the policy allows"},
		{"the zero value, signed", Policy{}, desks, true, "which is no key of the policy; the policy allows"},
		{"the zero value, broken", Policy{}, broken, false, "longer than the module"},
		{"refuse, unsigned", Policy{Unsigned: Refuse}, bare, false, "unsigned; the policy refuses"},
		{"keys, unsigned", Policy{Keys: []Key{release}}, bare, false, "unsigned; the policy refuses"},
		{"keys and allow, unsigned", Policy{Unsigned: Allow, Keys: []Key{release}}, bare, true, "allows"},
		{"keys, a stranger's", Policy{Keys: []Key{release}}, desks, false, "signed by " + Word(Public(key(2))) + ", which is no key"},
		{"keys and allow, a stranger's", Policy{Unsigned: Allow, Keys: []Key{release}}, desks, true, "which is no key"},
		{"any name", Policy{Keys: []Key{desk, release}}, signed(t, bare, key(1)), true, "signed by release"},
		{"a pattern", Policy{Keys: []Key{release, desk}}, desks, true, "signed by desk"},
		{"a name", Policy{Keys: []Key{release, desk}}, signed(t, bare, key(2)), true, "signed by desk"},
		{"another name", Policy{Keys: []Key{release, desk}}, not, false, "signed by desk, who may not sign not-desk-x, only"},
		{"another name, though unsigned is allowed", Policy{Unsigned: Allow, Keys: []Key{desk}}, not, false, "may not sign"},
		{"broken, though unsigned is allowed", Policy{Unsigned: Allow, Keys: []Key{desk}}, broken, false, "longer"},
		{"no manifest", Policy{}, []byte("\x00asm\x01\x00\x00\x00"), false, "no manifest"},
		{"no module", Policy{Unsigned: Allow}, []byte("MZ"), false, "not a WebAssembly module"},
	} {
		if err := tc.policy.Validate(); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		v := tc.policy.Check(tc.module)
		if v.Allowed != tc.allowed || !strings.Contains(v.Reason, tc.reason) {
			t.Errorf("%s: %+v; want %v, %q", tc.name, v, tc.allowed, tc.reason)
		}
		if err := v.Err(); (err == nil) != tc.allowed || err != nil && !strings.Contains(err.Error(), v.Reason) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestPolicyValidate(t *testing.T) {
	p := Policy{Unsigned: "maybe", Keys: []Key{{Public: "ed25519:x"}, {Name: "a", Public: Word(Public(key(1))), Plugins: []string{"[a"}}, {Name: "a", Public: Word(Public(key(1)))}}}
	err := fmt.Sprint(p.Validate())
	for _, want := range []string{`unsigned "maybe"`, "key[0]: name is missing", "key[0] (): sign:", `key[1] (a): "[a"`, `key[2]: a second "a"`, "key[2] (a): the same key as a"} {
		if !strings.Contains(err, want) {
			t.Errorf("%q is not in\n%s", want, err)
		}
	}
	// A policy that did not validate trusts no key by accident: an unread key is no key at all.
	if v := p.Check(signed(t, module("x", "1.0.0"), key(9))); v.Allowed {
		t.Errorf("%+v", v)
	}
}

// TestGrants: a module gets what grants to its name and its signer say, and does not load without what it wants.
func TestGrants(t *testing.T) {
	t.Setenv("TICKWIRE_TEST_REGION", "east")
	p := Policy{Unsigned: Allow, Keys: []Key{{Name: "release", Public: Word(Public(key(1)))}}, Grants: []Grant{
		{Plugin: "map-*", Dir: []Dir{{Path: "/srv/maps", At: "/maps"}}, Env: []string{"DESK=ny", "TICKWIRE_TEST_REGION", "TICKWIRE_TEST_NOT_THERE"}},
		{Plugin: "map-?", Signer: "release", Dir: []Dir{{Path: "/srv/out", Write: true}, {Path: "/elsewhere", At: "/maps", Write: true}}, Env: []string{"DESK=second"}},
	}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	bare := module("map-a", "1.0.0")
	if g := p.Granted(bare); len(g.Dirs) != 1 || g.Dirs[0] != (Dir{"/srv/maps", "/maps", false}) || fmt.Sprint(g.Environ()) != "[DESK=ny TICKWIRE_TEST_REGION=east]" {
		t.Errorf("unsigned: %+v, %q", g, g.Environ())
	}
	if g := p.Granted(signed(t, bare, key(2))); len(g.Dirs) != 1 {
		t.Errorf("a stranger's: %+v", g)
	}
	if g := p.Granted(append(signed(t, bare, key(1)), 0)); len(g.Dirs) != 0 {
		t.Errorf("a broken signature: %+v", g)
	}
	v := p.Check(signed(t, bare, key(1)))
	if want := "[folder /maps (here /srv/maps), to read folder /srv/out (here /srv/out), to read and write environment variable DESK environment variable TICKWIRE_TEST_REGION, as this process has it environment variable TICKWIRE_TEST_NOT_THERE, as this process has it]"; !v.Allowed || fmt.Sprint(v.Granted) != want {
		t.Errorf("signed: %+v", v)
	}
	if g := p.Granted(module("other", "1.0.0")); len(g.Dirs)+len(g.Env) != 0 {
		t.Errorf("another name: %+v", g)
	}
	// What does not load is granted nothing, since tools run it all the same: what nobody known has signed, and what its signer may not sign.
	strict := Policy{Keys: []Key{{Name: "release", Public: Word(Public(key(1))), Plugins: []string{"bars-*"}}}, Grants: []Grant{
		{Plugin: "map-*", Dir: []Dir{{Path: "/srv/maps", Write: true}}}, {Plugin: "*", Signer: "release", Env: []string{"DESK=ny"}},
	}}
	if err := strict.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string][]byte{"unsigned": bare, "a stranger's": signed(t, bare, key(2)), "one that its signer may not sign": signed(t, bare, key(1))} {
		if g := strict.Granted(m); len(g.Dirs)+len(g.Env) != 0 {
			t.Errorf("refused, since it is %s: %+v", name, g)
		}
	}
	if g := strict.Granted(signed(t, module("bars-a", "1.0.0"), key(1))); len(g.Env) != 1 {
		t.Errorf("what loads: %+v", g)
	}
	for wants, want := range map[string]string{
		`{"dirs": [{"at": "/maps"}], "env": ["DESK"]}`: "",
		`{"dirs": [{"at": "/maps", "write": true}]}`:   "it wants folder /maps to write to, which no grant",
		`{"dirs": [{"at": "/other"}]}`:                 "it wants folder /other to read, which no grant",
		`{"env": ["SECRET"]}`:                          "it wants environment variable SECRET, which no grant",
	} {
		m := wasm.AppendCustom([]byte("\x00asm\x01\x00\x00\x00"), manifest.SectionName,
			[]byte(`{"name": "map-a", "version": "1.0.0", "abi": 1, "wasi": true, "kinds": [{"kind": "validator"}], "wants": `+wants+`}`))
		if v := p.Check(m); v.Allowed != (want == "") || !strings.Contains(v.Reason, want) {
			t.Errorf("%s: %+v", wants, v)
		}
	}
	bad := Policy{Grants: []Grant{
		{}, {Plugin: "[a", Signer: "nobody"}, {Plugin: "a", Dir: []Dir{{Path: "maps"}, {Path: "/x", At: "/a/../b"}, {Path: "/x", At: "/y"}, {Path: "/z", At: "/y"}}, Env: []string{"=x", "A=1", "A=2", "B=\x00"}},
		{Plugin: "b", Dir: make([]Dir, MostDirs+1)},
	}}
	err := fmt.Sprint(bad.Validate())
	for _, want := range []string{
		"grant[0] (): plugin is missing", `grant[1] ([a): "[a" is no pattern`, `signer "nobody" is no key`, `dir[0]: path "maps"`, `dir[1]: at "/a/../b"`, "dir[3]: a second folder at /y", "env[0]: want NAME",
		"env[2]: a second A", "env[3]: want NAME", "17 folders",
	} {
		if !strings.Contains(err, want) {
			t.Errorf("%q is not in\n%s", want, err)
		}
	}
}

// FuzzVerify: of bytes that nobody signed only those that key 1 signed are good, and nothing panics. What verifies can be signed again.
func FuzzVerify(f *testing.F) {
	good := signed(f, module("price-band", "1.0.0"), key(1))
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(module("x", "1.0.0"))
	f.Add(append(bytes.Clone(good), good[len(good)-bodyBytes-len(SectionName)-3:]...))
	f.Fuzz(func(t *testing.T, m []byte) {
		k, state, why := Verify(m)
		switch {
		case (state == Good) != (k != nil) || (state == Broken) != (why != nil):
			t.Fatalf("%v, %v, %v", k, state, why)
		case state == Good && k.Equal(Public(key(1))) && !bytes.Equal(m, good):
			t.Fatal("a forgery")
		}
		var p Policy
		if v := p.Check(m); v.Allowed && (state == Broken || v.Plugin == "") {
			t.Fatalf("%+v", v)
		}
		if s, err := Sign(m, key(2)); err == nil {
			if k, state, why := Verify(s); state != Good || !k.Equal(Public(key(2))) {
				t.Fatalf("signed: %v, %v", state, why)
			}
		}
	})
}

// FuzzKeys: a file of any bytes is a key that is written and read back, or an error.
func FuzzKeys(f *testing.F) {
	path := filepath.Join(f.TempDir(), "key")
	if err := WriteKey(path, key(1)); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{path, path + ".pub"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(Word(Public(key(1)))))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if public, err := ReadPublic(wordPrefix + strings.TrimPrefix(string(text), wordPrefix)); err == nil && Word(public) != wordPrefix+strings.TrimPrefix(string(text), wordPrefix) {
			t.Errorf("%q is %s", text, Word(public))
		}
		path := filepath.Join(dir, "key")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if k, err := ReadKey(path); err == nil && len(k) != ed25519.PrivateKeySize {
			t.Errorf("a key of %d bytes", len(k))
		}
		if k, err := ReadPublic(path); err == nil && len(k) != ed25519.PublicKeySize {
			t.Errorf("a public key of %d bytes", len(k))
		}
	})
}
