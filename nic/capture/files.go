package capture

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// FilesOptions say where a capture goes.
type FilesOptions struct {
	// Out is the file, or "-" for Stdout. With rotation its name gets the time and a number before its extension.
	Out    string
	Stdout io.Writer
	// RotateSize begins a new file when one has so many bytes. 0: never.
	RotateSize int64
	// RotateEvery begins a new file after so long. 0: never.
	RotateEvery time.Duration
	// Keep removes the oldest rotated files of this name, of former runs too, so that at most so many are there. 0: all stay.
	Keep int
	// Compress is "", none or zstd. zstd adds .zst to a name that lacks it.
	Compress string
	// Force allows to replace a file that exists.
	Force bool
	// Snap is the most bytes that are written of a packet. 0: MaxSnap.
	Snap int
}

// Validate reports all faults.
func (o *FilesOptions) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("capture: "+format, args...)) }
	if o.Out == "" {
		fault("no file to write")
	}
	if o.Compress != "" && o.Compress != "none" && o.Compress != "zstd" {
		fault("compression %q is unknown; known: none, zstd", o.Compress)
	}
	if o.RotateSize < 0 || o.RotateEvery < 0 || o.Keep < 0 || o.Snap < 0 || o.Snap > MaxSnap {
		fault("a negative limit, or a snap length above %d", MaxSnap)
	}
	if o.RotateSize > 0 && o.RotateSize < 1<<16 {
		fault("files of %d bytes: at least 64 KiB", o.RotateSize)
	}
	if o.RotateEvery > 0 && o.RotateEvery < time.Second {
		fault("a new file each %s: at least 1s", o.RotateEvery)
	}
	if o.Keep > 0 && !o.rotates() {
		fault("keep is for rotated files: say when a new one begins")
	}
	if o.Out == "-" && (o.rotates() || o.Stdout == nil) {
		fault("standard output is one file: it cannot be rotated")
	}
	return errors.Join(errs...)
}

func (o *FilesOptions) rotates() bool { return o.RotateSize > 0 || o.RotateEvery > 0 }

// Files writes pcapng files one after the other. A file that is being written ends in .part; when it is whole and on the
// disk it gets its name.
type Files struct {
	o      FilesOptions
	inputs []*Input
	stem   string // of names: what stands before the time
	ext    string
	number int
	made   []string

	file   *os.File
	part   string
	name   string
	count  *countWriter
	z      *zstd.Encoder
	buf    *bufio.Writer
	ng     *ngWriter
	opened time.Time
	drops  uint64 // as of the file's beginning
}

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// NewFiles opens the first file.
func NewFiles(o FilesOptions, inputs []*Input) (*Files, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Snap == 0 {
		o.Snap = MaxSnap
	}
	if o.Compress == "zstd" && o.Out != "-" && !strings.HasSuffix(o.Out, ".zst") {
		o.Out += ".zst"
	}
	f := &Files{o: o, inputs: inputs}
	base := filepath.Base(o.Out)
	for _, ext := range []string{".zst", ".pcapng", ".pcap"} {
		if rest, ok := strings.CutSuffix(base, ext); ok && rest != "" {
			base, f.ext = rest, ext+f.ext
		}
	}
	f.stem = filepath.Join(filepath.Dir(o.Out), base)
	return f, f.open(0)
}

