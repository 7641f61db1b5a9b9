package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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
	case p.Min != nil && p.Max != nil && *p.Min > *p.Max:
		return fmt.Errorf("min %v is above max %v", *p.Min, *p.Max)
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
			if b, err := strconv.ParseBool(v); err == nil {
				return b, nil
			}
		}
	case "string":
		if s, ok := v.(string); ok && utf8.ValidString(s) {
			return s, nil
		}
	case "i64":
		n, err := integer(v)
		if err != nil {
			return nil, err
		}
		return n, p.within(new(big.Rat).SetInt64(n))
	case "f64":
		f, err := number(v)
		if err != nil {
			return nil, err
		}
		return f, p.within(rational(f))
	case "price":
		n, err := price(v)
		if err != nil {
			return nil, err
		}
		return n, p.within(big.NewRat(n, 1e9))
	}
	return nil, fmt.Errorf("%q is no %s", fmt.Sprint(v), p.Type)
}

// within compares exactly: int64 has values that float64 has not.
func (p *Param) within(v *big.Rat) error {
	switch {
	case p.Min != nil && v.Cmp(rational(*p.Min)) < 0:
		return fmt.Errorf("%s is below %v", decimal(v), *p.Min)
	case p.Max != nil && v.Cmp(rational(*p.Max)) > 0:
		return fmt.Errorf("%s is above %v", decimal(v), *p.Max)
	}
	return nil
}

// rational is the decimal that was written for f, not the binary fraction beside it: a price of 0.1 is not below 0.1.
func rational(f float64) *big.Rat {
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	return r
}

func decimal(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func integer(v any) (int64, error) {
	switch v := v.(type) {
	case int:
		return int64(v), nil
	case int64:
		return v, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 { // beyond, it stands for several whole numbers
			return int64(v), nil
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return integer(f) // 1e3, 5.0
		}
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%q is no whole number of 64 bits", fmt.Sprint(v))
}

func number(v any) (float64, error) {
	f := math.NaN()
	switch v := v.(type) {
	case int:
		f = float64(v)
	case int64:
		f = float64(v)
	case float64:
		f = v
	case json.Number:
		return number(v.String())
	case string:
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			f = n
		}
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%q is no number", fmt.Sprint(v))
	}
	return f, nil
}

// price brings a number to 1e-9, exactly. Text has no exponent; numbers of JSON and TOML may.
func price(v any) (int64, error) {
	switch v := v.(type) {
	case int:
		return parsePrice(strconv.Itoa(v))
	case int64:
		return parsePrice(strconv.FormatInt(v, 10))
	case float64:
		return parsePrice(strconv.FormatFloat(v, 'f', -1, 64))
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), "eE") {
			return price(f)
		}
		return parsePrice(v.String())
	case string:
		return parsePrice(v)
	}
	return 0, fmt.Errorf("%q is no price", fmt.Sprint(v))
}

// decimalText is a sign, digits, and at most nine of them behind a point: -0.5, .25, 101.
var decimalText = regexp.MustCompile(`^[+-]?(\d+(\.\d{1,9})?|\.\d{1,9})$`)

func parsePrice(text string) (int64, error) {
	if !decimalText.MatchString(text) {
		return 0, fmt.Errorf("%q is no price of at most nine decimals", text)
	}
	whole, part, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", 9-len(part)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is no price within ±9223372036.854775807", text)
	}
	return n, nil
}
