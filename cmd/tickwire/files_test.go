package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/parsers/dbn"
)

// command runs tickwire as a shell would and gives what it wrote.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// TestDecodeVectors: every field of every message of every capture, as the independent decoder has it.
func TestDecodeVectors(t *testing.T) {
	dir := testvec.Dir(t, "nasdaq")
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string][]struct {
		Frame    uint64           `json:"frame"`
		Messages []map[string]any `json:"messages"`
	}
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	total := 0
	for file, packets := range expected {
		code, out, errs := command(t, "decode", filepath.Join(dir, file))
		if code != exitOK {
			t.Fatalf("%s: exit %d: %s", file, code, errs)
		}
		dec := json.NewDecoder(strings.NewReader(out))
		for _, p := range packets {
			for _, want := range p.Messages {
				var got map[string]any
				if err := dec.Decode(&got); err != nil {
					t.Fatalf("%s frame %d: %v", file, p.Frame, err)
				}
				flat := got["fields"].(map[string]any)
				for _, k := range []string{"sequence", "type", "length", "raw"} {
					flat[k] = got[k]
				}
				if !reflect.DeepEqual(flat, want) || got["frame"] != float64(p.Frame) || got["protocol"] != "itch" {
					t.Errorf("%s frame %d:\n%v, want\n%v", file, p.Frame, flat, want)
				}
				total++
			}
		}
		if dec.More() {
			t.Errorf("%s: more messages than expected", file)
		}
	}
	if total != 117 {
		t.Errorf("%d messages compared, want 117", total)
	}
}

// TestDecodeBadInput: a sentence with the place, exit code 1, and what came before.
func TestDecodeBadInput(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	system := append([]byte{0, 12, 'S', 0, 0, 0, 0}, 0, 0, 0, 0, 0, 1, 'O')
	for _, tc := range []struct {
		name  string
		path  string
		lines int
		want  string
	}{
		{"cut", write("cut", append(bytes.Clone(system), system[:9]...)), 1, "message 2 at byte 14: the file ends within a message: 7 bytes of 12"},
		{"empty", write("empty", nil), 0, "empty"},
		{"text", write("text", bytes.Repeat([]byte("word "), 100)), 0, "is text"},
		{"missing", filepath.Join(dir, "none"), 0, "no such file"},
		{"short message", write("short", append([]byte{0, 3, 'S', 0, 0}, system...)), 2, `'S' has 3 bytes, want 12`},
	} {
		code, out, errs := command(t, "decode", tc.path)
		if code != exitFailed || strings.Count(out, "\n") != tc.lines || !strings.Contains(errs, tc.want) || !strings.Contains(errs, tc.path) {
			t.Errorf("%s: exit %d, %d lines, %q; want 1, %d, %q", tc.name, code, strings.Count(out, "\n"), errs, tc.lines, tc.want)
		}
	}
	if code, _, errs := command(t, "decode"); code != exitUsage || !strings.Contains(errs, "--help") {
		t.Errorf("no file: exit %d, %q", code, errs)
	}
}

// TestConvert takes the public sample to DBN, back to CSV, and compares with CSV made at once.
func TestConvert(t *testing.T) {
	in := filepath.Join(testvec.Dir(t, "nasdaq"), "ex20101224.TEST_ITCH_50.framed.gz")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, schema := range []string{"mbo", "mbp-1", "trades", "status", "definition"} {
		steps := [][]string{
			{"convert", in, "--schema", schema, "--to", "dbn", "--out", path(schema + ".dbn.zst")},
			{"convert", path(schema + ".dbn.zst"), "--schema", schema, "--to", "csv", "--out", path("two.csv")},
			{"convert", in, "--schema", schema, "--to", "csv", "--out", path("one.csv")},
			{"convert", in, "--schema", schema, "--to", "parquet", "--out", path(schema + ".parquet")},
		}
		for _, args := range steps {
			if code, _, errs := command(t, args...); code != exitOK {
				t.Fatalf("%v: exit %d: %s", args, code, errs)
			}
		}
		one, err := os.ReadFile(path("one.csv"))
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(path("two.csv"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Errorf("%s: by way of DBN it is another", schema)
		}
		rows, err := csv.NewReader(bytes.NewReader(one)).ReadAll()
		if err != nil || len(rows) < 2 {
			t.Errorf("%s: %d lines, %v", schema, len(rows), err)
		}
	}
	checkMetadata(t, path("mbo.dbn.zst"))
}

func checkMetadata(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := dbn.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m := r.Metadata()
	if m.Dataset != "XNAS.ITCH" || m.Schema != dbn.SchemaMbo || !reflect.DeepEqual(m.Symbols, []string{"ALC", "BOB", "CHAR"}) || len(m.Mappings) != 3 {
		t.Errorf("%+v", *m)
	}
	if iv := m.Mappings[0].Intervals; len(iv) != 1 || iv[0].Start != 20101224 || iv[0].End != 20101226 || iv[0].Symbol != "1" {
		t.Errorf("ALC is mapped as %+v", iv)
	}
}

func TestConvertFaults(t *testing.T) {
	in := filepath.Join(testvec.Dir(t, "nasdaq"), "ex20101224.TEST_ITCH_50.framed.gz")
	out := filepath.Join(t.TempDir(), "out")
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"convert", in, "--to", "xml", "--out", out}, exitUsage, `--to "xml"`},
		{[]string{"convert", in, "--to", "csv"}, exitUsage, "--out is missing"},
		{[]string{"convert", in, "--to", "csv", "--out", out, "--schema", "mbp-10"}, exitUsage, "--symbols"},
		{[]string{"convert", in + "x", "--to", "csv", "--out", out}, exitFailed, "no such file"},
		{[]string{"convert", in, "--to", "csv", "--out", "/nonexistent/x"}, exitFailed, "no such file"},
	} {
		code, _, errs := command(t, tc.args...)
		if code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%v: exit %d, %q", tc.args, code, errs)
		}
	}
	// A day that is cut off: what came before is written, and the exit code says so.
	day, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "20101224.gz")
	if err := os.WriteFile(cut, day[:len(day)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := command(t, "convert", cut, "--to", "csv", "--out", out)
	text, _ := os.ReadFile(out)
	if code != exitFailed || bytes.Count(text, []byte("\n")) < 1000 || !strings.Contains(errs, "records before it are written") {
		t.Errorf("a cut day: exit %d, %d lines, %q", code, bytes.Count(text, []byte("\n")), errs)
	}
}
