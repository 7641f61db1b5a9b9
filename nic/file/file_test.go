package file

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tickwire/tickwire/internal/testvec"
)

// frame puts length prefixes before messages.
func frame(messages ...string) (b []byte) {
	for _, m := range messages {
		b = binary.BigEndian.AppendUint16(b, uint16(len(m)))
		b = append(b, m...)
	}
	return b
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// readAll reads a file to its end, max messages at a time.
func readAll(t testing.TB, content []byte, max int) (messages []string, r *Reader, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "day")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err = Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		span, first, count, err := r.Next(max)
		if first != uint64(len(messages))+1 {
			t.Fatalf("first is %d behind %d messages", first, len(messages))
		}
		if count > max {
			t.Fatalf("%d messages, asked for %d", count, max)
		}
		for range count {
			n := int(binary.BigEndian.Uint16(span))
			messages = append(messages, string(span[2:2+n]))
			span = span[2+n:]
		}
		if len(span) != 0 {
			t.Fatalf("%d bytes behind the last message of a span", len(span))
		}
		if err != nil {
			if _, _, n, again := r.Next(max); n != 0 || again == nil {
				t.Fatalf("after the end: %d messages, %v", n, again)
			}
			return messages, r, err
		}
	}
}

func TestNext(t *testing.T) {
	long := strings.Repeat("x", maxMessage)
	whole := frame("one", "two", long, "three")
	for _, tc := range []struct {
		name    string
		content []byte
		want    int
		end     error
		text    string
		session bool
	}{
		{"whole, without an end of session", whole, 4, io.EOF, "", false},
		{"whole", append(frame("one", "two"), 0, 0), 2, io.EOF, "", true},
		{"only an end of session", []byte{0, 0}, 0, io.EOF, "", true},
		{"empty", nil, 0, io.EOF, "", false},
		{"last byte cut off", whole[:len(whole)-1], 3, ErrTruncated, "message 4 at byte 65547: the file ends within a message: 4 bytes of 5", false},
		{"cut within a prefix", whole[:6], 1, ErrTruncated, "message 2 at byte 5: the file ends within a message: 1 byte of", false},
		{"cut behind a prefix", whole[:7], 1, ErrTruncated, "0 bytes of 3", false},
		{"end of session in the middle", append(append(frame("one"), 0, 0), frame("two")...), 1, ErrZeroPrefix, "message 2 at byte 5", false},
		{"zero prefixes", []byte("\x00\x00S\x00\x00"), 0, ErrZeroPrefix, "message 1 at byte 0", false},
	} {
		for _, packing := range []struct {
			name string
			pack func(testing.TB, []byte) []byte
		}{{"plain", func(_ testing.TB, b []byte) []byte { return b }}, {"gzip", gz}, {"zstd", zst}} {
			for _, max := range []int{1, 3, 4096} {
				got, r, err := readAll(t, packing.pack(t, tc.content), max)
				if len(got) != tc.want || !errors.Is(err, tc.end) || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("%s, %s, %d at a time: %d messages and %v, want %d and %v %q", tc.name, packing.name, max, len(got), err, tc.want, tc.end, tc.text)
				}
				if r.EndOfSession() != tc.session {
					t.Errorf("%s, %s: end of session %v", tc.name, packing.name, r.EndOfSession())
				}
			}
		}
	}
}

// TestManyBuffers: a compressed file of several times the buffer, with messages of every length.
func TestManyBuffers(t *testing.T) {
	var want []string
	var content []byte
	for i := 0; len(content) < 3*bufferBytes; i++ {
		m := strings.Repeat(string(rune('a'+i%26)), 1+i*7919%maxMessage)
		want = append(want, m)
		content = append(content, frame(m)...)
	}
	got, r, err := readAll(t, gz(t, content), 100)
	if !errors.Is(err, io.EOF) || len(got) != len(want) {
		t.Fatalf("%d messages of %d, %v", len(got), len(want), err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("message %d differs", i+1)
		}
	}
	if r.Offset() != r.Size() {
		t.Errorf("offset %d at the end of %d bytes", r.Offset(), r.Size())
	}
}

func TestCutCompression(t *testing.T) {
	whole := gz(t, frame("one", strings.Repeat("two", 1000)))
	got, _, err := readAll(t, whole[:len(whole)-9], 10)
	var fault *Fault
	if !errors.As(err, &fault) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d messages and %v", len(got), err)
	}
	if len(got) == 0 {
		t.Error("what came before the cut is lost")
	}
}

func TestOpenFaults(t *testing.T) {
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestVectors(t *testing.T) {
	dir := testvec.Dir(t, "nasdaq")
	r, err := Open(filepath.Join(dir, "ex20101224.TEST_ITCH_50.framed.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	total := 0
	for {
		_, _, n, err := r.Next(1000)
		total += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if total != 12012 {
		t.Errorf("%d messages, want 12012", total)
	}
	// The file as it was published has zero prefixes: it must be refused, not misread.
	z, err := Open(filepath.Join(dir, "ex20101224.TEST_ITCH_50.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if _, _, n, err := z.Next(10); n != 0 || !errors.Is(err, ErrZeroPrefix) {
		t.Errorf("%d messages, %v", n, err)
	}
}

func FuzzNext(f *testing.F) {
	f.Add(frame("one", "two"), 1)
	f.Add([]byte{0, 0, 0, 1}, 2)
	f.Add([]byte{0x1f, 0x8b, 8, 0}, 2)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, max int) {
		path := filepath.Join(dir, "fuzz")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			return
		}
		defer r.Close()
		max = 1 + max&1023
		for range 1 << 12 {
			span, _, n, err := r.Next(max)
			if err != nil {
				if n != 0 || len(span) != 0 {
					t.Fatal("messages beside an error")
				}
				return
			}
			if n == 0 {
				t.Fatal("no message and no error")
			}
		}
	})
}

// BenchmarkNext is the file's share of what a message costs.
//
//	budget  3 ns/msg plain, 0 allocs/op
func BenchmarkNext(b *testing.B) {
	m := strings.Repeat("m", 36)
	content := bytes.Repeat(frame(m), 100_000)
	path := filepath.Join(b.TempDir(), "day")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	for b.Loop() {
		r.offset, r.next, r.fault = 0, 1, nil
		for {
			if _, _, _, err := r.Next(4096); err != nil {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100_000), "ns/msg")
}
