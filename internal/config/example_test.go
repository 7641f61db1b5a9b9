package config

import (
	"encoding"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var aside = regexp.MustCompile(`(?m)^# ((\w+ = \S)|(\[[\w.\[]+\]))`)

// everything switches every key on.
func everything(text string) string { return aside.ReplaceAllString(text, "$1") }

// TestExampleDefaults: a key of the example that is commented out shows the default, or the comment behind it says what that is.
func TestExampleDefaults(t *testing.T) {
	text, err := os.ReadFile("../../examples/tickwire.toml")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{} // keys whose comment tells
	for line := range strings.Lines(string(text)) {
		if key, rest, ok := strings.Cut(strings.TrimPrefix(line, "# "), " = "); ok && strings.Contains(strings.ToLower(rest), "default") {
			said[key] = true
		}
	}
	flat := func(text string) map[string]string {
		c, err := Parse([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Serve.Users = nil
		values := map[string]string{}
		flatten(values, "", reflect.ValueOf(*c))
		return values
	}
	standing, all := flat(string(text)), flat(everything(string(text)))
	if len(all) < 60 {
		t.Fatalf("only %d keys", len(all))
	}
	for key, shown := range all {
		if was := standing[key]; was != shown && !said[key[strings.LastIndexByte(key, '.')+1:]] {
			t.Errorf("examples/tickwire.toml: %s is shown as %s, and its default is %s", key, shown, was)
		}
	}
}

// flatten takes a configuration apart: feed.0.recovery.wait = 2ms.
func flatten(values map[string]string, key string, v reflect.Value) {
	below := func(name string, v reflect.Value) { flatten(values, strings.TrimPrefix(key+"."+name, "."), v) }
	_, plain := v.Interface().(encoding.TextMarshaler)
	switch {
	case v.Kind() == reflect.Struct && !plain:
		for i := range v.NumField() {
			below(v.Type().Field(i).Tag.Get("toml"), v.Field(i))
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			below(strconv.Itoa(i), v.Index(i))
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		flatten(values, key, v.Elem())
	default:
		values[key] = fmt.Sprint(v.Interface())
	}
}

// TestExampleFile: the documented example is good as it stands, and every line in it that is commented out is a key that
// exists.
func TestExampleFile(t *testing.T) {
	text, err := os.ReadFile("../../examples/tickwire.toml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Feed) != 1 || len(c.Feed[0].Channel) != 1 || len(c.Feed[0].Channel[0].Line) != 2 {
		t.Errorf("the example has lost its lines: %+v", c.Feed)
	}
	all := everything(string(text))
	if n := strings.Count(all, "\n# "); n > 3 {
		t.Errorf("%d lines are still comments: the file has changed its manner, and this test with it sees less", n)
	}
	if _, err := Parse([]byte(all), nil); err != nil {
		t.Errorf("with everything switched on: %v", err)
	}
}

// TestVenuesExample: the example of several venues is good, but for what this machine lacks.
func TestVenuesExample(t *testing.T) {
	text, err := os.ReadFile("../../examples/venues.toml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Feed) != 2 || len(c.Feed[0].Channel[0].Service) != 2 || len(c.Feed[1].Channel[0].Service) != 3 {
		t.Fatalf("the example has lost its services: %+v", c.Feed)
	}
	if got := c.Feed[0].Channel[0].Service[0].Interface; got != "eth2" {
		t.Errorf("a service without an interface is joined on %q, want line A's", got)
	}
	if got := fmt.Sprint(c.Publishers()); got != "[9 1]" {
		t.Errorf("publishers of the consolidated view: %s", got)
	}

	all := strings.Split(string(text), "\n")
	for i, line := range all {
		if aside.MatchString(line) && !strings.HasPrefix(line, "# schema") {
			all[i] = strings.TrimPrefix(line, "# ")
		}
	}
	c, err = Parse([]byte(strings.Join(all, "\n")), nil)
	if err != nil {
		t.Fatalf("with the FIX feed switched on: %v", err)
	}
	if len(c.Feed) != 3 || c.Feed[2].Source != "tcp" || !c.Feed[2].FIX.TLS.Use || len(c.Serve.FIX.Clients) != 1 || c.Serve.FIX.Feed != "fix" {
		t.Errorf("%+v %+v", c.Feed[len(c.Feed)-1], c.Serve.FIX)
	}
}
