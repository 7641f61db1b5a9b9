package itchgen

import (
	"bufio"
	"fmt"
	"io"
)

// progressEvery is how many messages lie between two calls of a progress function.
const progressEvery = 1 << 16

// WriteBinaryFILE writes the rest of the session as a BinaryFILE: each message after its length in two bytes, and a length of zero at
// the end. progress is called now and then with the messages given so far, and at the end; it may be nil. A live session needs
// Messages.
func WriteBinaryFILE(w io.Writer, g *Gen, progress func(messages uint64)) error {
	if g.endless() {
		return errEndless
	}
	out := bufio.NewWriterSize(w, 1<<20)
	buf := make([]byte, 0, 1<<15)
	for more := true; more; {
		// A few hundred messages a write: short enough for the cache.
		n := 0
		buf, n = g.AppendFramed(buf[:0], 512)
		if _, err := out.Write(buf); err != nil {
			return fmt.Errorf("itchgen: BinaryFILE, message %d: %w", g.sent, err)
		}
		more = n == 512
		if progress != nil && g.sent%progressEvery < 512 {
			progress(g.sent)
		}
	}
	if _, err := out.Write([]byte{0, 0}); err != nil {
		return fmt.Errorf("itchgen: BinaryFILE, end of session: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("itchgen: BinaryFILE: %w", err)
	}
	if progress != nil {
		progress(g.sent)
	}
	return nil
}

// AppendAll appends the rest of the session like AppendFramed: for measurements from memory. A live session without Messages
// has no rest, and nothing is appended.
func AppendAll(dst []byte, g *Gen, progress func(messages uint64)) []byte {
	if g.endless() {
		return dst
	}
	for {
		n := 0
		dst, n = g.AppendFramed(dst, progressEvery)
		if progress != nil {
			progress(g.sent)
		}
		if n < progressEvery {
			return dst
		}
	}
}
