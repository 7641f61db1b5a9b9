package trial

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/build"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/manifest"
)

const (
	undeclared = `"deterministic": true → "deterministic": false` // for mistakes that calls of other sizes would show too

	codecInMemory = `int32_t tw_encode( → static int64_t kept[ROWS];
int32_t tw_encode(int32_t unit, int32_t n) { __builtin_memcpy(kept, values, (uint32_t)n * 8); __builtin_memset(out, 0, (uint32_t)n); return n; }
int32_t tw_decode(int32_t unit, int32_t n) { __builtin_memcpy(decoded, kept, (uint32_t)n * 8); return n; }
int32_t unused_encode(`

	onePacket = "2800000000000000 01000000 54524431  11000000 2c010000 00e1f50500000000 15cd5b07fe979917\n"
)

// Goal: a plugin that does not keep what its kind promises is found, though it answers as calls should. Method: templates in C that are wrong in one way each, on the
// rows of their case and on generated ones; with the mistake undone they pass (package build tests that).
func TestPromises(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: nothing is compiled")
	}
	for _, tc := range []struct {
		name  string
		kind  manifest.Kind
		edits []string // "was → is", in the source or the manifest
		in    string   // rows of the case, behind the names of columns; the template's if empty
		want  string
	}{
		{"a function of the row", manifest.Function, []string{"result[i] =  → result[i] = i + ", undeclared}, "", "it is not volatile, but row"},
		{"the last value, not the greatest", manifest.Aggregate, []string{"s->rows == 0 || more.greatest > s->greatest → 1"}, "", "in parts of other instances, merged"},
		{"states in memory", manifest.Aggregate, []string{"add(&states[i], others[i]) → (void)others"}, "", "merged"},
		{"a partition of the row", manifest.Partition, []string{"key[i] =  → key[i] = (uint64_t)i + ", undeclared}, "", "the same row has another key"},
		{"keys that change", manifest.Partition, []string{"enum { GROUPS → static uint64_t calls;\nenum { GROUPS", "key[i] =  → key[i] = calls++ + ", undeclared},
			"5 1\n5 2\n5 1\n", "row 3 has key 11, but one before it with the same values 9"},
		{"quotes as they are", manifest.Serializer, []string{`c < 0x7f && c != '"' → c < 0x7f`}, "", "is no JSON"},
		{"fuel for short rows", manifest.Serializer, []string{`"fuel_per_row": 320 → "fuel_per_row": 120`}, "", "rows as long as can be: plugin p 0.1.0: tw_serialize: out of fuel"},
		{"values in memory", manifest.Codec, []string{"int32_t tw_decode( → int32_t unused_decode(", codecInMemory}, "", "decodes to other values in another instance"},
		{"damaged blocks", manifest.Codec, []string{`return TW_FAIL("a number is cut off") → __builtin_trap()`}, "", "damaged bytes: plugin p 0.1.0: tw_decode: wasm error: unreachable"},
		{"an end left out", manifest.Index, []string{"in.zone[z].least > greatest[0] → (in.zone[z].least >= greatest[0] && least[0] != greatest[0])"}, "", "it leaves out row"},
		{"rows behind the last", manifest.Index, []string{"= (uint32_t)end_of(z, rows) → = (uint32_t)rows + 1"}, "", "it finds rows [{0 4}], but there are 3"},
		{"an index in memory", manifest.Index, []string{"in.zone[z] → out.zone[z]"}, "", "it leaves out row"},
		{"damaged indexes", manifest.Index, []string{`return TW_FAIL("these are no bytes of an index") → __builtin_trap()`}, "", "damaged bytes: plugin p 0.1.0: tw_index_probe"},
		{"all is valid", manifest.TypeKind, []string{"result[i] = read(text[i], normal) → result[i] = 1; (void)normal"}, "",
			`first: "US0378331006": validate says 1, but normalise refuses it and parse refuses it`},
		{"valid or not", manifest.TypeKind, []string{"result[i] = read(text[i], normal) → result[i] = 2 * read(text[i], normal)"}, "", "validate gives 2"},
		{"normal is another", manifest.TypeKind, []string{"bad[i] = !read(text[i], written[i]) → bad[i] = !read(text[i], written[i]), written[i][11] ^= 1"}, "",
			`"US0378331004" is normal, but becomes "" when it is normalised again`},
		{"format is another", manifest.TypeKind, []string{"bad[i] = !read(a[i], written[i]) → bad[i] = !read(a[i], written[i]), written[i][0] ^= 1"}, "",
			`"TS0378331005", as format wrote it, cannot be parsed`},
		{"format writes nothing", manifest.TypeKind, []string{"bad[i] = !read(a[i], written[i]) → bad[i] = 1"}, "", `format cannot write what parse made of "US0378331005"`},
		{"no order", manifest.TypeKind, []string{"return x[i] < y[i] ? -1 : 1 → return 1"}, "", "the other way round"},
		{"a ring", manifest.TypeKind, []string{"return x[i] < y[i] ? -1 : 1 → return (x[0] - y[0] + 3) % 3 == 1 ? -1 : 1"},
			`"AU0000XVGZA3"` + "\n" + `"BE0003470755"` + "\n" + `"CA0679011084"` + "\n", "but not the first before the last"},
		{"hashes of the row", manifest.TypeKind, []string{"hash(a[i]); → hash(a[i]) + i / 2;", undeclared},
			`"US0378331005"` + "\n" + `"GB0002634946"` + "\n" + `"US0378331005"` + "\n", "US0378331005 and US0378331005 compare as equal, but their hashes are"},
		{"not recognised", manifest.Parser, []string{"!tw_looks(unit, len) → len < HEADER || u32(in + 12) != MAGIC", "? 90 : 0 → ? 0 : 0"}, "",
			"tw_looks says 0 of a packet that tw_frame reads"},
		{"looks change it", manifest.Parser, []string{"\treturn len >= HEADER → \tframe.session[0]++;\n\treturn len >= HEADER"}, "", "two instances read its framing as"},
		{"cut off", manifest.Parser, []string{`return TW_FAIL("the packet has not → __builtin_trap(); return TW_FAIL("the packet has not`}, onePacket,
			"packet 1, cut to 16 bytes: plugin p 0.1.0: tw_parse: wasm error: unreachable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // compilers take most of the time
			dir := filepath.Join(t.TempDir(), "p")
			if err := build.New(dir, "c", tc.kind); err != nil {
				t.Fatal(err)
			}
			if err := WriteTemplate(dir, tc.kind); err != nil {
				t.Fatal(err)
			}
			for _, e := range tc.edits {
				edit(t, dir, e)
			}
			if tc.in != "" || tc.kind != manifest.Parser { // what is expected would show most mistakes too
				unexpected(t, filepath.Join(dir, Folder, "first.txt"), tc.in)
			}
			path, err := build.Build(dir)
			toolchain.Check(t, err)
			checks, err := CheckAll(load(t, plugins.Options{}, path), filepath.Join(dir, Folder), Options{})
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, k := range checks {
				if !k.Ok {
					all = append(all, k.Name+": "+k.What)
				}
			}
			if !strings.Contains(strings.Join(all, "\n"), tc.want) {
				t.Errorf("%s\nwant … %s …", strings.Join(all, "\n"), tc.want)
			}
		})
	}
}

// edit makes a mistake in the source or in the manifest.
func edit(t *testing.T, dir, change string) {
	t.Helper()
	was, is, _ := strings.Cut(change, " → ")
	done := false
	for _, name := range []string{"plugin.c", build.ManifestFile} {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		done = done || strings.Contains(string(text), was)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), was, is)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !done {
		t.Fatalf("there is no %q to spoil", was)
	}
}

// unexpected leaves open what must come of a case, and gives it other rows if there are some.
func unexpected(t *testing.T, path, in string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCase("first", text)
	if err != nil {
		t.Fatal(err)
	}
	if c.Want = nil; in != "" {
		c.In.Rows, c.Packets = nil, nil
	}
	if err := os.WriteFile(path, append(c.Append(nil), in...), 0o600); err != nil {
		t.Fatal(err)
	}
}
