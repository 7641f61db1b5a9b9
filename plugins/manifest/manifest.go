// Package manifest is what a plugin says of itself: the section tickwire.plugin.v1 of its module (plugins/ABI.md).
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tickwire/tickwire/plugins/wasm"
)

// Of sections and bounds.
const (
	SectionName = "tickwire.plugin.v1"
	ABI         = 1
	MostBytes   = 64 << 10
	MostRows    = 4096
	MostKinds   = 64

	// MostModuleBytes is the size of a module of the largest sort (wasi), with its signature: nothing larger is read, stored or sent.
	MostModuleBytes = 16 << 20
)

// ErrNone says that a module has no manifest.
var ErrNone = errors.New("no manifest: the module has no section " + SectionName + ". `tickwire plugin build` appends it from plugin.json")

// Manifest of a module.
type Manifest struct {
	Name          string        `json:"name"`
	Version       string        `json:"version"`
	ABI           int           `json:"abi"`
	Author        string        `json:"author,omitempty"`
	Description   string        `json:"description,omitempty"`
	License       string        `json:"license,omitempty"`
	Kinds         []Unit        `json:"kinds"`
	Params        []Param       `json:"params,omitempty"`
	Limits        Limits        `json:"limits,omitzero"`
	OnTrap        OnTrap        `json:"on_trap,omitempty"`
	Requires      []Requirement `json:"requires,omitempty"`
	WASI          bool          `json:"wasi,omitempty"`
	Wants         Wants         `json:"wants,omitzero"`
	Command       bool          `json:"command,omitempty"`
	Deterministic bool          `json:"deterministic,omitempty"`
}

// Kind of a unit.
type Kind string

// Kinds.
const (
	Transform  Kind = "transform"
	Validator  Kind = "validator"
	Function   Kind = "function"
	Aggregate  Kind = "aggregate"
	Parser     Kind = "parser"
	Serializer Kind = "serializer"
	TypeKind   Kind = "type"
	Codec      Kind = "codec"
	Index      Kind = "index"
	Partition  Kind = "partition"
)

// Kinds in the order in which they are told.
var Kinds = []Kind{Transform, Validator, Function, Aggregate, Parser, Serializer, TypeKind, Codec, Index, Partition}

// Unit is one thing that a module does. Which keys count depends on its kind.
type Unit struct {
	Kind       Kind     `json:"kind"`
	Name       string   `json:"name,omitempty"`
	Reads      []string `json:"reads,omitempty"`
	Writes     []string `json:"writes,omitempty"`
	Custom     []Custom `json:"custom,omitempty"`  // transform
	Reasons    []string `json:"reasons,omitempty"` // transform, validator
	Args       []Type   `json:"args,omitempty"`    // function, aggregate
	Returns    Type     `json:"returns,omitempty"`
	Volatile   bool     `json:"volatile,omitempty"`    // function
	StateBytes int      `json:"state_bytes,omitempty"` // aggregate
	Title      string   `json:"title,omitempty"`       // parser
	Ports      []uint16 `json:"ports,omitempty"`
	Extension  string   `json:"extension,omitempty"` // serializer
	MediaType  string   `json:"media_type,omitempty"`
	Base       Type     `json:"base,omitempty"` // type
	Type       Type     `json:"type,omitempty"` // codec, index
	Strategies []string `json:"strategies,omitempty"`
}

// Custom is a column that a transform adds.
type Custom struct {
	Name        string `json:"name"`
	Type        Type   `json:"type"`
	Description string `json:"description,omitempty"`
}

// Limits that a plugin declares; the host's policy may allow less.
type Limits struct {
	MaxRows     int `json:"max_rows,omitempty"`
	MemoryPages int `json:"memory_pages,omitempty"`
	FuelPerRow  int `json:"fuel_per_row,omitempty"`
}

// OnTrap is what becomes of a batch whose call failed.
type OnTrap string

// Policies on a trap.
const (
	Pass       OnTrap = "pass"
	DropOutput OnTrap = "drop_output"
	StopFeed   OnTrap = "stop_feed"
)

