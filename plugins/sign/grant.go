package sign

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// Grant is what a policy gives plugins of the world outside of their sandbox. Without one a plugin has no files and no environment. In a configuration:
//
//	[[plugins.grant]]
//	plugin = "symbol-map"
//	signer = "release"
//	env = ["DESK=ny", "REGION"]
//	[[plugins.grant.dir]]
//	path = "/srv/maps"
//	at = "/maps"
//
// All grants that fit a module count; of two that give the same place or variable the first.
type Grant struct {
	// Plugin is the plugin's name, with * for any text and ? for a letter. It must be given.
	Plugin string `toml:"plugin" json:"plugin"`
	// Signer is the name of a key of the policy that must have signed the module. The default is that the name alone counts: whoever can give the plugin its bytes has
	// what is granted.
	Signer string `toml:"signer" json:"signer,omitempty"`
	// Dir are folders. The default is none.
	Dir []Dir `toml:"dir" json:"dir,omitempty"`
	// Env are environment variables: NAME=value, or NAME for this process's own. The default is none.
	Env []string `toml:"env" json:"env,omitempty"`
}

// Dir is a folder that plugins see.
type Dir struct {
	Path  string `toml:"path" json:"path"`             // here, absolute
	At    string `toml:"at" json:"at,omitempty"`       // what the plugin calls it, absolute. The default is Path
	Write bool   `toml:"write" json:"write,omitempty"` // files may be made, changed and removed. The default is to read only
}

// Granted is what one module gets.
type Granted struct {
	Dirs []Dir
	Env  []string // NAME=value, or NAME
}

// Bounds of a grant.
const (
	MostDirs = 16
	MostEnv  = 64
)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// faults says what is wrong with a grant.
func (g *Grant) faults(keys []Key) (faults []error) {
	fail := func(format string, a ...any) { faults = append(faults, fmt.Errorf(format, a...)) }
	if g.Plugin == "" {
		fail("plugin is missing: a grant is to plugins of a name")
	} else if _, err := path.Match(g.Plugin, ""); err != nil {
		fail("%q is no pattern of names", g.Plugin)
	}
	known := g.Signer == ""
	for i := range keys {
		known = known || keys[i].Name == g.Signer
	}
	if !known {
		fail("signer %q is no key of the policy", g.Signer)
	}
	if len(g.Dir) > MostDirs || len(g.Env) > MostEnv {
		fail("%d folders and %d variables, but at most %d and %d", len(g.Dir), len(g.Env), MostDirs, MostEnv)
	}
	places := map[string]bool{}
	for i := range g.Dir {
		d := &g.Dir[i]
		switch at := d.at(); {
		case !filepath.IsAbs(d.Path):
			fail("dir[%d]: path %q is no absolute path", i, d.Path)
		case !path.IsAbs(at) || path.Clean(at) != at || strings.ContainsRune(at, 0):
			fail("dir[%d]: at %q is no absolute path without dots and doubled slashes", i, at)
		case places[at]:
			fail("dir[%d]: a second folder at %s", i, at)
		default:
			places[at] = true
		}
	}
	names := map[string]bool{}
	for i, e := range g.Env {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case !variable.MatchString(name) || strings.ContainsRune(e, 0):
			fail("env[%d]: want NAME or NAME=value, letters, digits and _ in the name", i) // without the text: it may be a secret
		case names[name]:
			fail("env[%d]: a second %s", i, name)
		}
		names[name] = true
	}
	return faults
}

// at is what plugins call the folder.
func (d *Dir) at() string {
	if d.At == "" {
		return d.Path
	}
	return d.At
}

// Granted is what a module gets: nothing, if it may not load (tools run what no feed would). The policy must have been validated.
func (p *Policy) Granted(module []byte) Granted {
	v := p.trust(module)
	if !v.Allowed {
		return Granted{}
	}
	return p.grants(v.Plugin, v.Signer)
}

func (p *Policy) grants(plugin, signer string) (g Granted) {
	places, names := map[string]bool{}, map[string]bool{}
	for i := range p.Grants {
		from := &p.Grants[i]
		if ok, _ := path.Match(from.Plugin, plugin); !ok || from.Signer != "" && from.Signer != signer {
			continue
		}
		for _, d := range from.Dir {
			if d.At = d.at(); !places[d.At] {
				places[d.At] = true
				g.Dirs = append(g.Dirs, d)
			}
		}
		for _, e := range from.Env {
			if name, _, _ := strings.Cut(e, "="); !names[name] {
				names[name] = true
				g.Env = append(g.Env, e)
			}
		}
	}
	return g
}

// Lines says in words what is granted, a line each; values of variables, which may be secrets, are not told.
func (g Granted) Lines() (lines []string) {
	for _, d := range g.Dirs {
		how := "to read"
		if d.Write {
			how = "to read and write"
		}
		lines = append(lines, fmt.Sprintf("folder %s (here %s), %s", d.At, d.Path, how))
	}
	for _, e := range g.Env {
		name, _, given := strings.Cut(e, "=")
		if !given {
			name += ", as this process has it"
		}
		lines = append(lines, "environment variable "+name)
	}
	return lines
}

// Environ is the environment, NAME=value each. Variables that this process has not are left out.
func (g Granted) Environ() (all []string) {
	for _, e := range g.Env {
		if !strings.Contains(e, "=") {
			value, ok := os.LookupEnv(e)
			if !ok {
				continue
			}
			e += "=" + value
		}
		all = append(all, e)
	}
	return all
}

// lacks says what a module wants and does not get, nil: nothing.
func (g Granted) lacks(w *manifest.Wants) error {
	for _, d := range w.Dirs {
		ok := false
		for _, have := range g.Dirs {
			ok = ok || have.At == d.At && (have.Write || !d.Write)
		}
		if !ok {
			how := "to read"
			if d.Write {
				how = "to write to"
			}
			return fmt.Errorf("it wants folder %s %s, which no grant of the policy gives it", d.At, how)
		}
	}
	for _, name := range w.Env {
		ok := false
		for _, have := range g.Env {
			n, _, _ := strings.Cut(have, "=")
			ok = ok || n == name
		}
		if !ok {
			return fmt.Errorf("it wants environment variable %s, which no grant of the policy gives it", name)
		}
	}
	return nil
}
