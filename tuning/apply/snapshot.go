package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// SnapshotSchema names the layout of a Snapshot as JSON.
const SnapshotSchema = "ticktune.snapshot/1"

// Snapshot is what a machine's settings were at a time, as far as the catalogue looks at them.
type Snapshot struct {
	Schema   string            `json:"schema"`
	Name     string            `json:"name"`
	Time     time.Time         `json:"time"`
	Boot     string            `json:"boot_id"`
	Entry    int               `json:"entry"` // the last change in the journal then: `revert --to` sets back what came after
	Host     tuning.HostFacts  `json:"host"`
	Settings map[string]string `json:"settings"` // files of the kernel that can be written, by path; drivers' settings as "eth2 rings.rx_pending"
	Checks   map[string]string `json:"checks"`   // status and value, by id
}

// snapshotName is what a name may be: it is that of a file.
var snapshotName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// look reads the settings.
func (m *machine) look() *Snapshot {
	m.h.Refresh(time.Now())
	r := m.h.Run(tuning.Select{})
	s := &Snapshot{Schema: SnapshotSchema, Time: time.Now().UTC().Truncate(time.Millisecond), Boot: m.boot, Host: r.Host, Settings: map[string]string{}, Checks: map[string]string{}}
	for _, c := range r.Checks {
		text := c.Status.String()
		if c.Effective != nil {
			text += " " + c.Effective.Raw
		}
		if c.Configured != nil {
			text += " (next boot: " + c.Configured.Raw + ")"
		}
		s.Checks[c.ID] = text
		for _, e := range c.Evidence {
			if p, err := m.kernelFile(e.Source); err == nil && e.Error == "" && m.writable(e.Source) {
				if v, err := p.read(); err == nil {
					s.Settings[e.Source] = v.Text
				}
			}
		}
	}
	for _, face := range m.h.Plan.Interfaces {
		for name, text := range tuning.Fields(m.dev, face.Name) {
			s.Settings[face.Name+" "+name] = text
		}
	}
	return s
}

// writable says whether a file is a setting, and not only told.
func (m *machine) writable(name string) bool {
	info, err := os.Stat(m.dir(name))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o200 != 0
}

// snapshot looks and keeps it. An empty name is made of the time and the journal's place.
func (m *machine) snapshot(j *journal, name string) (string, error) {
	s := m.look()
	s.Entry = j.last
	if s.Name = name; name == "" {
		s.Name = fmt.Sprintf("%s-%d", s.Time.Format("20060102T150405"), j.last)
	}
	if !snapshotName.MatchString(s.Name) {
		return "", fmt.Errorf("%q is no name of a snapshot: letters, digits, . _ and -", s.Name)
	}
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(m.o.Dir, "snapshots")
	if err := os.MkdirAll(m.dir(dir), 0o700); err != nil {
		return "", err
	}
	file := filepath.Join(dir, s.Name+".json")
	if name != "" && m.exists(file) {
		return "", fmt.Errorf("there is a snapshot %s already", name)
	}
	if err := m.replace(file, string(text)+"\n", 0o600); err != nil {
		return "", err
	}
	if name == "" {
		m.prune(dir)
	}
	return s.Name, nil
}

// keptSnapshots is how many of those that runs take are kept; those that people named all are.
const keptSnapshots = 64

var ownName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}-[0-9]+$`)

func (m *machine) prune(dir string) {
	own := slices.DeleteFunc(m.snapshots(), func(n string) bool { return !ownName.MatchString(n) })
	for _, n := range own[:max(0, len(own)-keptSnapshots)] { // their names sort by time
		_ = os.Remove(m.dir(filepath.Join(dir, n+".json")))
	}
}

// readSnapshot finds one by name, or by the path of its file.
func (m *machine) readSnapshot(name string) (*Snapshot, error) {
	file := name
	if !strings.Contains(name, "/") {
		if !snapshotName.MatchString(name) {
			return nil, fmt.Errorf("%q is no name of a snapshot", name)
		}
		file = m.dir(filepath.Join(m.o.Dir, "snapshots", name+".json"))
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no snapshot %s; there are: %s", name, strings.Join(m.snapshots(), " "))
	} else if err != nil {
		return nil, err
	}
	var s Snapshot
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", name, err)
	}
	if s.Schema != SnapshotSchema || s.Entry < 0 {
		return nil, fmt.Errorf("snapshot %s: schema %q, want %s", name, s.Schema, SnapshotSchema)
	}
	return &s, nil
}

func (m *machine) snapshots() (names []string) {
	files, _ := filepath.Glob(filepath.Join(m.dir(m.o.Dir), "snapshots", "*.json"))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	sort.Strings(names)
	return names
}

// Take makes a snapshot and keeps it, under a name, or one of its own making if that is empty.
func Take(h *tuning.Host, name string, o Options) (string, error) {
	o = o.withDefaults()
	m, err := newMachine(h, &o)
	if err != nil {
		return "", err
	}
	j, err := m.open(patience)
	if err != nil {
		return "", err
	}
	defer j.close()
	return m.snapshot(j, name)
}

// Snapshots are the names of those that are kept, sorted.
func Snapshots(h *tuning.Host, o Options) ([]string, error) {
	o = o.withDefaults()
	m, err := newMachine(h, &o)
	if err != nil {
		return nil, err
	}
	return m.snapshots(), nil
}

// Difference is a setting or a check in which two snapshots differ.
type Difference struct {
	What string `json:"what"`
	A    Value  `json:"a"` // null: it is not in that one
	B    Value  `json:"b"`
}

// Now is the name of the machine as it is, for Diff.
const Now = "now"

// Diff compares two snapshots, by name, by path of a file, or Now: settings first, then checks, each sorted.
func Diff(h *tuning.Host, a, b string, o Options) ([]Difference, error) {
	o = o.withDefaults()
	m, err := newMachine(h, &o)
	if err != nil {
		return nil, err
	}
	var both [2]*Snapshot
	for i, name := range []string{a, b} {
		if name == Now {
			both[i] = m.look()
		} else if both[i], err = m.readSnapshot(name); err != nil {
			return nil, err
		}
	}
	return append(differences(both[0].Settings, both[1].Settings), differences(both[0].Checks, both[1].Checks)...), nil
}

func differences(a, b map[string]string) (list []Difference) {
	var names []string
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		if _, ok := a[n]; !ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		var d Difference
		d.What = n
		d.A.Text, d.A.There = a[n], has(a, n)
		d.B.Text, d.B.There = b[n], has(b, n)
		if d.A != d.B {
			list = append(list, d)
		}
	}
	return list
}

func has(m map[string]string, key string) bool { _, ok := m[key]; return ok }
