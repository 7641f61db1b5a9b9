package deps

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// plugins reads "a 1.0.0: b ^1, c >=1 <2" lines.
func plugins(t testing.TB, text string) (all []*manifest.Manifest) {
	t.Helper()
	for line := range strings.Lines(text) {
		head, tail, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, version, ok := strings.Cut(head, " ")
		if !ok {
			continue
		}
		m := &manifest.Manifest{Name: name, Version: version}
		for _, r := range strings.Split(tail, ",") {
			if name, within, ok := strings.Cut(strings.TrimSpace(r), " "); ok {
				m.Requires = append(m.Requires, manifest.Requirement{Name: name, Version: within})
			}
		}
		all = append(all, m)
	}
	return all
}

func list(set []*manifest.Manifest) string {
	var all []string
	for _, m := range set {
		all = append(all, m.Name+" "+m.Version)
	}
	return strings.Join(all, ", ")
}

func TestResolve(t *testing.T) {
	for _, tc := range []struct{ name, want, available, result string }{ // result: load order, or ! and the error
		{"nothing", "", "a 1.0.0", ""},
		{"the newest", "a", "a 1.0.0\na 1.10.0\na 1.9.0", "a 1.10.0"},
		{"the newest within", "a ^1", "a 1.0.0\na 2.0.0\na 1.9.0", "a 1.9.0"},
		{"a release before a newer candidate", "a", "a 1.0.0\na 2.0.0-rc.1", "a 1.0.0"},
		{"a candidate if there is no other", "a >=1.5", "a 1.0.0\na 2.0.0-rc.1", "a 2.0.0-rc.1"},
		{"what is needed first", "a", "a 1.0.0: b *\nb 1.0.0: c *\nc 1.0.0", "c 1.0.0, b 1.0.0, a 1.0.0"},
		{"as wanted, else", "b, a, c", "a 1.0.0\nb 1.0.0\nc 1.0.0", "b 1.0.0, a 1.0.0, c 1.0.0"},
		{"a diamond", "a", "a 1.0.0: b *, c *\nb 1.0.0: d ^1\nc 1.0.0: d <1.5\nd 1.0.0\nd 1.4.0\nd 1.6.0\nd 2.0.0", "d 1.4.0, b 1.0.0, c 1.0.0, a 1.0.0"},
		{"needed and wanted", "c ^1, a", "a 1.0.0: c *\nc 1.0.0\nc 2.0.0", "c 1.0.0, a 1.0.0"},
		{"an older one of who needs it", "a, b", "a 1.0.0: c ^1\nb 2.1.0: c ^2\nb 2.0.0: c ^1\nc 1.0.0\nc 2.0.0", "c 1.0.0, a 1.0.0, b 2.0.0"},
		{"an older one, chosen before", "b, a", "a 1.0.0: c ^1\nb 2.1.0: c ^2\nb 2.0.0: c ^1\nc 1.0.0\nc 2.0.0", "c 1.0.0, b 2.0.0, a 1.0.0"},
		{"back over what the newer one needed", "a", "a 2.0.0: x *, y *\na 1.0.0\nx 1.0.0", "a 1.0.0"},
		{"missing", "a", "b 1.0.0", "!deps: a * is wanted; there is no a"},
		{"not within", "a ^2", "a 1.0.0\na 1.1.0", "!deps: a ^2 is wanted; there is a 1.1.0, 1.0.0"},
		{"missing below", "a", "a 1.0.0: b ^1", "!deps: a 1.0.0 needs b ^1; there is no b"},
		{"contradicting", "a, b", "a 1.0.0: c ^1\nb 2.1.0: c ^2\nc 1.0.0\nc 2.0.0", "!deps: a 1.0.0 needs c ^1, b 2.1.0 needs c ^2; there is c 2.0.0, 1.0.0"},
		{"contradicting, older ones too", "a, b", "a 1.0.0: c ^1\nb 2.1.0: c ^2\nb 2.0.0: c ^2\nc 1.0.0\nc 2.0.0", "!a 1.0.0 needs c ^1, b 2.1.0 needs c ^2; there is c 2.0.0, 1.0.0; older versions of them do not help"},
		{"back from what cannot be had", "c, a", "a 1.0.0: c ^1\nc 1.0.0\nc 2.0.0: x *", "c 1.0.0, a 1.0.0"},
		{"a circle", "a", "a 1.0.0: b *\nb 1.0.0: c *\nc 1.0.0: b *", "!deps: a circle: b 1.0.0 needs c 1.0.0 needs b 1.0.0"},
		{"no range", "a newest", "a 1.0.0", `!deps: a: range "newest"`},
	} {
		var wants []Want
		for _, w := range strings.Split(tc.want, ",") {
			if name, within, _ := strings.Cut(strings.TrimSpace(w), " "); name != "" {
				wants = append(wants, Want{name, within})
			}
		}
		set, err := Resolve(wants, plugins(t, tc.available))
		if wrong, bad := strings.CutPrefix(tc.result, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: %s, %v; want %s", tc.name, list(set), err, wrong)
			}
		} else if err != nil || list(set) != tc.result {
			t.Errorf("%s: %s, %v; want %s", tc.name, list(set), err, tc.result)
		}
	}
}

