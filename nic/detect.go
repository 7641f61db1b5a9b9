package nic

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// FileKind is what a file is, told from its first bytes, never from its name.
type FileKind uint8

// Kinds of file.
const (
	FileUnknown FileKind = iota
	FileEmpty
	FileText
	FilePcap
	FilePcapNG
	FileDBN
	FileBinary // BinaryFILE: u16 length, message, and so on
	FileFIX    // FIX messages, one behind the other
)

func (k FileKind) String() string {
	return [...]string{"unknown", "empty", "text", "pcap", "pcapng", "DBN", "BinaryFILE", "FIX"}[min(k, FileFIX)]
}

// Compression of a file.
type Compression uint8

// Compressions.
const (
	Plain Compression = iota
	Gzip
	Zstd
)

// Sniff tells what bytes are; b is the first ones of a file, some hundreds are enough.
func Sniff(b []byte) FileKind {
	if len(b) == 0 {
		return FileEmpty
	}
	if len(b) >= 4 {
		switch binary.BigEndian.Uint32(b) {
		case 0xA1B2C3D4, 0xD4C3B2A1, 0xA1B23C4D, 0x4D3CB2A1:
			return FilePcap
		case 0x0A0D0D0A:
			return FilePcapNG
		}
	}
	if bytes.HasPrefix(b, []byte("DBN")) && len(b) > 3 && b[3] < 16 {
		return FileDBN
	}
	if bytes.HasPrefix(b, []byte("8=FIX")) {
		return FileFIX
	}
	if len(b) >= 3 {
		// A day file begins with the length of its first message, a few dozen bytes, and that message's letter; foreign
		// ones begin with a length of 0.
		n := int(binary.BigEndian.Uint16(b))
		letter := b[2] >= 'A' && b[2] <= 'Z' || b[2] >= 'a' && b[2] <= 'z'
		if letter && n < 256 {
			return FileBinary
		}
	}
	if len(b) <= 2 && b[0] == 0 {
		return FileBinary
	}
	if looksLikeText(b) {
		return FileText
	}
	return FileUnknown
}

func looksLikeText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && len(b) >= utf8.UTFMax || r < 0x20 && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
		b = b[n:]
	}
	return true
}

// SniffCompression tells a compression by its magic.
func SniffCompression(b []byte) Compression {
	switch {
	case bytes.HasPrefix(b, []byte{0x1F, 0x8B}):
		return Gzip
	case bytes.HasPrefix(b, []byte{0x28, 0xB5, 0x2F, 0xFD}):
		return Zstd
	}
	return Plain
}

// Decompress puts the right reader over r. close frees it; the source is the caller's.
func Decompress(r io.Reader, c Compression) (out io.Reader, closeFn func(), err error) {
	switch c {
	case Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, fmt.Errorf("nic: gzip: %w", err)
		}
		return z, func() { _ = z.Close() }, nil
	case Zstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return nil, nil, fmt.Errorf("nic: zstd: %w", err)
		}
		return z, z.Close, nil
	}
	return r, func() {}, nil
}

// Detect opens a file and tells what it is, below its compression.
func Detect(path string) (FileKind, Compression, error) {
	file, err := os.Open(path)
	if err != nil {
		return FileUnknown, Plain, fmt.Errorf("nic: %w", err)
	}
	defer file.Close()
	if st, err := file.Stat(); err == nil && st.IsDir() {
		return FileUnknown, Plain, fmt.Errorf("nic: %s is a folder, want a capture", path)
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return FileUnknown, Plain, fmt.Errorf("nic: %w", err)
	}
	c := SniffCompression(head[:n])
	if c == Plain {
		return Sniff(head[:n]), c, nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return FileUnknown, c, fmt.Errorf("nic: %w", err)
	}
	r, done, err := Decompress(file, c)
	if err != nil {
		return FileUnknown, c, err
	}
	defer done()
	n, err = io.ReadFull(r, head)
	if err != nil && n == 0 && !errors.Is(err, io.EOF) {
		return FileUnknown, c, fmt.Errorf("nic: %s: %w", path, err)
	}
	return Sniff(head[:n]), c, nil
}

// ErrEmpty and ErrText are sentences for files that are no captures.
var (
	ErrEmpty = errors.New("the file is empty: there is nothing to read")
	ErrText  = errors.New("the file is text, not a capture")
)
