package manifest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestCompare: section 11 of semver.org, its own example, and numbers that no integer holds.
func TestCompare(t *testing.T) {
	order := []string{
		"0.0.0-0", "0.0.0", "0.9.10", "0.10.0", "1.0.0-0.3.7", "1.0.0-9", "1.0.0-18446744073709551616", "1.0.0-99999999999999999999", "1.0.0-100000000000000000000",
		"1.0.0--", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
		"1.0.0", "2.0.0", "2.1.0", "2.1.1", "10.0.0", "999999999.0.0",
	}
	for i, a := range order {
		if !ValidVersion(a) {
			t.Errorf("%s is no version", a)
		}
		for j, b := range order {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := Compare(a, b); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", a, b, got, want)
			}
			if got := Compare(a+"+b-1", b+"+a.2"); got != want {
				t.Errorf("what is behind + counts: Compare(%s+b-1, %s+a.2) = %d, want %d", a, b, got, want)
			}
		}
	}
	shuffled := slices.Clone(order)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	slices.SortFunc(shuffled, Compare)
	if !slices.Equal(shuffled, order) {
		t.Errorf("sorted: %v", shuffled)
	}
}

func TestValidVersion(t *testing.T) {
	for _, v := range []string{"1.0.0-alpha+001", "1.0.0+20130313144700", "1.0.0-beta+exp.sha.5114f85", "1.0.0+21AF26D3---117B344092BD", "1.0.0-0A.is.legal", "1.0.0-x-y-z.--", "1.0.0-0"} {
		if !ValidVersion(v) {
			t.Errorf("%s is refused", v)
		}
	}
	for _, v := range []string{
		"", "1", "1.2", "v1.0.0", "1.0.0.0", "01.0.0", "1.02.0", "1.0.0-", "1.0.0-01", "1.0.0-a..b", "1.0.0+", "1.0.0+a..b", "1.0.0-a_b", "1.0.0 ", "1.0.0\n", "-1.0.0", "1.-0.0",
		"1234567890.0.0", "1.0.0-é", "1.0.0/../..", "1.0.0+" + strings.Repeat("a", mostVersionBytes),
	} {
		if ValidVersion(v) {
			t.Errorf("%q is taken", v)
		}
	}
}

func TestRange(t *testing.T) {
	for _, tc := range []struct{ of, in, out string }{
		{"*", "0.0.0 1.0.0-rc.1 99.0.0", ""},
		{"1.2.0", "1.2.0 1.2.0+x", "1.2.1 1.2.0-rc"},
		{"=1.2.0", "1.2.0", "1.2.1"},
		{"1.2", "1.2.0 1.2.99 1.2.0-rc", "1.1.9 1.3.0 1.3.0-rc"},
		{"1", "1.0.0 1.99.0", "0.9.0 2.0.0 2.0.0-rc"},
		{"=0", "0.0.0 0.5.0", "1.0.0"},
		{">=1.2.0 <2.0.0", "1.2.0 1.99.0 2.0.0-rc.1", "1.1.9 2.0.0 1.2.0-rc"},
		{">=1.2 <2", "1.2.0 1.99.0", "1.1.9 2.0.0"},
		{">1.2.0 <=1.4.0", "1.2.1 1.4.0", "1.2.0 1.4.1"},
		{"^1.2.0", "1.2.0 1.9.0", "1.1.0 2.0.0 2.0.0-rc 1.2.0-rc"},
		{"^1.2.0-rc.1", "1.2.0-rc.1 1.2.0", "1.2.0-beta 2.0.0-alpha"},
		{"^1.2", "1.2.0 1.9.0", "1.1.9 2.0.0"},
		{"^1", "1.0.0 1.9.0", "0.9.0 2.0.0"},
		{"^0.3.1", "0.3.1 0.3.9", "0.3.0 0.4.0 0.4.0-rc 1.0.0"},
		{"^0.3", "0.3.0", "0.2.9 0.4.0"},
		{"^0", "0.0.0 0.9.0", "1.0.0 1.0.0-rc"},
		{"^999999999.0.0", "999999999.5.0", "1.0.0"},
		{"  >=1.0.0\t<1.5.0  ", "1.4.0", "1.5.0"},
		{"^1.0.0 >=1.4.0", "1.4.0", "1.3.0 2.4.0"},
	} {
		r, err := ParseRange(tc.of)
		if err != nil {
			t.Errorf("%q: %v", tc.of, err)
			continue
		}
		for _, v := range strings.Fields(tc.in) {
			if !r.Has(v) {
				t.Errorf("%s is not within %q", v, tc.of)
			}
		}
		for _, v := range strings.Fields(tc.out) {
			if r.Has(v) {
				t.Errorf("%s is within %q", v, tc.of)
			}
		}
	}
	for _, bad := range []string{"", " ", "~1.0.0", "><1.0.0", "==1.0.0", "^", ">=", ">1", "<=1.2", "1.0.0,2.0.0", "1.x", "v1", "1.0.0-01", ">= 1.0.0", "01"} {
		if r, err := ParseRange(bad); err == nil {
			t.Errorf("%q is taken: %v", bad, r)
		}
	}
}

func TestNewest(t *testing.T) {
	all := []string{"1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1", "0.1.0", "no version", "3.0.0-alpha"}
	for _, tc := range []struct{ of, want string }{
		{"*", "1.10.0"}, {"^1", "1.10.0"}, {"<1.10", "1.9.0"}, {">=2.0.0-0", "3.0.0-alpha"}, {"2.0.0-rc.1", "2.0.0-rc.1"}, {"^4", ""},
	} {
		r, err := ParseRange(tc.of)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Newest(all); got != tc.want {
			t.Errorf("newest of %s is %q, want %q", tc.of, got, tc.want)
		}
	}
}

// FuzzRange: what is taken has an order and bounds that hold; nothing panics.
func FuzzRange(f *testing.F) {
	for _, s := range [][2]string{{"^1.2.0", "1.9.0"}, {"1", "1.0.0-0"}, {">=1 <2", "2.0.0-rc.1"}, {"*", "0.0.0"}, {"=1.0.0-18446744073709551616", "1.0.0-9"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, text, version string) {
		r, err := ParseRange(text)
		if err != nil || !ValidVersion(version) {
			return
		}
		if Compare(version, version) != 0 {
			t.Errorf("%s differs from itself", version)
		}
		for _, b := range r {
			if !ValidVersion(b.version) {
				t.Errorf("%q: the bound %s%s is no version", text, b.op, b.version)
			}
			if Compare(version, b.version) != -Compare(b.version, version) {
				t.Errorf("the order of %s and %s depends on who asks", version, b.version)
			}
		}
		if got := r.Newest([]string{version}); (got == version) != r.Has(version) {
			t.Errorf("%q: newest of %s is %q", text, version, got)
		}
	})
}
