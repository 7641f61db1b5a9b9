package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestBars: the picture is well-formed, bars are as long as their figures say, and marks stand where the limits are.
func TestBars(t *testing.T) {
	p := Bars{Title: "a < b & c", Note: "one\ntwo", Unit: "x/s", Bars: []Bar{{"half", 50, math.NaN()}, {"whole", 100, 25}, {"none", 0, 100}, {"less than none", -3, math.NaN()}}}
	var out strings.Builder
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(out.String())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	var long []float64
	for _, m := range regexp.MustCompile(`<rect x="190" y="\d+" width="([0-9.]+)"`).FindAllStringSubmatch(out.String(), -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		long = append(long, v)
	}
	if len(long) != 4 || math.Abs(2*long[0]-long[1]) > 0.2 || long[2] != 0 || long[3] != 0 {
		t.Errorf("bars are %v long", long)
	}
	if n := strings.Count(out.String(), `stroke-width="3"`); n != 2 {
		t.Errorf("%d marks, want 2", n)
	}
	for _, want := range []string{"a &lt; b &amp; c", "50 x/s", "two"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in it", want)
		}
	}
	for _, bad := range [][]Bar{nil, {{"x", math.Inf(1), 0}}, {{"x", math.NaN(), 1}}} {
		if err := (&Bars{Bars: bad}).Write(io.Discard); !errors.Is(err, ErrEmpty) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
