package manifest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Grammar of semver.org 2.0, with numbers of at most nine digits, so that they fit anywhere, and in all no more than a tag of a registry may have.
const (
	numberText       = `(0|[1-9]\d{0,8})`
	identifierText   = `(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)`
	behindCore       = `(-` + identifierText + `(\.` + identifierText + `)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?`
	mostVersionBytes = 128
)

var (
	semver  = regexp.MustCompile(`^` + numberText + `\.` + numberText + `\.` + numberText + behindCore + `$`)
	partial = regexp.MustCompile(`^` + numberText + `(\.` + numberText + `)?$`)
)

// ValidVersion says whether it is a semantic version. Such a version is safe in a path: it begins with a digit and has no slash.
func ValidVersion(version string) bool {
	return len(version) <= mostVersionBytes && semver.MatchString(version)
}

// Compare orders two semantic versions (semver.org 2.0, section 11): -1, 0 or 1. Both must be valid. What is behind a + does not count.
func Compare(a, b string) int {
	a, _, _ = strings.Cut(a, "+")
	b, _, _ = strings.Cut(b, "+")
	a, preA, hasA := strings.Cut(a, "-")
	b, preB, hasB := strings.Cut(b, "-")
	if c := parts(a, b); c != 0 {
		return c
	}
	switch {
	case hasA && hasB:
		return parts(preA, preB)
	case hasA:
		return -1
	case hasB:
		return 1
	}
	return 0
}

// parts compares dot-separated identifiers: numbers as numbers and before text, fewer before more.
func parts(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, y := as[i], bs[i]
		c := strings.Compare(x, y)
		switch numX, numY := allDigits(x), allDigits(y); {
		case numX && numY && len(x) != len(y):
			c = cmp.Compare(len(x), len(y)) // no zero leads, and there may be more digits than an integer has
		case numX && !numY:
			c = -1
		case numY && !numX:
			c = 1
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// Prerelease says whether a version comes before a release, as 1.0.0-rc.1 does before 1.0.0.
func Prerelease(version string) bool {
	core, _, _ := strings.Cut(version, "+")
	return strings.Contains(core, "-")
}

// Range is a set of versions: every bound must hold.
type Range []bound

type bound struct{ op, version string }

// ParseRange reads bounds, all of which must hold:
//
//   - any version
//     1.2.0, =1.2.0    this one
//     1.2, 1           any that begins so
//     >=1.2.0 <2.0.0   also > and <=. What >= and < leave out is 0: >=1.2 <2
//     ^1.2.0, ^1.2     from there on, what may not break: same major version, or same minor before 1
//
// A version before a release is within if its order is: 2.0.0-rc.1 is within >=1.0.0 <2.0.0, but not within ^1.0.0.
func ParseRange(text string) (Range, error) {
	var r Range
	for _, word := range strings.Fields(text) {
		if word == "*" {
			continue
		}
		at := strings.IndexFunc(word, func(c rune) bool { return !strings.ContainsRune("<>=^", c) })
		if at < 0 {
			at = len(word)
		}
		op, version := word[:at], word[at:]
		short := partial.MatchString(version)
		if !short && !ValidVersion(version) {
			return nil, fmt.Errorf("range %q: %q is no version", text, version)
		}
		whole := version
		if short {
			whole += ".0.0"[2*strings.Count(version, "."):]
		}
		switch {
		case short && (op == "" || op == "="):
			r = append(r, bound{">=", whole + "-0"}, bound{"<", after(version)})
		case op == "" || op == "=":
			r = append(r, bound{"=", version})
		case op == ">=" || op == "<":
			r = append(r, bound{op, whole})
		case short && (op == ">" || op == "<="):
			return nil, fmt.Errorf("range %q: %s wants all three numbers", text, op)
		case op == ">" || op == "<=":
			r = append(r, bound{op, version})
		case op == "^":
			r = append(r, bound{">=", whole}, bound{"<", next(version)})
		default:
			return nil, fmt.Errorf("range %q: %q is none of < <= = >= > ^", text, op)
		}
	}
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("range %q is empty: * is any version", text)
	}
	return r, nil
}

// after is the first version that does not begin as the short one: 2 behind 1, 1.3 behind 1.2.
func after(short string) string {
	major, minor, both := strings.Cut(short, ".")
	if !both {
		return plus1(major) + ".0.0-0"
	}
	return major + "." + plus1(minor) + ".0-0"
}

// next is the first version that may break what version promised.
func next(version string) string {
	core, _, _ := strings.Cut(version, "-")
	core, _, _ = strings.Cut(core, "+")
	n := strings.Split(core, ".")
	if n[0] != "0" || len(n) == 1 {
		return plus1(n[0]) + ".0.0-0"
	}
	return "0." + plus1(n[1]) + ".0-0"
}

// plus1 of at most nine digits.
func plus1(number string) string {
	n, _ := strconv.Atoi(number)
	return strconv.Itoa(n + 1)
}

// Has says whether a version is within. It must be valid.
func (r Range) Has(version string) bool {
	for _, b := range r {
		c := Compare(version, b.version)
		ok := false
		switch b.op {
		case "=":
			ok = c == 0
		case "<":
			ok = c < 0
		case "<=":
			ok = c <= 0
		case ">":
			ok = c > 0
		case ">=":
			ok = c >= 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// Newest is the newest of the versions within the range; a release before all that come before one. "" says that there is none. What is no version is not looked at.
func (r Range) Newest(versions []string) string {
	in := slices.DeleteFunc(slices.Clone(versions), func(v string) bool { return !ValidVersion(v) || !r.Has(v) })
	if len(in) == 0 {
		return ""
	}
	return slices.MaxFunc(in, func(a, b string) int { return cmp.Or(Prefer(a, b), strings.Compare(a, b)) })
}

// Prefer orders versions as a choice among them does: as Compare, but what comes before a release is chosen after all releases.
func Prefer(a, b string) int {
	preA, preB := Prerelease(a), Prerelease(b)
	switch {
	case preA && !preB:
		return -1
	case preB && !preA:
		return 1
	}
	return Compare(a, b)
}
