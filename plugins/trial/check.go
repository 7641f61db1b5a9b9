package trial

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
)

// Folder of a plugin's cases, beside its source, and what their files are called.
const (
	Folder    = "testdata"
	Extension = ".txt"
)

// Options of a check. The zero value runs the cases and one generated batch of each size.
type Options struct {
	Fuzz   time.Duration // go on generating so long, at most a unit's share of it each
	Seed   uint64        // of the first generated case. The default is 1
	Update bool          // write what comes out as what is expected
}

// Check is one thing that was looked at.
type Check struct {
	Name string  `json:"name"`
	Unit string  `json:"unit"`
	Rows int     `json:"rows"` // or packets, of all runs
	Fuel float64 `json:"fuel_per_row"`
	Ok   bool    `json:"ok"`
	What string  `json:"problem,omitempty"`
	Case *Case   `json:"-"` // that shows the problem, nil: there is none
}

// ReadCases reads the cases in a folder, in order of their names. A folder that is not there has none.
func ReadCases(dir string) ([]*Case, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+Extension))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []*Case
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		c, err := ParseCase(strings.TrimSuffix(filepath.Base(name), Extension), text)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// WriteCase writes a case into a folder, which it makes if it is not there.
func WriteCase(dir string, c *Case) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, c.Name+Extension)
	return path, os.WriteFile(path, c.Append(nil), 0o644)
}

// sizes of calls that must give the same rows; 0: as many as it takes.
var sizes = []int{0, 1, 7, 256}

// CheckAll runs a plugin on its cases and on generated ones. An error is one of the tool's: what the plugin does wrong is in the checks.
//
// A case must give what it expects. Whatever it is given, a plugin may not trap, run out of fuel, or answer what cannot be. If its manifest says deterministic, two
// instances must give the same, and rows of one case the same in calls of 1, 7, 256 and max_rows; of an aggregate also in two parts that are merged. And each kind must
// keep what it promises.
func CheckAll(p *plugins.Plugin, dir string, o Options) ([]Check, error) {
	cases, err := ReadCases(dir)
	if err != nil {
		return nil, err
	}
	var all []Check
	for _, c := range cases {
		all = append(all, checkCase(p, c))
		if !o.Update {
			continue
		}
		r, err := Run(p, c, 0)
		if err != nil {
			continue // it is told
		}
		if c.Want = r.Lines; c.Want == nil {
			c.Want = []string{}
		}
		if _, err := WriteCase(dir, c); err != nil {
			return nil, err
		}
		all[len(all)-1] = checkCase(p, c)
	}
	kinds := p.Manifest().Kinds
	for unit := range kinds {
		for _, n := range []int{1, 7, 256, p.Manifest().Limits.MaxRows} {
			k, err := generated(p, unit, max(o.Seed, 1), n, cases)
			if err != nil {
				return nil, err
			}
			if k.Name = fmt.Sprintf("generated, %d rows", n); kinds[unit].Kind == manifest.Parser {
				k.Name = fmt.Sprintf("generated, %d packets", n)
			}
			all = append(all, *k)
		}
		if kinds[unit].Kind == manifest.Serializer {
			all = append(all, room(p, unit, cases))
		}
		if o.Fuzz > 0 {
			k, err := fuzz(p, unit, o.Fuzz/time.Duration(len(kinds)), max(o.Seed, 1), cases)
			if err != nil {
				return nil, err
			}
			all = append(all, *k)
		}
	}
	return all, nil
}

// fillers are what symbols of rows that are as long as can be are made of: what formats escape, and in how many bytes.
const fillers = "\"\\\xff"

// room sees that a serializer has room, and fuel, for as many rows as it takes.
func room(p *plugins.Plugin, unit int, cases []*Case) Check {
	k := Check{Name: "rows as long as can be", Unit: unitName(&p.Manifest().Kinds[unit]), Ok: true}
	for _, filler := range []byte(fillers) {
		c := longest(p, unit, filler)
		if c.Params = paramsFor(c, cases); len(c.In.Columns) == 0 {
			continue // it reads nothing that has a length
		}
		r, err := Run(p, c, 0)
		if err != nil {
			k.Ok, k.What, k.Case = false, problem(err), c
			return k
		}
		k.Rows += len(c.In.Rows)
		k.Fuel = max(k.Fuel, float64(r.Fuel)/float64(len(c.In.Rows)))
	}
	return k
}

func generated(p *plugins.Plugin, unit int, seed uint64, n int, cases []*Case) (*Check, error) {
	c, err := Generate(p, unit, seed, n, cases)
	if err != nil {
		return nil, err
	}
	k := checkCase(p, c)
	if !k.Ok {
		k.Case = c
	}
	return &k, nil
}

// fuzz checks case after case until the time is over or one fails, which is then cut down to few rows.
func fuzz(p *plugins.Plugin, unit int, d time.Duration, seed uint64, cases []*Case) (*Check, error) {
	sum := &Check{Ok: true, Unit: unitName(&p.Manifest().Kinds[unit])}
	fuel, batches := 0.0, 0
	for end := time.Now().Add(d); batches == 0 || time.Now().Before(end); seed++ {
		batches++
		k, err := generated(p, unit, seed, 1+int(seed*2654435761%509), cases)
		if err != nil {
			return nil, err
		}
		sum.Rows += k.Rows
		fuel += k.Fuel * float64(k.Rows)
		if !k.Ok {
			sum.Ok, sum.Case = false, smaller(p, k.Case)
			sum.What = fmt.Sprintf("seed %d: %s", seed, checkCase(p, sum.Case).What)
			break
		}
	}
	sum.Fuel = fuel / float64(max(sum.Rows, 1))
	sum.Name = fmt.Sprintf("fuzz, %d batches", batches)
	return sum, nil
}

