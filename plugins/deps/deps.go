// Package deps chooses versions of plugins that need one another, and the order in which they load.
//
//	wanted: a *        a 1.0.0 ─needs c ^1.2─┐
//	        b ^2       b 2.1.0 ─needs c <2───┴► c 1.9.0        load: c 1.9.0, a 1.0.0, b 2.1.0
//
// Of a name one version is loaded, the newest that satisfies all who need it; older versions of those who need it are tried where the newest do not fit
// together. Plugins that need one another in a circle are refused: there is no order in which each finds what it needs.
package deps

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// mostSteps bounds the search: versions looked at. Real sets take a step a plugin.
const mostSteps = 10_000

// Want is what configuration, or a command line, asks for.
type Want struct {
	Name  string
	Range string // manifest.ParseRange; "" is any version
}

// need is one bound on a name's version.
type need struct {
	by, text string
	within   manifest.Range
}

type solver struct {
	versions map[string][]*manifest.Manifest // the one to choose first, first
	chosen   map[string]*manifest.Manifest
	needs    map[string][]need
	open     []string // names that are needed, in the order in which that was found out
	steps    int
	failed   error // the first reason, which is of the newest versions
	failures int
}

// Resolve chooses among the available manifests what satisfies the wants and all that it needs, and gives it in load order: what is needed before what
// needs it. Of one name and version the first that is available counts. An error names who needs what, and what there is.
func Resolve(wants []Want, available []*manifest.Manifest) ([]*manifest.Manifest, error) {
	s := &solver{versions: map[string][]*manifest.Manifest{}, chosen: map[string]*manifest.Manifest{}, needs: map[string][]need{}}
	for _, m := range available {
		s.versions[m.Name] = append(s.versions[m.Name], m)
	}
	for _, all := range s.versions {
		slices.SortStableFunc(all, func(a, b *manifest.Manifest) int {
			return cmp.Or(manifest.Prefer(b.Version, a.Version), strings.Compare(b.Version, a.Version))
		})
	}
	for _, w := range wants {
		if err := s.require("", w.Name, cmp.Or(w.Range, "*")); err != nil {
			return nil, err
		}
	}
	if !s.solve(0) {
		if s.failures > 1 {
			return nil, fmt.Errorf("%w; older versions of them do not help", s.failed)
		}
		return nil, s.failed
	}
	set := make([]*manifest.Manifest, len(s.open))
	for i, name := range s.open {
		set[i] = s.chosen[name]
	}
	return Order(set)
}

// require adds a bound.
func (s *solver) require(by, name, text string) error {
	r, err := manifest.ParseRange(text)
	if err != nil {
		return fmt.Errorf("deps: %s: %w", cmp.Or(by, name), err)
	}
	if !slices.Contains(s.open, name) {
		s.open = append(s.open, name)
	}
	s.needs[name] = append(slices.Clip(s.needs[name]), need{by, text, r})
	return nil
}

// solve chooses for the name open[at] and all behind it. On false all is as it was.
func (s *solver) solve(at int) bool {
	if at == len(s.open) {
		return true
	}
	name, found := s.open[at], false
	for _, m := range s.versions[name] {
		if !fits(m.Version, s.needs[name]) {
			continue
		}
		found = true
		if s.steps++; s.steps > mostSteps {
			s.failures, s.failed = 1, fmt.Errorf("deps: no set of versions that fits was found in %d tries, the last of %s; name versions of some", mostSteps, name)
			return false
		}
		if s.choose(m, at) {
			return true
		}
		if s.steps > mostSteps {
			return false
		}
	}
	if !found {
		s.fail(name)
	}
	return false
}

// choose takes m for now, and goes on behind it.
func (s *solver) choose(m *manifest.Manifest, at int) bool {
	open := len(s.open)
	before := map[string][]need{}
	s.chosen[m.Name] = m
	good := true
	for _, r := range m.Requires {
		before[r.Name] = s.needs[r.Name]
		if err := s.require(m.Name+" "+m.Version, r.Name, r.Version); err != nil {
			s.failures, s.failed, good = s.failures+1, cmp.Or(s.failed, err), false
			break
		}
		if c := s.chosen[r.Name]; c != nil && !fits(c.Version, s.needs[r.Name]) {
			s.fail(r.Name)
			good = false
			break
		}
	}
	if good && s.solve(at+1) {
		return true
	}
	for name, needs := range before {
		s.needs[name] = needs
	}
	s.open = s.open[:open]
	delete(s.chosen, m.Name)
	return false
}

