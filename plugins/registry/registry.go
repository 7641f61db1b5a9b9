// Package registry takes plugins to where others fetch them, and back: a folder, a web server, or an OCI registry.
//
//	file:///srv/plugins/price-band@^1.2              <folder>/<name>/<version>/<name>.wasm, and <folder>/<name>/index.json
//	https://plugins.example.com/desk/price-band@1.2  the same layout by GET and PUT, on any web server that can both
//	oci://registry.example.com/desk/price-band:1.2.0 an artifact: one blob, tagged with its version
//
// In all of them a version is published once: the same bytes again are no error, other bytes are ErrOtherBytes. What is fetched has the digest that the
// registry gave for it, the size it may have, and a manifest of the name and version that were asked for. Whose it is, package sign says.
package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// What can be wrong with what was asked for.
var (
	ErrNotFound   = errors.New("is not there")
	ErrOtherBytes = errors.New("is there with other bytes: a version is published once. Give the new one a version of its own")
	ErrDigest     = errors.New("the bytes are not those of the digest: the registry's copy is damaged, or was changed")
)

// Client of registries. The zero value is good for those that want no credentials.
type Client struct {
	// User with Secret is for registries that want a name and a password; Secret alone is a bearer token. The default is none.
	User   string
	Secret Secret
	// CA is PEM of authorities whose certificates are taken beside the system's. The default is none.
	CA []byte
	// PlainHTTP talks to OCI registries without TLS. Credentials are then sent on the loopback interface only. The default is TLS.
	PlainHTTP bool
	// Timeout is for each call of this package, all in all. The default is 2 minutes.
	Timeout time.Duration
}

// Secret is a password or token: it does not show itself.
type Secret string

func (Secret) String() string               { return "(secret)" }
func (Secret) GoString() string             { return "(secret)" }
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Entry is one version in a registry.
type Entry struct {
	Version  string                 `json:"version"`
	SHA256   string                 `json:"sha256,omitempty"` // of the module. In lists of OCI registries this and the rest are missing
	Bytes    int64                  `json:"bytes,omitempty"`
	Requires []manifest.Requirement `json:"requires,omitempty"`
}

// Ref says where a plugin is, and which versions are meant.
type Ref struct {
	Scheme string // file, http, https, oci
	Host   string // of the last three, with a port if it has one
	Path   string // what is between host and name, without a slash at its ends but file's first one
	Name   string
	Range  string // manifest.ParseRange; "" is any
}

// ParseRef reads a reference: see the package for its forms. Behind the name comes @ and a range of versions, or in oci : and a version; nothing is any.
func ParseRef(text string) (Ref, error) {
	wrong := func(why string) (Ref, error) { return Ref{}, fmt.Errorf("registry: %q: %s", shown(text), why) }
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !slices.Contains([]string{"file", "http", "https", "oci"}, scheme) {
		return wrong("want file:///folder/name, https://host/path/name or oci://host/path/name, with @range behind it")
	}
	r := Ref{Scheme: scheme}
	at := strings.LastIndexByte(rest, '/')
	if at < 0 {
		return wrong("a name of a plugin is missing")
	}
	where, last := rest[:at], rest[at+1:]
	if i := strings.IndexByte(last, '@'); i >= 0 {
		last, r.Range = last[:i], last[i+1:]
		if r.Range == "" {
			return wrong("no range behind @")
		}
	}
	name, tag, tagged := strings.Cut(last, ":")
	if r.Name = name; !manifest.ValidName(name) {
		return wrong(fmt.Sprintf("%q is no plugin's name", name))
	}
	if tagged {
		version := versionOf(tag)
		if scheme != "oci" || r.Range != "" || !manifest.ValidVersion(version) {
			return wrong(fmt.Sprintf("%q is no version: only oci has tags, and they are versions", tag))
		}
		r.Range = version
	}
	if r.Range != "" {
		if _, err := manifest.ParseRange(r.Range); err != nil {
			return wrong(err.Error())
		}
	}
	if scheme == "file" {
		if rest[0] != '/' {
			return wrong("want file:/// and the whole path")
		}
		r.Path = path.Clean("/" + where)
		return r, nil
	}
	u, err := url.Parse("https://" + where)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return wrong("no host")
	case u.User != nil:
		return wrong("a user and password do not belong here, where they are logged: use the options for them")
	case u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(where, "?#"):
		return wrong("? and # do not belong here")
	}
	for _, segment := range strings.Split(strings.Trim(u.Path, "/"), "/") {
		if segment == "." || segment == ".." {
			return wrong(". and .. do not belong here")
		}
	}
	r.Host, r.Path = u.Host, strings.Trim(u.EscapedPath(), "/")
	return r, nil
}

