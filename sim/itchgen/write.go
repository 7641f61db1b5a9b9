package itchgen

import (
	"bufio"
	"encoding/binary"
	"io"
)

// WriteBinaryFILE writes the whole session as a BinaryFILE, end of session included. progress, which may be nil, is called
// now and then with the messages so far.
func WriteBinaryFILE(w io.Writer, g *Gen, progress func(messages uint64)) error {
	out := bufio.NewWriterSize(w, 1<<20)
	buf := make([]byte, 0, 128)
	for n := uint64(1); ; n++ {
		b, ok := g.Next(append(buf[:0], 0, 0))
		if !ok {
			break
		}
		binary.BigEndian.PutUint16(b, uint16(len(b)-2))
		if _, err := out.Write(b); err != nil {
			return err
		}
		if n%65536 == 0 && progress != nil {
			progress(n)
		}
	}
	if _, err := out.Write([]byte{0, 0}); err != nil {
		return err
	}
	return out.Flush()
}

// AppendAll appends the whole session's length-prefixed messages, without an end of session: for measurements from memory.
func AppendAll(dst []byte, g *Gen, progress func(messages uint64)) []byte {
	for n := uint64(1); ; n++ {
		at := len(dst)
		b, ok := g.Next(append(dst, 0, 0))
		if !ok {
			return dst[:at]
		}
		binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
		dst = b
		if n%65536 == 0 && progress != nil {
			progress(n)
		}
	}
}
