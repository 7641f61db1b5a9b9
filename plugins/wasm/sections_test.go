package wasm

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

var empty = []byte("\x00asm\x01\x00\x00\x00")

func TestCustomRoundTrip(t *testing.T) {
	long := bytes.Repeat([]byte{0xfe}, 70_000) // its size takes three bytes
	module := bytes.Clone(empty)
	module = append(module, 1, 4, 1, 0x60, 0, 0) // a type section: () → ()
	module = AppendCustom(module, "a", []byte("one"))
	module = AppendCustom(module, "", long)
	module = AppendCustom(module, "é", nil)
	for name, want := range map[string][]byte{"a": []byte("one"), "": long, "é": {}} {
		if got, err := Custom(module, name); err != nil || got == nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	if got, err := Custom(module, "b"); got != nil || err != nil {
		t.Errorf("a section that is not there: %q, %v", got, err)
	}
	without, err := WithoutCustom(module, "")
	if err != nil {
		t.Fatal(err)
	}
	want := AppendCustom(AppendCustom(append(bytes.Clone(empty), 1, 4, 1, 0x60, 0, 0), "a", []byte("one")), "é", nil)
	if !bytes.Equal(without, want) {
		t.Errorf("without one of them:\n%x\nwant\n%x", without, want)
	}
	if _, err := Custom(AppendCustom(module, "a", nil), "a"); err == nil || !strings.Contains(err.Error(), `a second section "a"`) {
		t.Errorf("twice: %v", err)
	}
	if without, err = WithoutCustom(AppendCustom(module, "a", nil), "a"); err != nil {
		t.Fatal(err)
	}
	if got, err := Custom(without, "a"); got != nil || err != nil {
		t.Errorf("both are to go: %q, %v", got, err)
	}
}

// TestBodyIsBounded: appending to what Custom gave does not write into the module.
func TestBodyIsBounded(t *testing.T) {
	module := AppendCustom(AppendCustom(bytes.Clone(empty), "a", []byte("one")), "b", []byte("two"))
	body, err := Custom(module, "a")
	if err != nil {
		t.Fatal(err)
	}
	_ = append(body, "spoilt"...)
	if got, err := Custom(module, "b"); err != nil || string(got) != "two" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestBrokenModules(t *testing.T) {
	for _, tc := range []struct{ name, module, want string }{
		{"nothing", "", "does not begin with"},
		{"seven bytes", "\x00asm\x01\x00\x00", "does not begin with"},
		{"text", "(module) ;;", "does not begin with"},
		{"a component", "\x00asm\x0d\x00\x01\x00", "component"},
		{"version 2", "\x00asm\x02\x00\x00\x00", "component"},
		{"an id alone", string(empty) + "\x00", "offset 8: section 0 is longer"},
		{"a size cut off", string(empty) + "\x01\x80", "offset 8: section 1 is longer"},
		{"a body cut off", string(empty) + "\x01\x04\x01\x60\x00", "offset 8: section 1 is longer"},
		{"a size of 2^32", string(empty) + "\x01\x80\x80\x80\x80\x10", "offset 8: section 1 is longer"},
		{"a size of six bytes", string(empty) + "\x01\x80\x80\x80\x80\x80\x00", "offset 8: section 1 is longer"},
		{"no name", string(empty) + "\x00\x00", "offset 8: the custom section's name"},
		{"a name too long", string(empty) + "\x00\x03\x05ab", "offset 8: the custom section's name"},
		{"the second broken", string(AppendCustom(bytes.Clone(empty), "a", nil)) + "\x05\x09", "offset 12: section 5 is longer"},
	} {
		_, err := Custom([]byte(tc.module), "a")
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if _, err := WithoutCustom([]byte(tc.module), "a"); err == nil {
			t.Errorf("%s: is copied", tc.name)
		}
	}
	if _, err := Custom([]byte("MZ"), "a"); !errors.Is(err, ErrMagic) {
		t.Error(err)
	}
}

// FuzzSections: sections that are read lie one behind the other and make up the module; adding one and taking it away gives the module back.
func FuzzSections(f *testing.F) {
	f.Add(empty)
	f.Add(AppendCustom(bytes.Clone(empty), "a", []byte("one")))
	f.Add(AppendCustom(append(bytes.Clone(empty), 1, 4, 1, 0x60, 0, 0), "tickwire.plugin.v1", []byte("{}")))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x85\x80\x00\x01a!!!"))
	f.Fuzz(func(t *testing.T, module []byte) {
		at := headerBytes
		for s, err := range Sections(module) {
			if err != nil {
				return
			}
			if s.At != at || s.End <= s.At || s.End > len(module) || len(s.Body) > s.End-s.At {
				t.Fatalf("section at %d to %d, after %d", s.At, s.End, at)
			}
			at = s.End
		}
		if at != len(module) {
			t.Fatalf("sections end at %d of %d", at, len(module))
		}
		const name = "not in the module before"
		if had, err := Custom(module, name); had != nil || err != nil {
			return
		}
		with := AppendCustom(bytes.Clone(module), name, []byte("x"))
		if got, err := Custom(with, name); err != nil || string(got) != "x" {
			t.Fatalf("%q, %v", got, err)
		}
		if without, err := WithoutCustom(with, name); err != nil || !bytes.Equal(without, module) {
			t.Fatalf("%x, %v; want %x", without, err, module)
		}
	})
}
