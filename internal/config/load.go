package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// EnvPrefix begins every variable that overrides a key.
const EnvPrefix = "TICKWIRE_"

// reserved are variables of that prefix that are no keys.
var reserved = map[string]bool{"TICKWIRE_VECTORS": true, "TICKWIRE_CONFIG": true}

// Load reads a file (none when path is empty), lets environ override it, fills in defaults and checks everything.
func Load(path string, environ []string) (*Config, error) {
	var text []byte
	if path != "" {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
	}
	c, err := Parse(text, environ)
	if err != nil && path != "" {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, err
}

// Parse is Load for a text.
func Parse(text []byte, environ []string) (*Config, error) {
	// Read strictly as it stands first: only then do faults have a line. Keys that are none are no reason to stop there.
	_, unknown := decode(text)
	if unknown != nil && !errors.As(unknown, new(*toml.StrictMissingError)) {
		return nil, describe(unknown)
	}
	tree := map[string]any{}
	if err := toml.Unmarshal(text, &tree); err != nil {
		return nil, describe(err)
	}
	var faults []error
	overridden := false
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, EnvPrefix) || reserved[name] {
			continue
		}
		keys := strings.Split(strings.ToLower(strings.TrimPrefix(name, EnvPrefix)), "__")
		if len(keys) < 2 {
			continue // not a key of a section: somebody else's variable
		}
		if err := set(tree, keys, value); err != nil {
			faults = append(faults, fmt.Errorf("config: %s: %w", name, err))
		}
		overridden = true
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if overridden {
		var err error
		if text, err = toml.Marshal(tree); err != nil {
			return nil, fmt.Errorf("config: environment: %w", err)
		}
	}
	c, err := decode(text)
	switch {
	case unknown != nil:
		unknown = describe(unknown)
	case err != nil:
		return nil, fmt.Errorf("with the environment's overrides: %w", describe(err))
	}
	c.Defaults()
	return c, errors.Join(unknown, c.Validate())
}

// decode reads strictly. What could be read is there beside a *toml.StrictMissingError.
func decode(text []byte) (*Config, error) {
	var c Config
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&c)
	return &c, err
}

// describe gives the library's errors their line.
func describe(err error) error {
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) {
		var faults []error
		for _, e := range missing.Errors {
			row, _ := e.Position()
			faults = append(faults, fmt.Errorf("config: line %d: there is no key %s%s", row, strings.Join(e.Key(), "."), siblings(e.Key())))
		}
		return errors.Join(faults...)
	}
	var one *toml.DecodeError
	if errors.As(err, &one) {
		row, column := one.Position()
		return fmt.Errorf("config: line %d, column %d: %s (the file was read no further)", row, column, strings.TrimPrefix(one.Error(), "toml: "))
	}
	return fmt.Errorf("config: %w", err)
}

// siblings says which keys there are beside one that is none.
func siblings(key []string) string {
	section := reflect.TypeFor[Config]()
	var names []string
	for i := range key {
		for section.Kind() == reflect.Slice {
			section = section.Elem()
		}
		if section.Kind() != reflect.Struct {
			return "" // below a plain value
		}
		names = names[:0]
		var below reflect.Type
		for f := range section.NumField() {
			name := section.Field(f).Tag.Get("toml")
			names = append(names, name)
			if name == key[i] {
				below = section.Field(f).Type
			}
		}
		if below == nil {
			slices.Sort(names)
			return "; there are " + strings.Join(names, ", ")
		}
		section = below
	}
	return ""
}

// set puts value at a path of keys; a list is indexed by number and grows by one at most.
func set(tree map[string]any, keys []string, value string) error {
	key := keys[0]
	if len(keys) == 1 {
		tree[key] = parseValue(value)
		return nil
	}
	if index, err := strconv.Atoi(keys[1]); err == nil {
		list, _ := tree[key].([]any)
		if index > len(list) || index < 0 {
			return fmt.Errorf("%s has %d entries, there is no number %d", key, len(list), index)
		}
		if index == len(list) {
			list = append(list, map[string]any{})
		}
		tree[key] = list
		if len(keys) == 2 {
			list[index] = parseValue(value)
			return nil
		}
		entry, ok := list[index].(map[string]any)
		if !ok {
			return fmt.Errorf("%s.%d has no keys", key, index)
		}
		return set(entry, keys[2:], value)
	}
	section, ok := tree[key].(map[string]any)
	if !ok {
		if tree[key] != nil {
			return fmt.Errorf("%s has no keys; a list needs a number, as in %s__0__%s", key, strings.ToUpper(key), strings.ToUpper(keys[1]))
		}
		section = map[string]any{}
		tree[key] = section
	}
	return set(section, keys[1:], value)
}

// parseValue takes what reads as a TOML value (a number, true, a list) as that, and everything else as text.
func parseValue(value string) any {
	var probe struct{ V any }
	if err := toml.Unmarshal([]byte("V = "+value), &probe); err == nil {
		if _, isTime := probe.V.(time.Time); !isTime {
			return probe.V
		}
	}
	return value
}

// UnmarshalText reads a Go duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no time span such as 2ms or 1m30s", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes it as it is read.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

var units = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}, {"", 1}}

// UnmarshalText reads a number with a unit.
func (s *Size) UnmarshalText(text []byte) error {
	str := strings.TrimSpace(string(text))
	for _, u := range units {
		number, ok := strings.CutSuffix(str, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.bytes {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is no size such as 4GiB or 512MiB", text)
}

// MarshalText writes the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range units[:3] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return fmt.Appendf(nil, "%d%s", int64(s)/u.bytes, u.suffix), nil
		}
	}
	return strconv.AppendInt(nil, int64(s), 10), nil
}