func TestOrder(t *testing.T) {
	if set, err := Order(plugins(t, "a 1.0.0: b ^1\nc 1.0.0\nb 1.5.0")); err != nil || list(set) != "b 1.5.0, a 1.0.0, c 1.0.0" {
		t.Errorf("%s, %v", list(set), err)
	}
	_, err := Order(plugins(t, "a 1.0.0: b ^1, x *\nb 2.0.0\nb 1.0.0\nd 1.0.0: e newest"))
	for _, want := range []string{"a 1.0.0 needs b ^1, not 2.0.0", "a 1.0.0 needs x *, which is not there", "b is there twice, as 2.0.0 and 1.0.0", `d: range "newest"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if _, err := Order(plugins(t, "a 1.0.0: a *")); err == nil || !strings.Contains(err.Error(), "a circle: a 1.0.0 needs a 1.0.0") {
		t.Errorf("itself: %v", err)
	}
}

// TestResolveIsBounded: a set made so that every choice fails at the very end is given up, not sought for ever.
func TestResolveIsBounded(t *testing.T) {
	var text strings.Builder
	var wants []Want
	for i := range 30 {
		wants = append(wants, Want{Name: fmt.Sprint("p", i)})
		for v := range 10 {
			fmt.Fprintf(&text, "p%d 1.%d.0\n", i, v)
		}
	}
	wants = append(wants, Want{Name: "last"})
	text.WriteString("last 1.0.0: missing *\n")
	_, err := Resolve(wants, plugins(t, text.String()))
	if err == nil || !strings.Contains(err.Error(), "tries") {
		t.Errorf("%v", err)
	}
}

// TestResolveAgainstAll: on small random sets the choice is the first that fits of all there are, in order of preference, or there is none.
func TestResolveAgainstAll(t *testing.T) {
	ranges := []string{"*", "^1", "^2", "<2", "1.0.0", ">=1.1"}
	solved, refused := 0, 0
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 7))
		var available []*manifest.Manifest
		for i := range 4 { // only later names are needed: no circles
			for _, v := range []string{"2.0.0", "1.1.0", "1.0.0"}[r.IntN(3):] {
				m := &manifest.Manifest{Name: string(rune('a' + i)), Version: v}
				for j := i + 1; j < 4; j++ {
					if r.IntN(2) == 0 {
						m.Requires = append(m.Requires, manifest.Requirement{Name: string(rune('a' + j)), Version: ranges[r.IntN(len(ranges))]})
					}
				}
				available = append(available, m)
			}
		}
		wants := []Want{{"a", ranges[r.IntN(len(ranges))]}, {"b", ranges[r.IntN(len(ranges))]}}
		got, err := Resolve(wants, available)
		possible := exists(wants, available)
		switch {
		case err == nil && !possible:
			t.Fatalf("seed %d: %s does not fit", seed, list(got))
		case err != nil && possible:
			t.Fatalf("seed %d: %v, but there is a set", seed, err)
		case err == nil:
			if again, err := Order(got); err != nil || list(again) != list(got) || !satisfied(wants, got) {
				t.Fatalf("seed %d: %s: %v", seed, list(got), err)
			}
			solved++
		default:
			refused++
		}
	}
	if solved < 60 || refused < 60 {
		t.Errorf("%d solved, %d refused: this shows little", solved, refused)
	}
}

func satisfied(wants []Want, set []*manifest.Manifest) bool {
	for _, w := range wants {
		r, _ := manifest.ParseRange(w.Range)
		good := false
		for _, m := range set {
			good = good || m.Name == w.Name && r.Has(m.Version)
		}
		if !good {
			return false
		}
	}
	return true
}

// exists tries every set that has at most one version of each name.
func exists(wants []Want, available []*manifest.Manifest) bool {
	byName := map[string][]*manifest.Manifest{}
	for _, m := range available {
		byName[m.Name] = append(byName[m.Name], m)
	}
	var try func(i int, set []*manifest.Manifest) bool
	try = func(i int, set []*manifest.Manifest) bool {
		if i == 4 {
			_, err := Order(set)
			return err == nil && satisfied(wants, set)
		}
		if try(i+1, set) {
			return true
		}
		for _, m := range byName[string(rune('a'+i))] {
			if try(i+1, append(set[:len(set):len(set)], m)) {
				return true
			}
		}
		return false
	}
	return try(0, nil)
}

// FuzzResolve: any texts as ranges give a set in order or an error, and the order holds.
func FuzzResolve(f *testing.F) {
	f.Add("a ^1", "a 1.0.0: b *\nb 1.0.0")
	f.Add("a *", "a 1.0.0: a *")
	f.Add("a *", "a 1.0.0: b *\nb 1.0.0: a *")
	f.Fuzz(func(t *testing.T, want, text string) {
		name, within, _ := strings.Cut(want, " ")
		available := plugins(t, text)
		for _, m := range available {
			if !manifest.ValidVersion(m.Version) {
				return // manifests have been checked
			}
		}
		set, err := Resolve([]Want{{name, within}}, available)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, m := range set {
			for _, r := range m.Requires {
				if !seen[r.Name] {
					t.Fatal(errors.New(m.Name + " comes before " + r.Name))
				}
			}
			seen[m.Name] = true
		}
	})
}
