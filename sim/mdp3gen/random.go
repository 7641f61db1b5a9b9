package mdp3gen

import "math/bits"

// random is splitmix64 (Steele, Lea, Flood, 2014): one word of state, the same on every machine.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9E3779B97F4A7C15
	z := r.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below is uniform in [0, n).
func (r *random) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

// in is true n times of 10,000.
func (r *random) in(n uint64) bool { return r.below(10_000) < n }

// decay is geometric: n with weight 2^-(n+1), so 1 on average.
func (r *random) decay() int { return bits.LeadingZeros64(r.next() | 1) }
