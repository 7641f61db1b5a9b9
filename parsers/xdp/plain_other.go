//go:build !amd64 || purego

package xdp

import "github.com/tickwire/tickwire/tick"

// fast is plain, where there is nothing faster.
func (d *Decoder) fast(b []byte, end int, sequence, step uint64, max int, out *tick.Batch) (used, messages int) {
	return d.plain(b, end, d.dense, sequence, step, max, out)
}

func (d *Decoder) fastQuotes(b []byte, sequence, step uint64, max int, out *tick.Batch) (used, messages int) {
	return d.quotes(b, sequence, step, max, out)
}
