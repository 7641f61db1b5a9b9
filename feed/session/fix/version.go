package fix

import (
	"fmt"
	"strings"
)

// Version is what both sides of a session speak.
type Version uint8

// Versions.
const (
	V42    Version = iota // FIX.4.2
	V44                   // FIX.4.4
	V50SP2                // FIX 5.0 SP2 over FIXT.1.1
)

// Versions lists them all.
var Versions = [...]Version{V42, V44, V50SP2}

// ParseVersion reads 4.2, 4.4, 5.0SP2, and the ways in which BeginString and DefaultApplVerID write them.
func ParseVersion(text string) (Version, error) {
	plain := strings.NewReplacer(" ", "", "FIXT.1.1", "5.0SP2", "FIX.", "", "FIX", "").Replace(strings.ToUpper(text))
	for _, v := range Versions {
		if plain == v.String() {
			return v, nil
		}
	}
	return 0, fmt.Errorf("fix: version %q is not spoken; 4.2, 4.4 and 5.0SP2 are", text)
}

func (v Version) String() string { return [...]string{"4.2", "4.4", "5.0SP2"}[min(v, V50SP2)] }

// BeginString is field 8.
func (v Version) BeginString() string {
	return [...]string{"FIX.4.2", "FIX.4.4", "FIXT.1.1"}[min(v, V50SP2)]
}

// versionOf is the version of a BeginString.
func versionOf(begin string) (Version, bool) {
	for _, v := range Versions {
		if v.BeginString() == begin {
			return v, true
		}
	}
	return 0, false
}
