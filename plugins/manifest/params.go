package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Param is one thing that configuration may set.
type Param struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"` // i64, f64, bool, string, price
	Default     any      `json:"default,omitempty"`
	Min         *float64 `json:"min,omitempty"`
	Max         *float64 `json:"max,omitempty"`
	Description string   `json:"description,omitempty"`
}

func (p *Param) check() error {
	switch {
	case !unitName.MatchString(p.Name):
		return errors.New("name: want a-z, then a-z, 0-9 and _, 63 at most")
	case !slices.Contains([]string{"i64", "f64", "bool", "string", "price"}, p.Type):
		return fmt.Errorf("type %q is none of i64, f64, bool, string, price", p.Type)
	case (p.Min != nil || p.Max != nil) && (p.Type == "bool" || p.Type == "string"):
		return errors.New("min and max are for numbers")
	case p.Default != nil:
		if _, err := p.value(p.Default); err != nil {
			return fmt.Errorf("default: %w", err)
		}
	}
	return nil
}

// Values fills in defaults and checks what configuration set, and gives JSON as tw_init gets it: keys in the manifest's order, prices as integers in 1e-9.
func (m *Manifest) Values(set map[string]any) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i := range m.Params {
		p := &m.Params[i]
		v, ok := set[p.Name]
		if !ok {
			v = p.Default
		}
		if v == nil {
			return nil, fmt.Errorf("plugin %s: parameter %s must be set: it has no default", m.Name, p.Name)
		}
		v, err := p.value(v)
		if err != nil {
			return nil, fmt.Errorf("plugin %s: parameter %s: %w", m.Name, p.Name, err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("plugin %s: parameter %s: %w", m.Name, p.Name, err)
		}
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%q:%s", p.Name, text)
	}
	out.WriteByte('}')
	for name := range set {
		if !slices.ContainsFunc(m.Params, func(p Param) bool { return p.Name == name }) {
			return nil, fmt.Errorf("plugin %s: no parameter %q", m.Name, name)
		}
	}
	return out.Bytes(), nil
}

// value brings what JSON, TOML or a command line gave to the parameter's type: int64, float64, bool or string.
func (p *Param) value(v any) (any, error) {
	switch p.Type {
	case "bool":
		switch v := v.(type) {
		case bool:
			return v, nil
		case string:
			return strconv.ParseBool(v)
		}
	case "string":
		if s, ok := v.(string); ok {
			return s, nil
		}
	case "i64":
		n, err := integer(v)
		if err != nil {
			return nil, err
		}
		return n, p.within(float64(n))
	case "f64":
		f, err := number(v)
		if err != nil {
			return nil, err
		}
		return f, p.within(f)
	case "price":
		text := fmt.Sprint(v)
		if f, ok := v.(float64); ok {
			text = strconv.FormatFloat(f, 'f', -1, 64)
		}
		n, err := price(text)
		if err != nil {
			return nil, err
		}
		return n, p.within(float64(n) / 1e9)
	}
	return nil, fmt.Errorf("%v is no %s", v, p.Type)
}

func (p *Param) within(f float64) error {
	switch {
	case p.Min != nil && f < *p.Min:
		return fmt.Errorf("%v is below %v", f, *p.Min)
	case p.Max != nil && f > *p.Max:
		return fmt.Errorf("%v is above %v", f, *p.Max)
	}
	return nil
}

func integer(v any) (int64, error) {
	switch v := v.(type) {
	case int:
		return int64(v), nil
	case int64:
		return v, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return int64(v), nil
		}
	case string:
		return strconv.ParseInt(v, 10, 64)
	}
	return 0, fmt.Errorf("%v is no whole number", v)
}

func number(v any) (float64, error) {
	switch v := v.(type) {
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v, nil
		}
	case string:
		f, err := strconv.ParseFloat(v, 64)
		if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			err = fmt.Errorf("%s is no number", v)
		}
		return f, err
	}
	return 0, fmt.Errorf("%v is no number", v)
}

// price reads a decimal of at most nine places, in 1e-9, exactly.
func price(text string) (int64, error) {
	whole, part, _ := strings.Cut(text, ".")
	if len(part) > 9 || part == "" && strings.Contains(text, ".") {
		return 0, fmt.Errorf("%s is no price of at most nine decimals", text)
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", 9-len(part)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is no price within ±9223372036.854775807", text)
	}
	return n, nil
}