// smaller leaves rows out of a case that fails a check, as long as it still does.
func smaller(p *plugins.Plugin, c *Case) *Case {
	return without(c, func(c *Case) bool { return !checkCase(p, c).Ok })
}

// reduced leaves rows out of a case as long as its error is the same.
func reduced(p *plugins.Plugin, c *Case, same func(error) bool) *Case {
	return without(c, func(c *Case) bool {
		_, err := Run(p, c, 0)
		return same(err)
	})
}

// without leaves rows or packets out of a case as long as the rest fails: halves first, then smaller parts.
func without(c *Case, fails func(*Case) bool) *Case {
	length := func(c *Case) int { return max(len(c.In.Rows), len(c.Packets)) }
	for step := length(c) / 2; step > 0; step /= 2 {
		for from := 0; from+step <= length(c); {
			try := *c
			if c.Unit == manifest.Parser {
				try.Packets = slices.Delete(slices.Clone(c.Packets), from, from+step)
			} else {
				try.In.Rows = slices.Delete(slices.Clone(c.In.Rows), from, from+step)
			}
			if length(&try) > 0 && fails(&try) {
				c = &try
			} else {
				from += step
			}
		}
	}
	return c
}

func unitName(u *manifest.Unit) string { return strings.TrimSpace(string(u.Kind) + " " + u.Name) }

// checkCase runs a case in calls of all sizes.
func checkCase(p *plugins.Plugin, c *Case) Check {
	k := Check{Name: c.Name, Unit: strings.TrimSpace(string(c.Unit) + " " + c.UnitName)}
	n := max(len(c.In.Rows), len(c.Packets))
	fuel := uint64(0)
	var first *Result
	runs := sizes
	switch {
	case c.Unit == manifest.Parser || c.Unit == manifest.Index || c.Unit == manifest.Codec && p.Manifest().Deterministic:
		runs = []int{0, 0} // packets and blocks are what they are
	case !p.Manifest().Deterministic:
		runs = sizes
	default:
		runs = append([]int{0}, sizes...)
	}
	if unit := p.Unit(c.Unit, c.UnitName); unit >= 0 && c.Unit == manifest.Aggregate && p.Manifest().Kinds[unit].Returns != manifest.F64 { // sums of floats depend on their order
		runs = append(slices.Clone(runs), merged)
	}
	for at, rows := range runs {
		r, err := Run(p, c, rows)
		if err != nil {
			if k.What = problem(err); errors.As(err, new(*plugins.Failure)) {
				k.What = fmt.Sprintf("in %s: %s", calls(rows), k.What)
			}
			return k
		}
		k.Rows += n
		fuel += r.Fuel
		switch {
		case at == 0:
			if first = r; c.Want != nil {
				if what := differ(r.Lines, c.Want, "what comes out", "what is expected"); what != "" {
					k.What = what
					return k
				}
			}
		case !p.Manifest().Deterministic:
		default:
			if what := differ(r.Lines, first.Lines, calls(rows), calls(runs[0])); what != "" {
				k.What = "deterministic it is not: " + what
				return k
			}
		}
	}
	k.Fuel = float64(fuel) / float64(max(k.Rows, 1))
	if kept := promises[c.Unit]; kept != nil {
		if err := kept(p, c, first); err != nil {
			k.What = problem(err)
			return k
		}
	}
	k.Ok = true
	return k
}

// problem tells an error in one line: a failure without the stack.
func problem(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func calls(rows int) string {
	switch rows {
	case 0:
		return "calls of max_rows"
	case 1:
		return "calls of 1 row"
	case merged:
		return "two parts that are merged"
	}
	return fmt.Sprintf("calls of %d rows", rows)
}

// differ says where two results part, "": nowhere.
func differ(got, want []string, gotIs, wantIs string) string {
	for k := range max(len(got), len(want)) {
		switch {
		case k >= len(want):
			return fmt.Sprintf("row %d is too much: %s", k, got[k])
		case k >= len(got):
			return fmt.Sprintf("row %d is missing: %s", k, want[k])
		case got[k] == want[k]:
			continue
		case k == 0:
			return fmt.Sprintf("columns %s, want %s", got[0], want[0])
		}
		names, g, w := tokens(got[0]), tokens(got[k]), tokens(want[k])
		for c := range g {
			if c < len(w) && len(g) == len(w) && len(names) == len(g) && g[c] != w[c] {
				return fmt.Sprintf("row %d: %s is %s in %s, %s in %s", k, names[c], g[c], gotIs, w[c], wantIs)
			}
		}
		return fmt.Sprintf("row %d is %s in %s, %s in %s", k, got[k], gotIs, want[k], wantIs)
	}
	return ""
}

// CasesOf is the folder of a plugin's cases: beside its source, or beside its module.
func CasesOf(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, Folder)
	} else if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return filepath.Join(filepath.Dir(path), Folder)
}
