package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	peer "github.com/google/go-containerregistry/pkg/registry"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/file"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// module of a name and version that needs others ("c ^1"); salt makes another of them.
func module(name, version, salt string, needs ...string) []byte {
	requires := []string{}
	for _, n := range needs {
		of, within, _ := strings.Cut(n, " ")
		requires = append(requires, fmt.Sprintf(`{"name": %q, "version": %q}`, of, within))
	}
	m := wasm.AppendCustom([]byte("\x00asm\x01\x00\x00\x00"), manifest.SectionName, fmt.Appendf(nil,
		`{"name": %q, "version": %q, "abi": 1, "kinds": [{"kind": "validator"}], "requires": [%s]}`, name, version, strings.Join(requires, ",")))
	return wasm.AppendCustom(m, "salt", []byte(salt))
}

const secret = "correct-horse-battery"

// fileServer serves a folder by GET and PUT, as a web server with WebDAV does. With tags it knows ETag, If-Match and If-None-Match.
type fileServer struct {
	root  string
	tags  bool
	token string // wanted as a bearer, if not empty
	mu    sync.Mutex
	slow  func(r *http.Request)
}

func (s *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.slow != nil {
		s.slow(r)
	}
	if s.token != "" && r.Header.Get("Authorization") != "Bearer "+s.token {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.root, filepath.FromSlash(r.URL.Path))
	had, err := os.ReadFile(path)
	tag := fmt.Sprintf(`"%x"`, entryOf(had).SHA256)
	switch r.Method {
	case http.MethodGet:
		if err != nil {
			http.NotFound(w, r)
			return
		}
		if s.tags {
			w.Header().Set("ETag", tag)
		}
		_, _ = w.Write(had)
	case http.MethodPut:
		none, match := r.Header.Get("If-None-Match"), r.Header.Get("If-Match")
		if s.tags && (none == "*" && err == nil || match != "" && (err != nil || match != tag)) {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		body, _ := io.ReadAll(r.Body)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, body, 0o644)); err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// guarded lets in who has what the distribution specification's token scheme, or basic authentication, gives.
func guarded(next http.Handler, basic bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, isBasic := r.BasicAuth()
		switch {
		case r.URL.Path == "/token":
			if user != "desk" || password != secret {
				http.Error(w, "wrong", http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"token": "short-lived for " + r.URL.Query().Get("scope")})
		case basic && isBasic && user == "desk" && password == secret:
			next.ServeHTTP(w, r)
		case !basic && strings.HasPrefix(r.Header.Get("Authorization"), "Bearer short-lived for repository:desk/"), r.Header.Get("Authorization") == "Bearer "+secret:
			next.ServeHTTP(w, r)
		default:
			challenge := `Basic realm="plugins"`
			if !basic {
				scope := "repository:" + strings.TrimPrefix(r.URL.Path, "/v2/")
				if i := strings.Index(scope, "/blobs/"); i > 0 {
					scope = scope[:i]
				}
				challenge = fmt.Sprintf(`Bearer realm="http://%s/token",service="plugins",scope="%s:pull,push"`, r.Host, scope)
			}
			w.Header().Set("WWW-Authenticate", challenge)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`, http.StatusUnauthorized)
		}
	})
}

func ociPeer() http.Handler { return peer.New(peer.Logger(log.New(io.Discard, "", 0))) }

func serve(t *testing.T, h http.Handler) (host string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// distribution starts Debian's docker-registry, the reference implementation, on the loopback interface, if it is installed.
func distribution(t *testing.T) (host string) {
	t.Helper()
	binary, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed (Debian package docker-registry): the artifact is not tried on it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host = l.Addr().String()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: %q}\nhttp: {addr: %q}\n", dir, host)
	if err := errors.Join(os.WriteFile(config, []byte(text), 0o644), l.Close()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(binary, "serve", config)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get("http://" + host + "/v2/"); err == nil {
			_ = resp.Body.Close()
			return host
		}
		if time.Now().After(end) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("docker-registry does not answer: %s", out.String())
		}
	}
}

// TestRegistries: the same for every kind of place, against real servers.
func TestRegistries(t *testing.T) {
	tlsServer := func(t *testing.T, h http.Handler) (host string, ca []byte) {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "https://"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	}
	for _, tc := range []struct {
		name string
		make func(t *testing.T) (Client, string) // the client, and the address of a folder of plugins
	}{
		{"folder", func(t *testing.T) (Client, string) { return Client{}, "file://" + t.TempDir() + "/deep/er" }},
		{"web", func(t *testing.T) (Client, string) {
			return Client{}, "http://" + serve(t, &fileServer{root: t.TempDir(), tags: true}) + "/a%20desk"
		}},
		{"web without preconditions", func(t *testing.T) (Client, string) {
			return Client{}, "http://" + serve(t, &fileServer{root: t.TempDir()})
		}},
		{"web with TLS and a token", func(t *testing.T) (Client, string) {
			host, ca := tlsServer(t, &fileServer{root: t.TempDir(), tags: true, token: secret})
			return Client{CA: ca, Secret: secret}, "https://" + host + "/desk"
		}},
		{"OCI", func(t *testing.T) (Client, string) {
			return Client{PlainHTTP: true}, "oci://" + serve(t, ociPeer()) + "/desk"
		}},
		{"OCI with TLS", func(t *testing.T) (Client, string) {
			host, ca := tlsServer(t, ociPeer())
			return Client{CA: ca}, "oci://" + host + "/desk/deep"
		}},
		{"OCI, basic", func(t *testing.T) (Client, string) {
			return Client{PlainHTTP: true, User: "desk", Secret: secret}, "oci://" + serve(t, guarded(ociPeer(), true)) + "/desk"
		}},
		{"OCI, a token of the token server", func(t *testing.T) (Client, string) {
			return Client{PlainHTTP: true, User: "desk", Secret: secret}, "oci://" + serve(t, guarded(ociPeer(), false)) + "/desk"
		}},
		{"OCI, a token of one's own", func(t *testing.T) (Client, string) {
			return Client{PlainHTTP: true, Secret: secret}, "oci://" + serve(t, guarded(ociPeer(), false)) + "/desk"
		}},
		{"OCI, docker-registry", func(t *testing.T) (Client, string) {
			return Client{PlainHTTP: true}, "oci://" + distribution(t) + "/desk"
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, at := tc.make(t)
			suite(t, &c, at)
			if c.Secret == "" {
				return
			}
			bad := c
			bad.Secret = "wrong-" + secret
			r, _ := ParseRef(at + "/band")
			for _, bad := range []*Client{&bad, {CA: c.CA, PlainHTTP: c.PlainHTTP}} {
				_, _, err := bad.Pull(t.Context(), r)
				if err == nil || !strings.Contains(err.Error(), "credentials") || strings.Contains(err.Error(), secret) {
					t.Errorf("with wrong credentials, or none: %v", err)
				}
				if _, err := bad.Push(t.Context(), r, module("band", "9.0.0", "")); err == nil || strings.Contains(err.Error(), secret) {
					t.Errorf("push with wrong credentials, or none: %v", err)
				}
			}
		})
	}
}

func suite(t *testing.T, c *Client, at string) {
	ctx := t.Context()
	ref := func(behind string) Ref {
		t.Helper()
		r, err := ParseRef(at + "/" + behind)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if _, _, err := c.Pull(ctx, ref("band")); !errors.Is(err, ErrNotFound) {
		t.Errorf("pull from nothing: %v", err)
	}
	if _, err := c.List(ctx, ref("band")); !errors.Is(err, ErrNotFound) {
		t.Errorf("list of nothing: %v", err)
	}
	for _, v := range []string{"1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1", "1.0.1+build.5", "1.0.1+build.4", "0.9.0"} {
		e, err := c.Push(ctx, ref("band"), module("band", v, ""))
		if err != nil {
			t.Fatal(err)
		}
		if want := entryOf(module("band", v, "")); e.Version != v || e.SHA256 != want.SHA256 || e.Bytes != want.Bytes {
			t.Errorf("%+v", e)
		}
	}
	if _, err := c.Push(ctx, ref("band@1.0.0"), module("band", "1.0.0", "")); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if _, err := c.Push(ctx, ref("band"), module("band", "1.0.0", "other")); !errors.Is(err, ErrOtherBytes) {
		t.Errorf("other bytes: %v", err)
	}
	if _, err := c.Push(ctx, ref("band@1.0.0"), module("band", "1.0.2", "")); err == nil || !strings.Contains(err.Error(), "version 1.0.2 by its manifest") {
		t.Errorf("another version: %v", err)
	}
	if _, err := c.Push(ctx, ref("bane"), module("band", "1.0.2", "")); err == nil || !strings.Contains(err.Error(), "is band by its manifest") {
		t.Errorf("another name: %v", err)
	}
	if _, err := c.Push(ctx, ref("band"), []byte("no module")); err == nil {
		t.Error("no module is pushed")
	}
	list := func(behind string) string {
		t.Helper()
		all, err := c.List(ctx, ref(behind))
		if err != nil {
			t.Fatal(err)
		}
		var versions []string
		for _, e := range all {
			versions = append(versions, e.Version)
		}
		return strings.Join(versions, " ")
	}
	if got := list("band"); got != "1.10.0 1.9.0 1.0.1+build.5 1.0.1+build.4 1.0.0 0.9.0 2.0.0-rc.1" {
		t.Errorf("list: %s", got)
	}
	if got := list("band@<1.9"); got != "1.0.1+build.5 1.0.1+build.4 1.0.0 0.9.0" {
		t.Errorf("list of a range: %s", got)
	}
	for behind, want := range map[string]string{"band": "1.10.0", "band@^1": "1.10.0", "band@1.0": "1.0.1+build.5", "band@1.0.0": "1.0.0", "band@1.0.1+build.4": "1.0.1+build.4", "band@>=1.10.1": "2.0.0-rc.1", "band@<1": "0.9.0"} {
		m, e, err := c.Pull(ctx, ref(behind))
		if err != nil || e.Version != want || !bytes.Equal(m, module("band", want, "")) || e.SHA256 != entryOf(m).SHA256 {
			t.Errorf("pull %s: %+v, %v; want %s", behind, e, err, want)
		}
	}
	if _, _, err := c.Pull(ctx, ref("band@^3")); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "band@^3") {
		t.Errorf("pull what is not there: %v", err)
	}
	for _, m := range [][]byte{module("a", "1.0.0", ""), module("a", "2.0.0", "", "b ^1", "c *"), module("b", "1.0.0", "", "c <2"), module("c", "1.5.0", ""), module("c", "2.0.0", ""), module("d", "1.0.0", "", "none ^1")} {
		name := manifestName(t, m)
		if _, err := c.Push(ctx, ref(name), m); err != nil {
			t.Fatal(err)
		}
	}
	set, err := c.Resolve(ctx, ref("a@^2"))
	var chosen []string
	for _, r := range set {
		chosen = append(chosen, r.Name+"@"+r.Range)
	}
	if got := strings.Join(chosen, " "); err != nil || got != "c@1.5.0 b@1.0.0 a@2.0.0" || set[0].Host != ref("a").Host || set[0].Path != ref("a").Path {
		t.Errorf("what a needs: %s, %v", got, err)
	}
	if _, err := c.Resolve(ctx, ref("d")); err == nil || !strings.Contains(err.Error(), "d 1.0.0 needs none ^1; there is no none") {
		t.Errorf("what d needs: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := c.Pull(done, ref("band")); err == nil && !strings.HasPrefix(at, "file:") {
		t.Error("a call that was given up goes on")
	}
}

func manifestName(t *testing.T, module []byte) string {
	t.Helper()
	m, err := manifest.Of(module)
	if err != nil {
		t.Fatal(err)
	}
	return m.Name
}

func TestParseRef(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Ref
		back string // String, if it is not the text
	}{
		{"file:///srv/plugins/band@^1.2", Ref{"file", "", "/srv/plugins", "band", "^1.2"}, ""},
		{"file:///band", Ref{"file", "", "/", "band", ""}, ""},
		{"file:///srv/a@b:c/../d/band", Ref{"file", "", "/srv/d", "band", ""}, "file:///srv/d/band"},
		{"https://host/path/to/band@>=1.2 <2", Ref{"https", "host", "path/to", "band", ">=1.2 <2"}, ""},
		{"http://127.0.0.1:8080/band", Ref{"http", "127.0.0.1:8080", "", "band", ""}, ""},
		{"https://[::1]:443/a%20b/band@1.2.0", Ref{"https", "[::1]:443", "a%20b", "band", "1.2.0"}, ""},
		{"oci://host/repo/band:1.2.0", Ref{"oci", "host", "repo", "band", "1.2.0"}, "oci://host/repo/band@1.2.0"},
		{"oci://host:5000/repo/band:1.2.0_b", Ref{"oci", "host:5000", "repo", "band", "1.2.0+b"}, "oci://host:5000/repo/band@1.2.0+b"},
		{"oci://host/band@^1", Ref{"oci", "host", "", "band", "^1"}, ""},
	} {
		r, err := ParseRef(tc.text)
		if err != nil || r != tc.want {
			t.Errorf("%s: %+v, %v; want %+v", tc.text, r, err, tc.want)
		}
		if want := tc.back; r.String() != want && (want != "" || r.String() != tc.text) {
			t.Errorf("%s becomes %s", tc.text, r)
		}
	}
	for _, tc := range []struct{ text, want string }{
		{"", "want file:///"}, {"band", "want file:///"}, {"ftp://host/band", "want file:///"}, {"file://band", "name of a plugin is missing"}, {"file://srv/band", "the whole path"},
		{"https:///band", "no host"}, {"https://host", "name of a plugin is missing"}, {"https://host/", `"" is no plugin's name`}, {"https://host/Band", `"Band" is no plugin's name`},
		{"https://host/band.wasm", "no plugin's name"}, {"https://host/band@", "no range"}, {"https://host/band@new", "is no version"}, {"https://host/band:1.0.0", "only oci has tags"},
		{"oci://host/band:latest", `"latest" is no version`}, {"oci://host/band:1.0.0@^1", "is no version"}, {"https://host/../band", ". and .."}, {"https://host/a?b/band", "? and #"},
		{"https://desk:" + secret + "@host/band", "do not belong here"}, {"https://desk:" + secret + "@host/Band@^1", "no plugin's name"},
		{"https://desk:" + secret + "@host", "name of a plugin is missing"}, {"oci://desk:" + secret + "/x@host/Band", "no plugin's name"}, {"https://desk:" + secret + "/@host/band", "no host"},
	} {
		r, err := ParseRef(tc.text)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %+v, %v; want %q", tc.text, r, err, tc.want)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("a password is shown: %v", err)
		}
	}
}

// TestDamage: what a registry has and its digest does not fit together is refused, in each kind of place.
func TestDamage(t *testing.T) {
	good, evil := module("band", "1.0.0", "good"), module("band", "1.0.0", "evil")
	root := t.TempDir()
	stored := filepath.Join(root, "band", "1.0.0", "band.wasm")
	swap := func(h http.Handler) http.Handler { // answers with other bytes of the same length, headers and all
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			body := rec.Body.Bytes()
			if r.Method == http.MethodGet {
				body = bytes.ReplaceAll(body, []byte("good"), []byte("evil"))
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(body)
		})
	}
	backing := ociPeer()
	clean, dirty := serve(t, backing), serve(t, swap(backing))
	for _, tc := range []struct{ name, push, pull string }{
		{"folder", "file://" + root, "file://" + root},
		{"web", "", "http://" + serve(t, &fileServer{root: root})},
		{"OCI", "oci://" + clean, "oci://" + dirty},
	} {
		c := Client{PlainHTTP: true}
		if tc.push != "" {
			r, err := ParseRef(tc.push + "/band")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Push(t.Context(), r, good); err != nil {
				t.Fatal(err)
			}
			if tc.name == "folder" {
				if err := os.WriteFile(stored, evil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		r, err := ParseRef(tc.pull + "/band")
		if err != nil {
			t.Fatal(err)
		}
		if m, e, err := c.Pull(t.Context(), r); !errors.Is(err, ErrDigest) {
			t.Errorf("%s: %d bytes of %+v, %v", tc.name, len(m), e, err)
		}
		if _, err := c.Push(t.Context(), r, good); tc.name != "OCI" && !errors.Is(err, ErrOtherBytes) {
			t.Errorf("%s: pushed again: %v", tc.name, err)
		}
	}
	// A module under another's name, with an index that agrees.
	other := module("bane", "1.0.0", "")
	x := index{Format: 1, Name: "band"}
	e := entryOf(other)
	e.Version = "1.0.0"
	x.add(e)
	if err := errors.Join(os.WriteFile(stored, other, 0o644), os.WriteFile(filepath.Join(root, "band", indexName), x.text(), 0o644)); err != nil {
		t.Fatal(err)
	}
	r, _ := ParseRef("file://" + root + "/band")
	if _, _, err := new(Client).Pull(t.Context(), r); err == nil || !strings.Contains(err.Error(), "is bane 1.0.0 by its manifest") {
		t.Errorf("another's module: %v", err)
	}
}

// TestInterrupted: a publisher that died between module and index, and its leavings, do not stand in the way of the same again.
func TestInterrupted(t *testing.T) {
	root := t.TempDir()
	f := folder{root, "band"}
	m := module("band", "1.0.0", "")
	if err := os.MkdirAll(filepath.Dir(f.path("1.0.0")), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(f.path("1.0.0"), m, 0o644), os.WriteFile(filepath.Join(filepath.Dir(f.path("1.0.0")), ".band.tmp"), m[:9], 0o644),
		os.WriteFile(filepath.Join(f.dir(), ".index.json.tmp"), []byte("{"), 0o644)); err != nil {
		t.Fatal(err)
	}
	r, _ := ParseRef("file://" + root + "/band")
	var c Client
	if _, _, err := c.Pull(t.Context(), r); !errors.Is(err, ErrNotFound) {
		t.Errorf("what is not in the index is there: %v", err)
	}
	if _, err := c.Push(t.Context(), r, module("band", "1.0.0", "other")); !errors.Is(err, ErrOtherBytes) {
		t.Errorf("other bytes over what was left: %v", err)
	}
	if _, err := c.Push(t.Context(), r, m); err != nil {
		t.Error(err)
	}
	if got, _, err := c.Pull(t.Context(), r); err != nil || !bytes.Equal(got, m) {
		t.Error(err)
	}
}

// TestTogether: many publish at once, and all of their versions are there; of two with other bytes for one version one is refused.
func TestTogether(t *testing.T) {
	root := t.TempDir()
	for _, at := range []string{"file://" + root + "/folder", "http://" + serve(t, &fileServer{root: root, tags: true}) + "/web", "oci://" + serve(t, ociPeer())} {
		r, err := ParseRef(at + "/band")
		if err != nil {
			t.Fatal(err)
		}
		const publishers = 4
		var all sync.WaitGroup
		var refused, failed atomic.Int32
		for i := range publishers {
			all.Go(func() {
				c := Client{PlainHTTP: true}
				if _, err := c.Push(t.Context(), r, module("band", fmt.Sprintf("1.%d.0", i), "")); err != nil {
					t.Error(err)
				}
				if r.Scheme == "oci" {
					return // it cannot keep them apart: oci.go
				}
				switch _, err := c.Push(t.Context(), r, module("band", "2.0.0", fmt.Sprint(i))); {
				case errors.Is(err, ErrOtherBytes):
					refused.Add(1)
				case err != nil:
					failed.Add(1)
					t.Error(err)
				}
			})
		}
		all.Wait()
		entries, err := (&Client{PlainHTTP: true}).List(t.Context(), r)
		want := publishers
		if r.Scheme != "oci" {
			want++
			if refused.Load() != publishers-1 {
				t.Errorf("%s: %d of %d were refused", r, refused.Load(), publishers)
			}
		}
		if err != nil || len(entries) != want {
			t.Errorf("%s: %d versions, %v; want %d", r, len(entries), err, want)
		}
	}
}

// endless never stops sending.
type endless struct{ head string }

func (e endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, e.head)
	for chunk := bytes.Repeat([]byte(" "), 1<<16); ; {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// TestBounds: a server that sends without end, or not at all, is given up.
func TestBounds(t *testing.T) {
	m := module("band", "1.0.0", "")
	x := index{Format: 1, Name: "band"}
	e := entryOf(m)
	e.Version = "1.0.0"
	x.add(e)
	mux := http.NewServeMux()
	mux.Handle("/index/", endless{`{"format": 1`})
	mux.HandleFunc("/module/band/index.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(x.text()) })
	mux.Handle("/module/band/1.0.0/", endless{string(m)})
	stop := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-stop }
	mux.HandleFunc("/hang/", hang)
	mux.Handle("/v2/", endless{`{"tags": ["1.0.0"`})
	host := serve(t, mux)
	t.Cleanup(func() { close(stop) })
	for _, tc := range []struct{ at, want string }{
		{"http://" + host + "/index", "more than the 8388608 bytes"},
		{"http://" + host + "/module", "more than the 16777216 bytes"},
		{"oci://" + host + "/desk", ""},
	} {
		r, err := ParseRef(tc.at + "/band")
		if err != nil {
			t.Fatal(err)
		}
		c := Client{PlainHTTP: true}
		if _, _, err := c.Pull(t.Context(), r); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.at, err, tc.want)
		}
	}
	r, _ := ParseRef("http://" + host + "/hang/band")
	c := Client{Timeout: 50 * time.Millisecond}
	if _, _, err := c.Pull(t.Context(), r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that does not answer: %v", err)
	}
}

// TestSecretsStayHome: not in texts, not without TLS, not along a redirection.
func TestSecretsStayHome(t *testing.T) {
	c := Client{User: "desk", Secret: secret}
	marshalled, _ := json.Marshal(c)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%s %q %v", c.Secret, c.Secret, c.Secret), string(marshalled)} {
		if strings.Contains(text, secret) {
			t.Errorf("%s", text)
		}
	}
	var asked atomic.Int32
	g := guard{roundTripper(func(*http.Request) (*http.Response, error) {
		asked.Add(1)
		return nil, errors.New("sent")
	})}
	for address, sent := range map[string]bool{
		"http://plugins.example.com/a": false, "http://10.0.0.1/a": false, "http://127.0.0.1.example.com/a": false, "http://localhost.example.com/a": false,
		"https://plugins.example.com/a": true, "http://127.0.0.1:80/a": true, "http://localhost/a": true, "http://[::1]/a": true,
	} {
		req, _ := http.NewRequest("GET", address, nil)
		req.Header.Set("Authorization", "Bearer "+secret)
		before := asked.Load()
		_, err := g.RoundTrip(req)
		if (asked.Load() > before) != sent || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", address, err)
		}
	}
	// Another server, to which a redirection leads, learns nothing.
	var leaked atomic.Bool
	other := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(leaked.Load() || r.Header.Get("Authorization") != "")
		http.NotFound(w, r)
	}))
	for _, to := range []string{other, strings.Replace(other, "127.0.0.1", "localhost", 1)} {
		host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, (&url.URL{Scheme: "http", Host: to, Path: r.URL.Path}).String(), http.StatusTemporaryRedirect)
		}))
		for _, at := range []string{"http://", "oci://"} {
			r, _ := ParseRef(at + host + "/desk/band")
			c := Client{User: "desk", Secret: secret, PlainHTTP: true}
			if _, _, err := c.Pull(t.Context(), r); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", r, err)
			}
		}
	}
	if leaked.Load() {
		t.Error("credentials went to where a redirection led")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestUnknownAuthority: a certificate that nobody vouches for is an error, and the authority given must be one.
func TestUnknownAuthority(t *testing.T) {
	s := httptest.NewUnstartedServer(&fileServer{root: t.TempDir()})
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	r, _ := ParseRef(s.URL + "/band")
	if _, _, err := new(Client).Pull(t.Context(), r); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
	c := Client{CA: []byte("no certificate")}
	if _, _, err := c.Pull(t.Context(), r); err == nil || !strings.Contains(err.Error(), "hold no certificate") {
		t.Errorf("%v", err)
	}
}

// TestOrasPull: what a user of oras gets is the module, under its name.
func TestOrasPull(t *testing.T) {
	host := serve(t, ociPeer())
	r, _ := ParseRef("oci://" + host + "/desk/band")
	m := module("band", "1.0.0", "")
	if _, err := (&Client{PlainHTTP: true}).Push(t.Context(), r, m); err != nil {
		t.Fatal(err)
	}
	repo, err := remote.NewRepository(host + "/desk/band")
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	dir := t.TempDir()
	files, err := file.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(t.Context(), repo, "1.0.0", files, "", oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "band.wasm")); err != nil || !bytes.Equal(got, m) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestForeignArtifacts: what is in an OCI registry and is no plugin says so.
func TestForeignArtifacts(t *testing.T) {
	good := `{"artifactType": "` + ArtifactType + `", "layers": [{"mediaType": "application/wasm", "digest": "sha256:` + strings.Repeat("ab", 32) + `", "size": 5}]}`
	if m, err := parseArtifact([]byte(good)); err != nil || m.Layers[0].Size != 5 {
		t.Errorf("%+v, %v", m, err)
	}
	for _, tc := range []struct{ old, new, want string }{
		{ArtifactType, "application/vnd.oci.image", "no plugin"},
		{`"layers": [`, `"layers": [{},`, "no plugin"},
		{"application/wasm", "application/gzip", `"application/gzip"`},
		{"sha256:", "sha512:", "digest"},
		{"sha256:", "sha256:zz", "digest"},
		{`"size": 5`, `"size": 0`, "0 bytes"},
		{`"size": 5`, `"size": 16777217`, "16777217 bytes"},
		{good, "[", "manifest"},
	} {
		if l, err := parseArtifact([]byte(strings.Replace(good, tc.old, tc.new, 1))); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %+v, %v", tc.new, l, err)
		}
	}
}

func FuzzRef(f *testing.F) {
	for _, s := range []string{"file:///srv/plugins/band@^1.2", "https://host:1/path/band@1.2.0", "oci://host/repo/band:1.2.0", "oci://u:p@host/band", "file:///", "http://[::1]/a%2fb/band"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRef(text)
		if err != nil {
			return
		}
		if again, err := ParseRef(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v, and %q is %+v, %v", text, r, r, again, err)
		}
	})
}

func FuzzIndex(f *testing.F) {
	x := index{Format: 1, Name: "band"}
	e := entryOf([]byte("x"))
	e.Version = "1.0.0"
	x.add(e)
	f.Add(x.text())
	f.Add([]byte(`{"format": 1, "name": "band", "versions": [{"version": "../1.0.0"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := parseIndex(text, "band")
		if err != nil {
			return
		}
		for _, e := range x.Versions {
			if dir := filepath.Dir(filepath.Dir((folder{"/r", "band"}).path(e.Version))); dir != "/r/band" {
				t.Errorf("%q is in %s", e.Version, dir)
			}
			if x.add(e) {
				t.Errorf("%+v is added twice", e)
			}
		}
		if again, err := parseIndex(x.text(), "band"); err != nil || !slices.EqualFunc(again.Versions, x.Versions, func(a, b Entry) bool { return a.Version == b.Version && a.SHA256 == b.SHA256 }) {
			t.Errorf("%+v, %v", again, err)
		}
	})
}

func FuzzArtifact(f *testing.F) {
	f.Add([]byte(`{"artifactType": "` + ArtifactType + `", "layers": [{"mediaType": "application/wasm", "digest": "sha256:` + strings.Repeat("ab", 32) + `", "size": 5}]}`))
	f.Add([]byte(`{"artifactType": "` + ArtifactType + `", "annotations": {"` + requiresKey + `": "[{}]"}, "layers": [{"mediaType": "application/wasm", "digest": "sha256:` + strings.Repeat("00", 32) + `", "size": 1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseArtifact(text)
		if err != nil {
			return
		}
		if l := m.Layers[0]; l.Size < 1 || l.Size > manifest.MostModuleBytes || len(l.Digest.Encoded()) != 64 {
			t.Errorf("%+v", l)
		}
		_, _ = requiresOf(m)
	})
}
