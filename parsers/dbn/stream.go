package dbn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Reader reads a file or stream from anywhere, plain or zstd (one frame or several), and gives version 3 records.
type Reader struct {
	src     *bufio.Reader
	zst     *zstd.Decoder
	meta    *Metadata
	version uint8
	tsOut   bool
	offset  int64 // of the next record, in the decompressed bytes
	count   int64
	rec     []byte
	up      []byte
}

// Fault is a record that cannot be read. Everything before it was given out.
type Fault struct {
	Record int64 // 1-based
	Offset int64 // in the decompressed bytes
	Err    error
}

func (f *Fault) Error() string {
	return fmt.Sprintf("dbn: record %d at byte %d: %v; reading stops", f.Record, f.Offset, f.Err)
}

func (f *Fault) Unwrap() error { return f.Err }

var zstdMagic = []byte{0x28, 0xB5, 0x2F, 0xFD}

// NewReader reads the metadata. Close it to free the decompressor.
func NewReader(src io.Reader) (*Reader, error) {
	r, err := newReader(src)
	if err != nil {
		return nil, err
	}
	head, err := r.src.Peek(8)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %d bytes", ErrShort, len(head)), r.Close())
	}
	total, err := MetadataBytes(head)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	// Grown as bytes really come: the length is a claim.
	var header bytes.Buffer
	if n, err := io.CopyN(&header, r.src, int64(total)); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %d bytes of %d", ErrShort, n, total), r.Close())
	}
	meta, n, err := ParseMetadata(header.Bytes())
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.meta, r.version, r.tsOut, r.offset = meta, meta.Version, meta.TsOut, int64(n)
	return r, nil
}

// NewFragmentReader reads records without a header; the version must be known from outside.
func NewFragmentReader(src io.Reader, version uint8) (*Reader, error) {
	if version == 0 || version > versionMax {
		return nil, fmt.Errorf("%w: %d", ErrVersion, version)
	}
	r, err := newReader(src)
	if err != nil {
		return nil, err
	}
	r.version = version
	return r, nil
}

func newReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: bufio.NewReaderSize(src, 1<<16)}
	head, err := r.src.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("dbn: %w", err)
	}
	if bytes.Equal(head, zstdMagic) {
		if r.zst, err = zstd.NewReader(r.src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30)); err != nil {
			return nil, fmt.Errorf("dbn: %w", err)
		}
		r.src = bufio.NewReaderSize(r.zst, 1<<16)
	}
	return r, nil
}

// Metadata is the header, nil for a fragment.
func (r *Reader) Metadata() *Metadata { return r.meta }

// TsOut says that records carry a send time behind their body.
func (r *Reader) TsOut() bool { return r.tsOut }

// Next gives the next record in its version 3 form, valid until the call after; io.EOF at the end, a *Fault where it
// cannot go on.
func (r *Reader) Next() ([]byte, error) {
	raw, err := r.NextRaw()
	if err != nil {
		return nil, err
	}
	if r.up, err = Upgrade(r.up[:0], raw, r.version, r.tsOut); err != nil {
		return nil, &Fault{Record: r.count, Offset: r.offset - int64(len(raw)), Err: err}
	}
	return r.up, nil
}

// NextRaw gives the next record as the file has it.
func (r *Reader) NextRaw() ([]byte, error) {
	length, err := r.src.ReadByte()
	if err == io.EOF {
		return nil, io.EOF
	}
	fail := func(err error) ([]byte, error) {
		return nil, &Fault{Record: r.count + 1, Offset: r.offset, Err: err}
	}
	if err != nil {
		return fail(err)
	}
	n := 4 * int(length)
	if n < headerBytes {
		return fail(fmt.Errorf("%w: %d", ErrRecordLength, n))
	}
	r.rec = append(r.rec[:0], make([]byte, n)...)
	r.rec[0] = length
	if got, err := io.ReadFull(r.src, r.rec[1:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fail(fmt.Errorf("%w: %d bytes of %d: %w", ErrTruncated, got+1, n, io.ErrUnexpectedEOF))
		}
		return fail(err)
	}
	r.count++
	r.offset += int64(n)
	return r.rec, nil
}

// Version is the version of the file's records.
func (r *Reader) Version() uint8 { return r.version }

// Close frees the decompressor. The source is the caller's.
func (r *Reader) Close() error {
	if r.zst != nil {
		r.zst.Close()
	}
	return nil
}

// Writer writes a version 3 file or stream.
type Writer struct {
	dst *bufio.Writer
	zst *zstd.Encoder
	buf []byte
}

// NewWriter writes the metadata; compress puts everything under zstd. Close it.
func NewWriter(dst io.Writer, m *Metadata, compress bool) (*Writer, error) {
	w := &Writer{}
	if compress {
		var err error
		if w.zst, err = zstd.NewWriter(dst, zstd.WithEncoderConcurrency(1)); err != nil {
			return nil, fmt.Errorf("dbn: %w", err)
		}
		dst = w.zst
	}
	w.dst = bufio.NewWriterSize(dst, 1<<16)
	header, err := AppendMetadata(nil, m)
	if err != nil {
		return nil, err
	}
	if _, err := w.dst.Write(header); err != nil {
		return nil, fmt.Errorf("dbn: %w", err)
	}
	return w, nil
}

// Write writes one version 3 record as it is.
func (w *Writer) Write(rec []byte) error {
	if len(rec) < headerBytes || len(rec) != 4*int(rec[0]) {
		return fmt.Errorf("dbn: %w: %d bytes with length byte %d", ErrRecordLength, len(rec), rec[0])
	}
	if _, err := w.dst.Write(rec); err != nil {
		return fmt.Errorf("dbn: %w", err)
	}
	return nil
}

// Close flushes. The destination is the caller's.
func (w *Writer) Close() error {
	err := w.dst.Flush()
	if w.zst != nil {
		err = errors.Join(err, w.zst.Close())
	}
	if err != nil {
		return fmt.Errorf("dbn: %w", err)
	}
	return nil
}