// shown is a reference that may be wrong in any way, without what may be a password.
func shown(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	host, _, path := strings.Cut(rest, "/")
	_, port, _ := strings.Cut(host, ":")
	if ok && scheme != "file" && (strings.Contains(host, "@") || path && strings.Trim(port, "0123456789") != "" && host[0] != '[') {
		return scheme + "://…"
	}
	return text
}

// String is the reference as it may be parsed again.
func (r Ref) String() string {
	s := r.Scheme + "://" + r.Host + "/"
	if r.Scheme == "file" {
		s += strings.TrimPrefix(r.Path, "/")
	} else {
		s += r.Path
	}
	if !strings.HasSuffix(s, "/") {
		s += "/"
	}
	s += r.Name
	if r.Range != "" {
		s += "@" + r.Range
	}
	return s
}

// Tags have no plus: as others do, an underscore stands for it, which versions have not.
func tagOf(version string) string { return strings.ReplaceAll(version, "+", "_") }
func versionOf(tag string) string { return strings.ReplaceAll(tag, "_", "+") }

// shelf is one plugin's place in a registry.
type shelf interface {
	// list is what is there, in any order; an ErrNotFound if nothing ever was.
	list(ctx context.Context) ([]Entry, error)
	// fetch gives the module of a version in the list, of at most manifest.MostModuleBytes, and its digest as the registry has it.
	fetch(ctx context.Context, e Entry) (module []byte, digest string, err error)
	// needs is what a version in the list requires.
	needs(ctx context.Context, e Entry) ([]manifest.Requirement, error)
	// publish puts a module there, whole or not at all; an ErrOtherBytes if another is there under this version.
	publish(ctx context.Context, e Entry, module []byte) error
}

func (c *Client) shelf(r Ref) (shelf, error) {
	switch r.Scheme {
	case "file":
		return folder{r.Path, r.Name}, nil
	case "oci":
		return c.oci(r)
	}
	return c.web(r)
}

func (c *Client) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(c.Timeout, 2*time.Minute))
}

// List is the versions of a plugin within the ref's range, the one that Pull takes first.
func (c *Client) List(ctx context.Context, r Ref) ([]Entry, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	s, err := c.shelf(r)
	if err != nil {
		return nil, err
	}
	return list(ctx, s, r)
}

func list(ctx context.Context, s shelf, r Ref) ([]Entry, error) {
	within, err := manifest.ParseRange(cmp.Or(r.Range, "*"))
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	all, err := s.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("registry: %s: %w", r, err)
	}
	all = slices.DeleteFunc(all, func(e Entry) bool { return !manifest.ValidVersion(e.Version) || !within.Has(e.Version) })
	if i := slices.IndexFunc(all, func(e Entry) bool { return e.Version == r.Range }); i >= 0 {
		return all[i : i+1], nil // and not another build of it, which has the same place in the order
	}
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(manifest.Prefer(b.Version, a.Version), strings.Compare(b.Version, a.Version))
	})
	return all, nil
}

// Pull fetches the newest version within the ref's range; what comes before a release is taken only if there is no release.
func (c *Client) Pull(ctx context.Context, r Ref) ([]byte, Entry, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	s, err := c.shelf(r)
	if err != nil {
		return nil, Entry{}, err
	}
	all, err := list(ctx, s, r)
	if err != nil {
		return nil, Entry{}, err
	}
	if len(all) == 0 {
		return nil, Entry{}, fmt.Errorf("registry: %s %w: no version of it is within the range", r, ErrNotFound)
	}
	e := all[0]
	module, digest, err := s.fetch(ctx, e)
	if err != nil {
		return nil, e, fmt.Errorf("registry: %s: version %s: %w", r, e.Version, err)
	}
	found := entryOf(module)
	if digest != found.SHA256 || e.SHA256 != "" && e.SHA256 != digest {
		return nil, e, fmt.Errorf("registry: %s: version %s: %w", r, e.Version, ErrDigest)
	}
	m, err := manifest.Of(module)
	switch {
	case err != nil:
		return nil, e, fmt.Errorf("registry: %s: version %s: %w", r, e.Version, err)
	case m.Name != r.Name || m.Version != e.Version:
		return nil, e, fmt.Errorf("registry: %s: version %s is %s %s by its manifest", r, e.Version, m.Name, m.Version)
	}
	found.Version, found.Requires = m.Version, m.Requires
	return module, found, nil
}

