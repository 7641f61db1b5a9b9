package fixbench

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/tickwire/tickwire/bench/meter"
	session "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

func generated(t testing.TB, v session.Version, messages int) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := fixgen.Write(&b, fixgen.Options{}, v, messages); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRun: of each version every stage takes all messages, and costs more than the one that it contains; so does the engine, where it is installed.
func TestRun(t *testing.T) {
	for _, v := range session.Versions {
		t.Run(v.String(), func(t *testing.T) {
			const messages = 5000
			d, err := Of(generated(t, v, messages))
			if err != nil {
				t.Fatal(err)
			}
			r, err := onThread(func() (*Report, error) { return Run(d, Options{Runs: 3, Core: meter.Core(0)}) })
			if err != nil {
				t.Fatal(err)
			}
			if r.Messages != messages || r.Rows < messages || r.Bytes != len(d.Bytes) || len(r.Stages) != len(stages) {
				t.Errorf("%+v", r)
			}
			for _, s := range append(r.Stages, r.Engine...) {
				perByte := s.Ns.Median * messages / float64(r.Bytes)
				if s.Faults != 0 || len(s.Ns.Runs) != 3 || perByte < 0.005 || perByte > 1000 || s.GB < 0.001 || s.GB > 200 {
					t.Errorf("%s: %+v", s.Name, s)
				}
			}
			if frame, decode := r.stage("frame").Ns.Min, r.stage("decode").Ns.Min; decode < frame {
				t.Errorf("decode, which frames, takes %v ns, frame %v", decode, frame)
			}
			switch {
			case r.Missing == "":
				if len(r.Engine) != 2 || r.Ratio <= 0 {
					t.Errorf("engine %+v, ratio %v", r.Engine, r.Ratio)
				}
			case os.Getenv("CI") != "":
				t.Errorf("CI has the engine: %s", r.Missing)
			default:
				t.Log(r.Missing)
			}
		})
	}
}

// onThread runs f on a goroutine of its own, whose thread ends with it: it stays pinned.
func onThread(f func() (*Report, error)) (r *Report, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err = f()
	}()
	<-done
	return r, err
}

// TestNoEngine: without a compiler the engine's column is left out, and the report says why.
func TestNoEngine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	d, err := Of(generated(t, session.V44, 100))
	if err != nil {
		t.Fatal(err)
	}
	r, err := onThread(func() (*Report, error) { return Run(d, Options{Runs: 1, Core: meter.NoCore}) })
	if err != nil || !strings.Contains(r.Missing, "g++") || len(r.Engine) != 0 || r.Ratio != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestLoad: files are read plain and compressed, up to a bound; what is not whole is not measured.
func TestLoad(t *testing.T) {
	all := generated(t, session.V50SP2, 200)
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(all)
	_ = w.Close()
	for path, most := range map[string]int{write("a.fix", all): 1000, write("a.fix.gz", z.Bytes()): 150} {
		d, err := Load(path, most)
		if err != nil || d.Messages() != min(most, 200) || d.Version != "FIX.5.0SP2" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Load(write("cut.fix", all[:len(all)-5]), 1000); err == nil || !strings.Contains(err.Error(), "ends within a message") {
		t.Error(err)
	}
	garbage := append(append(append([]byte{}, all...), "junk"...), all...)
	if _, err := Load(write("junk.fix", garbage), 1000); err == nil || !strings.Contains(err.Error(), "4 bytes belong to no message") {
		t.Error(err)
	}
	if _, err := Of(nil); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
}

// The loop that the scan is measured beside finds the same fields.
func TestPlainScan(t *testing.T) {
	a, b := make([]fix.Field, 64), make([]fix.Field, 64)
	for _, raw := range []string{
		"8=FIX.4.4\x019=5\x0135=0\x0110=161\x01", "95=3\x0196=a\x01b\x0158=x\x01", "1=\x01", "12345678=1\x01", "", "0=1\x01", "123456789=1\x01", "55\x01", "=1\x01", "55=A", "95=9\x0196=a\x01", "95=1\x0158=x\x01", "95=1\x0196=ab\x01",
	} {
		n, used, err := fix.Scan([]byte(raw), a)
		if err != nil || used != len(raw) {
			n = 0
		}
		if m := plainScan([]byte(raw), b); m != n || !slices.Equal(a[:n], b[:m]) {
			t.Errorf("%q: %v, want %v", raw, b[:m], a[:n])
		}
	}
}
