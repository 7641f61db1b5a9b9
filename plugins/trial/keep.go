package trial

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
)

// CaseOf is what a plugin that failed in a chain was given, as a case for `tickwire plugin debug`: the columns that its instance still holds. State that the plugin
// kept from batches before, and the participant of rows other than new orders, are not in it.
func CaseOf(d plugins.Dead) (*Case, error) {
	m := d.Instance.Plugin().Manifest()
	u := &m.Kinds[d.Unit]
	c := &Case{Name: m.Name, Unit: u.Kind, UnitName: u.Name, Now: d.Instance.Now}
	var err error
	if c.Params, err = paramsOf(m, d.Instance.Params()); err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(d.Err.Error(), "\n")
	c.notes = []string{"# " + oneLine(line)}
	if u.Kind == manifest.Parser {
		c.Packets = append(c.Packets, d.Packet)
		return c, nil
	}
	r := runner{c: c, i: d.Instance, unit: d.Unit, m: u}
	type from struct {
		id uint16
		t  manifest.Type
	}
	var columns []from
	for _, name := range append(slices.Clone(u.Reads), u.Writes...) {
		col, ok := manifest.ColumnNamed(name)
		switch {
		case slices.Contains(c.In.Columns, name) || col.Hidden:
			continue
		case name == "publisher_id":
			if view, _ := d.Instance.Column(d.Unit, col.ID); len(view) >= 2 {
				c.Publisher = binary.LittleEndian.Uint16(view)
			}
			continue
		case !ok:
			id := uint16(manifest.ColumnEarlier + slices.Index(earlierOf(u), name))
			columns = append(columns, from{id, d.Instance.TypeOf(d.Unit, id)})
		default:
			columns = append(columns, from{col.ID, col.Type})
		}
		c.In.Columns = append(c.In.Columns, name)
		if slices.Contains(u.Writes, name) {
			c.notes = append(c.notes, "# "+name+" may be what the plugin wrote before it failed")
		}
	}
	if len(columns) == 0 { // rows are all that it saw
		kind, _ := manifest.ColumnNamed("kind")
		c.In.Columns = []string{kind.Name}
	}
	for row := range min(d.Rows, MostRows) {
		cells := make([]string, 0, len(columns))
		for k, col := range columns {
			text := r.cell(col.id, col.t, row)
			if n, err := strconv.Atoi(text); err == nil && c.In.Columns[k] == "side" && (n == 'A' || n == 'B' || n == 'N') {
				text = string(rune(n))
			}
			cells = append(cells, text)
		}
		if len(columns) == 0 {
			cells = []string{"1"}
		}
		c.In.Rows = append(c.In.Rows, cells)
	}
	return c, nil
}

// paramsOf is what a configuration would have set to give an instance these parameters.
func paramsOf(m *manifest.Manifest, text []byte) (map[string]any, error) {
	set := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&set); err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	for _, p := range m.Params {
		if n, ok := set[p.Name].(json.Number); ok && p.Type == "price" {
			v, err := n.Int64()
			if err != nil {
				return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
			}
			set[p.Name] = formatPrice(v)
		}
		set[p.Name] = fmt.Sprint(set[p.Name])
	}
	return set, nil
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// Keep is a function for plugins.Options.OnFailure that writes what plugins failed on into a folder, which it makes. Of each version of a plugin there are at most so
// many files, NAME-VERSION-1.txt and on; who wants more takes some away. What cannot be written is logged.
func Keep(dir string, most int, log *slog.Logger) func(plugins.Dead) {
	return func(d plugins.Dead) {
		path, err := keep(dir, most, d)
		switch {
		case err != nil:
			log.Error("plugins: what a plugin failed on cannot be kept", "dir", dir, "error", err)
		case path != "":
			log.Warn("plugins: what a plugin failed on is kept for `tickwire plugin debug`", "file", path)
		}
	}
}

// keep writes a file under the first name that is free, whole or not at all; "": there are as many as there may be.
func keep(dir string, most int, d plugins.Dead) (path string, err error) {
	m := d.Instance.Plugin().Manifest()
	name := func(n int) string {
		return filepath.Join(dir, fmt.Sprintf("%s-%s-%d%s", m.Name, m.Version, n, Extension))
	}
	if _, err := os.Lstat(name(most)); err == nil {
		return "", nil
	}
	c, err := CaseOf(d)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, ".case-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(c.Append(nil))
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return "", err
	}
	for n := 1; n <= most; n++ {
		if err = os.Link(f.Name(), name(n)); err == nil {
			return name(n), nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", nil
}