// Requirement is another plugin that must be there.
type Requirement struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Wants is what a module does not load without, beside its rows: it says by which names, and a policy what stands behind them.
type Wants struct {
	Dirs []WantedDir `json:"dirs,omitempty"`
	Env  []string    `json:"env,omitempty"` // names of variables
}

// WantedDir is a folder.
type WantedDir struct {
	At    string `json:"at"` // as the module calls it, absolute
	Write bool   `json:"write,omitempty"`
}

// mostWants of each sort.
const mostWants = 64

func (w *Wants) check(wasi bool) error {
	switch {
	case len(w.Dirs)+len(w.Env) > 0 && !wasi:
		return errors.New("files and environment come by WASI, but wasi is not true")
	case len(w.Dirs) > mostWants || len(w.Env) > mostWants:
		return fmt.Errorf("%d folders and %d variables, but at most %d of each", len(w.Dirs), len(w.Env), mostWants)
	}
	for i, d := range w.Dirs {
		if !path.IsAbs(d.At) || path.Clean(d.At) != d.At {
			return fmt.Errorf("dirs[%d]: at %q is no absolute path without dots and doubled slashes", i, d.At)
		}
	}
	for i, name := range w.Env {
		if !variable.MatchString(name) {
			return fmt.Errorf("env[%d]: %q is no variable's name", i, name)
		}
	}
	return nil
}

var (
	variable   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	pluginName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	unitName   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
)

// ValidName says whether it can be a plugin's name. Such a name is safe in a path: it has no dot, slash or capital.
func ValidName(name string) bool { return pluginName.MatchString(name) }

// Of reads the manifest of a module.
func Of(module []byte) (*Manifest, error) {
	body, err := wasm.Custom(module, SectionName)
	switch {
	case err != nil:
		return nil, err
	case body == nil:
		return nil, ErrNone
	}
	return Parse(body)
}

// Parse reads a manifest and fills in what it leaves open. Errors name the key.
func Parse(text []byte) (*Manifest, error) {
	if len(text) > MostBytes {
		return nil, fmt.Errorf("manifest: %d bytes, but at most %d", len(text), MostBytes)
	}
	if err := checkText(text); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // defaults of parameters are taken as they are written: a float64 would round those above 2^53
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("manifest: offset %d: %w", d.InputOffset(), err)
	}
	if rest := bytes.TrimSpace(text[d.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("manifest: offset %d: more behind the object", d.InputOffset())
	}
	m.defaults()
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return &m, nil
}

// ArgsSection is the custom section with a command's arguments: a JSON array of texts, the program's name first.
const ArgsSection = "tickwire.args.v1"

// commandKinds have columns only.
var commandKinds = []Kind{Transform, Validator, Function, Partition}

func (m *Manifest) defaults() {
	if m.Limits.MaxRows == 0 {
		m.Limits.MaxRows = 1024
	}
	if m.Limits.MemoryPages == 0 {
		m.Limits.MemoryPages = 64
	}
	if m.Limits.FuelPerRow == 0 {
		m.Limits.FuelPerRow = 64
	}
	if m.OnTrap == "" {
		m.OnTrap = Pass
	}
}

