package manifest

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
)

func TestParsePrice(t *testing.T) {
	for _, tc := range []struct {
		text string
		want int64
	}{
		{"0", 0}, {"-0", 0}, {"1", 1_000_000_000}, {"101.25", 101_250_000_000}, {"-0.5", -500_000_000}, {"-.5", -500_000_000}, {".5", 500_000_000}, {"+.5", 500_000_000},
		{"-1.000000001", -1_000_000_001}, {"0.000000001", 1}, {"-0.000000001", -1}, {"0001.5", 1_500_000_000},
		{"9223372036.854775807", math.MaxInt64}, {"-9223372036.854775808", math.MinInt64},
	} {
		if got, err := parsePrice(tc.text); err != nil || got != tc.want {
			t.Errorf("%s: %d, %v; want %d", tc.text, got, err, tc.want)
		}
	}
	for _, bad := range []string{"", "-", "+", ".", "-.", "1.", "1.-5", "1.+5", "--1", "1e5", "1_000", "1,5", " 1", "1 ", "0x10", "NaN", "Inf", "1/2", "0.0000000001", "9223372036.854775808", "-9223372036.854775809", "99999999999"} {
		if got, err := parsePrice(bad); err == nil {
			t.Errorf("%q is taken as %d", bad, got)
		}
	}
}

func ptr(f float64) *float64 { return &f }

// TestValues: each type as JSON, TOML and a command line give it, and each way it can be wrong.
func TestValues(t *testing.T) {
	number := func(s string) json.Number { return json.Number(s) }
	for _, tc := range []struct {
		param Param
		set   any
		want  string // the value in tw_init's JSON, or part of the error behind "!"
	}{
		{Param{Type: "i64"}, 5, "5"},
		{Param{Type: "i64"}, int64(math.MinInt64), "-9223372036854775808"},
		{Param{Type: "i64"}, "9223372036854775807", "9223372036854775807"},
		{Param{Type: "i64"}, number("9007199254740993"), "9007199254740993"},
		{Param{Type: "i64"}, number("1e3"), "1000"},
		{Param{Type: "i64"}, 5.0, "5"},
		{Param{Type: "i64"}, 5.5, "!no whole number"},
		{Param{Type: "i64"}, float64(1 << 53), "!no whole number"},
		{Param{Type: "i64"}, math.NaN(), "!no whole number"},
		{Param{Type: "i64"}, number("9223372036854775808"), "!no whole number"},
		{Param{Type: "i64"}, "9223372036854775808", "!no whole number"},
		{Param{Type: "i64"}, "", "!no whole number"},
		{Param{Type: "i64"}, true, "!no whole number"},
		{Param{Type: "i64", Min: ptr(1), Max: ptr(10)}, 1, "1"},
		{Param{Type: "i64", Min: ptr(1), Max: ptr(10)}, 10, "10"},
		{Param{Type: "i64", Min: ptr(1), Max: ptr(10)}, 0, "!0 is below 1"},
		{Param{Type: "i64", Min: ptr(1), Max: ptr(10)}, 11, "!11 is above 10"},
		{Param{Type: "i64", Max: ptr(1 << 53)}, "9007199254740993", "!is above"}, // as float64 it is 1<<53
		{Param{Type: "f64"}, 0.1, "0.1"},
		{Param{Type: "f64"}, 3, "3"},
		{Param{Type: "f64"}, "-2.5e-3", "-0.0025"},
		{Param{Type: "f64"}, number("1e300"), "1e+300"},
		{Param{Type: "f64"}, "1e400", "!no number"},
		{Param{Type: "f64"}, "NaN", "!no number"},
		{Param{Type: "f64"}, "inf", "!no number"},
		{Param{Type: "f64"}, math.Inf(-1), "!no number"},
		{Param{Type: "f64", Min: ptr(0.1)}, 0.1, "0.1"},
		{Param{Type: "f64", Min: ptr(0.1)}, 0.0999, "!0.0999 is below 0.1"},
		{Param{Type: "price"}, "-0.5", "-500000000"},
		{Param{Type: "price"}, 0.1, "100000000"},
		{Param{Type: "price"}, 101.25, "101250000000"},
		{Param{Type: "price"}, 7, "7000000000"},
		{Param{Type: "price"}, number("0.3"), "300000000"},
		{Param{Type: "price"}, number("1.5e2"), "150000000000"},
		{Param{Type: "price"}, 1.0 / 3, "!no price of at most nine decimals"},
		{Param{Type: "price"}, 1e22, "!no price within"},
		{Param{Type: "price"}, "", "!no price"},
		{Param{Type: "price"}, false, "!no price"},
		{Param{Type: "price", Min: ptr(0.1), Max: ptr(0.3)}, "0.1", "100000000"},
		{Param{Type: "price", Min: ptr(0.1), Max: ptr(0.3)}, "0.3", "300000000"},
		{Param{Type: "price", Min: ptr(0.1), Max: ptr(0.3)}, "0.300000001", "!0.300000001 is above 0.3"},
		{Param{Type: "bool"}, true, "true"},
		{Param{Type: "bool"}, "false", "false"},
		{Param{Type: "bool"}, "yes", `!"yes" is no bool`},
		{Param{Type: "bool"}, 1, "!is no bool"},
		{Param{Type: "string"}, "a \"b\" \x01", `"a \"b\" \u0001"`},
		{Param{Type: "string"}, "", `""`},
		{Param{Type: "string"}, "\xff", "!is no string"}, // JSON would carry another text
		{Param{Type: "string"}, 5, "!is no string"},
	} {
		tc.param.Name = "p"
		m := Manifest{Name: "x", Params: []Param{tc.param}}
		got, err := m.Values(map[string]any{"p": tc.set})
		if wrong, bad := strings.CutPrefix(tc.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), wrong) || !strings.Contains(err.Error(), "plugin x: parameter p") {
				t.Errorf("%+v %v: %s, %v; want an error with %q", tc.param, tc.set, got, err, wrong)
			}
		} else if err != nil || string(got) != `{"p":`+tc.want+`}` {
			t.Errorf("%+v %v: %s, %v; want %s", tc.param, tc.set, got, err, tc.want)
		}
	}
}

func TestValuesFillsInDefaults(t *testing.T) {
	m, err := Parse([]byte(`{"name": "x", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "validator"}], "params": [
		{"name": "big", "type": "i64", "default": 9007199254740993}, {"name": "tick", "type": "price", "default": 0.01}, {"name": "must", "type": "string"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Values(map[string]any{"must": "é"})
	if want := `{"big":9007199254740993,"tick":10000000,"must":"é"}`; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if _, err := m.Values(nil); err == nil || !strings.Contains(err.Error(), "must must be set") {
		t.Errorf("a parameter that must be set is not: %v", err)
	}
	if _, err := m.Values(map[string]any{"must": "", "Tick": 1}); err == nil || !strings.Contains(err.Error(), `no parameter "Tick"`) {
		t.Errorf("an unknown parameter: %v", err)
	}
	var again map[string]any
	if err := json.Unmarshal(got, &again); err != nil {
		t.Error(err)
	}
}

// FuzzPrice: what is taken is the number that is written, by another reader of decimals.
func FuzzPrice(f *testing.F) {
	for _, s := range []string{"0", "-.5", "101.25", "9223372036.854775807", "1e5", "", "-", "0.0000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parsePrice(text)
		if err != nil {
			return
		}
		if want, ok := new(big.Rat).SetString(text); !ok || want.Cmp(big.NewRat(n, 1e9)) != 0 {
			t.Errorf("%q is taken as %d", text, n)
		}
	})
}