func (f *Files) open(drops uint64) error {
	now := time.Now()
	f.opened, f.drops = now, drops
	var w io.Writer = f.o.Stdout
	if f.o.Out != "-" {
		f.name = f.o.Out
		if f.o.rotates() {
			f.number++
			f.name = fmt.Sprintf("%s-%s-%05d%s", f.stem, now.UTC().Format("20060102T150405.000Z"), f.number, f.ext)
		}
		if _, err := os.Lstat(f.name); err == nil && !f.o.Force {
			return fmt.Errorf("capture: %s exists; --force replaces it", f.name)
		}
		f.part = f.name + ".part"
		var err error
		if f.file, err = os.OpenFile(f.part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644); err != nil {
			return fmt.Errorf("capture: %w", err)
		}
		w = f.file
	}
	f.count = &countWriter{w: w}
	w = f.count
	if f.o.Compress == "zstd" {
		var err error
		if f.z, err = zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)); err != nil {
			return fmt.Errorf("capture: %w", err)
		}
		w = f.z
	}
	f.buf = bufio.NewWriterSize(w, 1<<18)
	var err error
	if f.ng, err = newNGWriter(f.buf, f.inputs, f.o.Snap, uint64(now.UnixNano())); err != nil {
		return f.fault(err)
	}
	return nil
}

func (f *Files) fault(err error) error {
	if f.part == "" {
		return fmt.Errorf("capture: standard output: %w", err)
	}
	return fmt.Errorf("capture: %s: %w; what was written before it is kept in this file", f.part, err)
}

// Write writes a packet of input number i.
func (f *Files) Write(i int, r *Record) error {
	if r.TsRecv == 0 {
		r.TsRecv = uint64(time.Now().UnixNano())
	}
	if err := f.ng.packet(i, r); err != nil {
		return f.fault(err)
	}
	return nil
}

// Flush gives what is buffered to the kernel, so that the file can be looked at while it grows.
func (f *Files) Flush() error {
	err := f.buf.Flush()
	if err == nil && f.z != nil {
		err = f.z.Flush()
	}
	if err != nil {
		return f.fault(err)
	}
	return nil
}

// Rotate begins a new file when it is time to. drops counts the packets missed since the capture began.
func (f *Files) Rotate(now time.Time, drops uint64) error {
	size := f.o.RotateSize > 0 && f.count.n+int64(f.buf.Buffered()) >= f.o.RotateSize
	age := f.o.RotateEvery > 0 && now.Sub(f.opened) >= f.o.RotateEvery
	if !size && !age {
		return nil
	}
	if err := f.finish(drops); err != nil {
		return err
	}
	return f.open(drops)
}

// finish completes the file, puts it on the disk, and gives it its name.
func (f *Files) finish(drops uint64) error {
	err := f.ng.finish(uint64(time.Now().UnixNano()), drops-f.drops)
	if err == nil {
		err = f.buf.Flush()
	}
	if f.z != nil {
		err = errors.Join(err, f.z.Close())
	}
	if f.file == nil {
		if err != nil {
			return f.fault(err)
		}
		return nil
	}
	if err == nil {
		err = f.file.Sync()
	}
	err = errors.Join(err, f.file.Close())
	f.file = nil
	if err == nil {
		err = os.Rename(f.part, f.name)
	}
	if err != nil {
		return f.fault(err)
	}
	f.made = append(f.made, f.name)
	if dir, err := os.Open(filepath.Dir(f.name)); err == nil { // the name is on the disk too
		_ = dir.Sync()
		_ = dir.Close()
	}
	return f.prune()
}

// prune removes the oldest files beyond Keep. Names sort by time.
func (f *Files) prune() error {
	if f.o.Keep == 0 {
		return nil
	}
	entries, err := os.ReadDir(filepath.Dir(f.stem))
	if err != nil {
		return fmt.Errorf("capture: old files: %w", err)
	}
	ours := regexp.MustCompile("^" + regexp.QuoteMeta(filepath.Base(f.stem)) + `-\d{8}T\d{6}\.\d{3}Z-\d{5,}` + regexp.QuoteMeta(f.ext) + "$")
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && ours.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	for _, name := range names[:max(0, len(names)-f.o.Keep)] {
		if err := os.Remove(filepath.Join(filepath.Dir(f.stem), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("capture: old file: %w", err)
		}
	}
	return nil
}

// Close completes the last file.
func (f *Files) Close(drops uint64) error { return f.finish(drops) }

// Made lists the files that are complete, in order; some may have been removed since (Keep).
func (f *Files) Made() []string { return f.made }