// Push publishes a module. The ref's name must be the manifest's, and so its version, if it has one.
func (c *Client) Push(ctx context.Context, r Ref, module []byte) (Entry, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	m, err := manifest.Of(module)
	switch {
	case err != nil:
		return Entry{}, fmt.Errorf("registry: %w", err)
	case len(module) > manifest.MostModuleBytes:
		return Entry{}, fmt.Errorf("registry: %d bytes, but a module has at most %d", len(module), manifest.MostModuleBytes)
	case m.Name != r.Name:
		return Entry{}, fmt.Errorf("registry: %s: the module is %s by its manifest", r, m.Name)
	case r.Range != "" && r.Range != m.Version:
		return Entry{}, fmt.Errorf("registry: %s: the module is version %s by its manifest", r, m.Version)
	}
	s, err := c.shelf(r)
	if err != nil {
		return Entry{}, err
	}
	e := entryOf(module)
	e.Version, e.Requires = m.Version, m.Requires
	if err := s.publish(ctx, e, module); err != nil {
		return e, fmt.Errorf("registry: %s %s: %w", r, e.Version, err)
	}
	return e, nil
}

// entryOf a module, its version and needs apart.
func entryOf(module []byte) Entry {
	sum := sha256.Sum256(module)
	return Entry{SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(module))}
}

// index.json of a plugin in a folder or on a web server, format 1: what is there without looking for it.
//
//	{"format": 1, "name": "price-band", "versions": [{"version": "1.2.0", "sha256": "…", "bytes": 530, "requires": [{"name": "symbol-map", "version": "^1"}]}]}
type index struct {
	Format   int     `json:"format"`
	Name     string  `json:"name"`
	Versions []Entry `json:"versions"`
}

const (
	indexName      = "index.json"
	indexFormat    = 1
	mostIndexBytes = 8 << 20
)

// parseIndex checks what others may have written: versions become paths.
func parseIndex(text []byte, name string) (*index, error) {
	var x index
	if err := json.Unmarshal(text, &x); err != nil {
		return nil, fmt.Errorf("%s: %w", indexName, err)
	}
	switch {
	case x.Format > indexFormat:
		return nil, fmt.Errorf("%s: format %d is newer than this tickwire's %d", indexName, x.Format, indexFormat)
	case x.Format != indexFormat:
		return nil, fmt.Errorf("%s: format %d: there is only %d", indexName, x.Format, indexFormat)
	case x.Name != name:
		return nil, fmt.Errorf("%s is of plugin %q", indexName, x.Name)
	}
	seen := map[string]bool{}
	for _, e := range x.Versions {
		sum, err := hex.DecodeString(e.SHA256)
		switch {
		case !manifest.ValidVersion(e.Version) || seen[e.Version]:
			return nil, fmt.Errorf("%s: %q is no version, or there twice", indexName, e.Version)
		case err != nil || len(sum) != sha256.Size:
			return nil, fmt.Errorf("%s: version %s has digest %q", indexName, e.Version, e.SHA256)
		case e.Bytes < 1 || e.Bytes > manifest.MostModuleBytes:
			return nil, fmt.Errorf("%s: version %s has %d bytes, want 1 to %d", indexName, e.Version, e.Bytes, manifest.MostModuleBytes)
		}
		seen[e.Version] = true
	}
	return &x, nil
}

// add puts an entry in its place, the newest first, and says whether that changed anything.
func (x *index) add(e Entry) bool {
	if slices.ContainsFunc(x.Versions, func(had Entry) bool { return had.Version == e.Version && had.SHA256 == e.SHA256 }) {
		return false
	}
	x.Versions = append(slices.DeleteFunc(x.Versions, func(had Entry) bool { return had.Version == e.Version }), e)
	slices.SortFunc(x.Versions, func(a, b Entry) int { return manifest.Compare(b.Version, a.Version) })
	return true
}

func (x *index) find(version string) (Entry, bool) {
	for _, e := range x.Versions {
		if e.Version == version {
			return e, true
		}
	}
	return Entry{}, false
}

func (x *index) text() []byte {
	text, _ := json.MarshalIndent(x, "", "  ") // it has only texts and numbers
	return append(text, '\n')
}
