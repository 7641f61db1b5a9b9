package itchgen

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
func (r *random) decay() uint64 { return uint64(bits.LeadingZeros64(r.next() | 1)) }

// spread has a mean of about unit and a tail like an exponential's.
func (r *random) spread(unit uint64) uint64 {
	x := r.next()
	whole := uint64(bits.LeadingZeros64(x|1<<16)) << 16
	hi, lo := bits.Mul64(whole+x&0xFFFF, unit)
	q, _ := bits.Div64(hi, lo, 3<<15) // 1.5 with 16 bits of fraction
	return q
}

// zipf draws from n things of which the k-th has weight 1/(k+q), by the alias method.
type zipf struct {
	keep  []uint32 // of 2^32: draw the thing itself
	alias []uint32
}

func newZipf(n int, q uint64) *zipf {
	const unit = 1 << 40
	weights := make([]uint64, n)
	total := uint64(0)
	for i := range weights {
		weights[i] = unit / (uint64(i) + q)
		total += weights[i]
	}
	z := &zipf{keep: make([]uint32, n), alias: make([]uint32, n)}
	// Each weight times n against the total; 128-bit products keep this exact.
	share := make([]uint64, n) // of 2^32 a slot
	var small, large []int
	for i, w := range weights {
		hi, lo := bits.Mul64(w, uint64(n)<<32)
		share[i], _ = bits.Div64(hi%total, lo, total)
		if share[i] < 1<<32 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		z.keep[s], z.alias[s] = uint32(share[s]), uint32(l)
		share[l] -= 1<<32 - share[s]
		if share[l] < 1<<32 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		z.keep[i], z.alias[i] = 1<<32-1, uint32(i)
	}
	return z
}

func (z *zipf) draw(r *random) uint32 {
	x := r.next()
	i := uint32(x >> 32 * uint64(len(z.keep)) >> 32)
	if uint32(x) <= z.keep[i] {
		return i
	}
	return z.alias[i]
}

// shuffle28 is a permutation of the numbers below 2^28, a Feistel network of four rounds: references that look random.
func shuffle28(n, key uint64) uint64 {
	const half, mask = 14, 1<<14 - 1
	l, r := n>>half&mask, n&mask
	for round := range uint64(4) {
		f := ((r ^ key>>(round*14)&mask) + round) * 0x9E3779B97F4A7C15 >> 40
		l, r = r, (l^f)&mask
	}
	return l<<half | r
}