// fail notes why no version of a name will do.
func (s *solver) fail(name string) {
	if s.failures++; s.failures > 1 {
		return
	}
	s.failed = fmt.Errorf("deps: %s; %s", told(name, s.needs[name]), there(name, s.versions[name]))
}

func fits(version string, needs []need) bool {
	return !slices.ContainsFunc(needs, func(n need) bool { return !n.within.Has(version) })
}

// told is who needs which versions of a name: a 1.0.0 needs c ^1, b 2.1.0 needs c ^2.
func told(name string, needs []need) string {
	var all []string
	for _, n := range needs {
		if n.by == "" {
			all = append(all, fmt.Sprintf("%s %s is wanted", name, n.text))
		} else {
			all = append(all, fmt.Sprintf("%s needs %s %s", n.by, name, n.text))
		}
	}
	return strings.Join(all, ", ")
}

func there(name string, versions []*manifest.Manifest) string {
	if len(versions) == 0 {
		return "there is no " + name
	}
	var all []string
	for _, m := range versions {
		if len(all) == 10 {
			all = append(all, "…")
			break
		}
		all = append(all, m.Version)
	}
	return "there is " + name + " " + strings.Join(all, ", ")
}

// Order checks that a set has what its plugins need, and sorts it: what is needed before what needs it, else as it came. Its error says all that does not fit.
func Order(set []*manifest.Manifest) ([]*manifest.Manifest, error) {
	named, faults := check(set)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	o := order{named: named, done: map[string]bool{}}
	for _, m := range set {
		if err := o.visit(m); err != nil {
			return nil, err
		}
	}
	return o.out, nil
}

// Faults is all that does not fit in a set, circles apart.
func Faults(set []*manifest.Manifest) []error {
	_, faults := check(set)
	return faults
}

func check(set []*manifest.Manifest) (named map[string]*manifest.Manifest, faults []error) {
	named = map[string]*manifest.Manifest{}
	for _, m := range set {
		if had := named[m.Name]; had != nil {
			faults = append(faults, fmt.Errorf("deps: %s is there twice, as %s and %s", m.Name, had.Version, m.Version))
			continue
		}
		named[m.Name] = m
	}
	for _, m := range set {
		for _, r := range m.Requires {
			within, err := manifest.ParseRange(r.Version)
			have := named[r.Name]
			switch {
			case err != nil:
				faults = append(faults, fmt.Errorf("deps: %s: %w", m.Name, err))
			case have == nil:
				faults = append(faults, fmt.Errorf("deps: %s %s needs %s %s, which is not there", m.Name, m.Version, r.Name, r.Version))
			case !within.Has(have.Version):
				faults = append(faults, fmt.Errorf("deps: %s %s needs %s %s, not %s", m.Name, m.Version, r.Name, r.Version, have.Version))
			}
		}
	}
	return named, faults
}

type order struct {
	named map[string]*manifest.Manifest
	done  map[string]bool
	path  []*manifest.Manifest // who led here
	out   []*manifest.Manifest
}

func (o *order) visit(m *manifest.Manifest) error {
	if o.done[m.Name] {
		return nil
	}
	if from := slices.Index(o.path, m); from >= 0 {
		var circle []string
		for _, p := range append(o.path[from:], m) {
			circle = append(circle, p.Name+" "+p.Version)
		}
		return fmt.Errorf("deps: a circle: %s", strings.Join(circle, " needs "))
	}
	o.path = append(o.path, m)
	for _, r := range m.Requires {
		if err := o.visit(o.named[r.Name]); err != nil {
			return err
		}
	}
	o.path = o.path[:len(o.path)-1]
	o.done[m.Name] = true
	o.out = append(o.out, m)
	return nil
}
