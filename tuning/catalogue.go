package tuning

import (
	"slices"
	"sync"
)

// Catalogue is every check, in the order in which they are shown. The checks are the package's: they are not to be changed.
func Catalogue() []*Check { return catalogue() }

var catalogue = sync.OnceValue(func() []*Check {
	return slices.Concat(platformChecks(), cmdlineChecks(), cpuChecks(), irqChecks(), kernelChecks(), memoryChecks(), pciChecks(), nicChecks(), timeChecks(), stackChecks())
})

// Find is the check of an id; nil: there is none.
func Find(id string) *Check {
	for _, c := range Catalogue() {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// Known says whether there is such a check.
func Known(id string) bool { return Find(id) != nil }

// Sections are the groups, in the order of the catalogue.
func Sections() (names []string) {
	for _, c := range Catalogue() {
		if len(names) == 0 || names[len(names)-1] != c.Section {
			names = append(names, c.Section)
		}
	}
	return names
}
