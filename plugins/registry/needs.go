package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tickwire/tickwire/plugins/deps"
	"github.com/tickwire/tickwire/plugins/manifest"
)

// Bounds of what Resolve looks at.
const (
	mostNames    = 256 // plugins
	mostVersions = 32  // of each, those that Pull would take first
)

// Resolve chooses a version within the ref's range and versions of all that it needs, from beside it, in load order: what is needed first. The refs are
// exact. Of each plugin it looks at no more than the 32 versions that would be taken first.
func (c *Client) Resolve(ctx context.Context, r Ref) ([]Ref, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	var available []*manifest.Manifest
	names := []string{r.Name}
	for i := 0; i < len(names); i++ {
		if i == mostNames {
			return nil, fmt.Errorf("registry: %s needs more than %d other plugins", r, mostNames)
		}
		at := r
		at.Name = names[i]
		if i > 0 {
			at.Range = ""
		}
		all, err := c.withNeeds(ctx, at)
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			for _, n := range m.Requires {
				if !manifest.ValidName(n.Name) {
					return nil, fmt.Errorf("registry: %s %s needs %q, which is no plugin's name", m.Name, m.Version, n.Name)
				}
				if !slices.Contains(names, n.Name) {
					names = append(names, n.Name)
				}
			}
		}
		available = append(available, all...)
	}
	set, err := deps.Resolve([]deps.Want{{Name: r.Name, Range: r.Range}}, available)
	if err != nil {
		return nil, fmt.Errorf("registry: %s: %w", r, err)
	}
	var refs []Ref
	for _, m := range set {
		at := r
		at.Name, at.Range = m.Name, m.Version
		refs = append(refs, at)
	}
	return refs, nil
}

// withNeeds is the versions within the ref's range, as much of their manifests as choosing takes. A plugin that is not there has none.
func (c *Client) withNeeds(ctx context.Context, r Ref) ([]*manifest.Manifest, error) {
	s, err := c.shelf(r)
	if err != nil {
		return nil, err
	}
	entries, err := list(ctx, s, r)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var all []*manifest.Manifest
	for _, e := range entries[:min(len(entries), mostVersions)] {
		needs, err := s.needs(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("registry: %s: version %s: %w", r, e.Version, err)
		}
		all = append(all, &manifest.Manifest{Name: r.Name, Version: e.Version, Requires: needs})
	}
	return all, nil
}