func (m *Manifest) check() error {
	switch l := m.Limits; {
	case !pluginName.MatchString(m.Name):
		return fmt.Errorf("name %q: want 1 to 63 of a-z, 0-9 and -, not - first", m.Name)
	case !ValidVersion(m.Version):
		return fmt.Errorf("version %q is no semantic version such as 1.0.0, of at most %d bytes", m.Version, mostVersionBytes)
	case m.ABI > ABI:
		return fmt.Errorf("abi %d is newer than this tickwire's %d", m.ABI, ABI)
	case m.ABI != ABI:
		return fmt.Errorf("abi %d: there is only %d", m.ABI, ABI)
	case l.MaxRows < 1 || l.MaxRows > MostRows || l.MaxRows&(l.MaxRows-1) != 0:
		return fmt.Errorf("limits.max_rows %d is no power of two from 1 to %d", l.MaxRows, MostRows)
	case l.MemoryPages < 1 || l.MemoryPages > 1<<16:
		return fmt.Errorf("limits.memory_pages %d is not within 1 and 65536", l.MemoryPages)
	case l.FuelPerRow < 1 || l.FuelPerRow > 1<<30:
		return fmt.Errorf("limits.fuel_per_row %d is not within 1 and 2^30", l.FuelPerRow)
	case !slices.Contains([]OnTrap{Pass, DropOutput, StopFeed}, m.OnTrap):
		return fmt.Errorf("on_trap %q is none of pass, drop_output, stop_feed", m.OnTrap)
	case m.Command && !m.WASI:
		return errors.New("a command has its standard input and output by WASI, but wasi is not true")
	case len(m.Kinds) == 0:
		return errors.New("kinds: there is none, so the module does nothing")
	case len(m.Kinds) > MostKinds:
		return fmt.Errorf("kinds: %d, but at most %d", len(m.Kinds), MostKinds)
	}
	seen := map[string]bool{}
	for i := range m.Kinds {
		u := &m.Kinds[i]
		if err := u.check(); err != nil {
			return fmt.Errorf("kinds[%d] (%s): %w", i, u.Kind, err)
		}
		if m.Command && !slices.Contains(commandKinds, u.Kind) {
			return fmt.Errorf("kinds[%d]: a command cannot be a %s, only one of %v", i, u.Kind, commandKinds)
		}
		key := string(u.Kind) + " " + u.Name
		if seen[key] {
			return fmt.Errorf("kinds[%d]: a second %s", i, strings.TrimSpace(key))
		}
		seen[key] = true
	}
	names := map[string]bool{}
	for i, p := range m.Params {
		if err := p.check(); err != nil {
			return fmt.Errorf("params[%d] (%s): %w", i, p.Name, err)
		}
		if names[p.Name] {
			return fmt.Errorf("params[%d]: a second %s", i, p.Name)
		}
		names[p.Name] = true
	}
	needs := map[string]bool{}
	for i, r := range m.Requires {
		switch _, err := ParseRange(r.Version); {
		case !pluginName.MatchString(r.Name):
			return fmt.Errorf("requires[%d]: %q is no plugin's name", i, r.Name)
		case r.Name == m.Name:
			return fmt.Errorf("requires[%d]: the plugin needs itself", i)
		case err != nil:
			return fmt.Errorf("requires[%d] (%s): %w", i, r.Name, err)
		case needs[r.Name]:
			return fmt.Errorf("requires[%d]: a second %s; bounds of one range stand in one text", i, r.Name)
		}
		needs[r.Name] = true
	}
	if err := m.Wants.check(m.WASI); err != nil {
		return fmt.Errorf("wants: %w", err)
	}
	return nil
}

// checkText refuses what encoding/json would take in silence and other readers otherwise: bytes that are no UTF-8 (replaced), and a key that an object
// has twice, capitals or not (the last one wins). What is no JSON at all is left to the decoder, which says so better.
func checkText(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("not UTF-8")
	}
	type object struct {
		keys map[string]bool // nil: an array
		key  bool            // the next token is a key
	}
	var open []object
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // 1e999 is no error to the decoder either
	for {
		token, err := d.Token()
		if err != nil {
			return nil
		}
		top := len(open) - 1
		switch {
		case token == json.Delim('{'):
			open = append(open, object{map[string]bool{}, true})
			continue
		case token == json.Delim('['):
			open = append(open, object{})
			continue
		case token == json.Delim('}') || token == json.Delim(']'):
			open = open[:top]
			top--
		case top >= 0 && open[top].key:
			key := token.(string)
			folded := strings.ToUpper(strings.ToLower(key))
			if open[top].keys[folded] {
				return fmt.Errorf("offset %d: a second key %q", d.InputOffset(), key)
			}
			open[top].keys[folded], open[top].key = true, false
			continue
		}
		if top < 0 {
			return nil // the value is over
		}
		open[top].key = open[top].keys != nil
	}
}
