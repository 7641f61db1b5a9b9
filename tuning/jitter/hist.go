package jitter

import (
	"encoding/json"
	"errors"
	"math/bits"
)

// Histogram counts times in ns. Up to 255 ns each value has a bucket of its own, then each power of two has 128 of equal
// width, so that a value is known to 0.8 %: two digits. Times of 2^30 ns (1.07 s) and more are in the last bucket.
//
// The zero value is empty. It has a fixed size and no pointer; there is one a core, and Merge adds them up. As JSON it is a list of
// [least ns of the bucket, count], without the buckets that are empty.
type Histogram struct {
	counts [buckets]uint64
	beyond uint64 // sum of what is in the last bucket, ns
}

const (
	exactBits = 8  // values of fewer bits have a bucket each
	subBits   = 7  // 128 buckets a power of two
	topBits   = 30 // values of more bits share one
	buckets   = 1<<exactBits + (topBits-exactBits)<<subBits + 1
)

// Add counts one value. No call, no allocation.
func (h *Histogram) Add(ns uint64) {
	i := bucket(ns)
	h.counts[i]++
	if i == buckets-1 {
		h.beyond += ns
	}
}

func bucket(ns uint64) int {
	if ns < 1<<exactBits {
		return int(ns)
	}
	e := bits.Len64(ns) - 1
	if e >= topBits {
		return buckets - 1
	}
	return 1<<exactBits + (e-exactBits)<<subBits + int(ns>>(e-subBits)&(1<<subBits-1))
}

// lowest is the least value of a bucket, ns; that of one beyond the last has no meaning.
func lowest(i int) uint64 {
	if i < 1<<exactBits {
		return uint64(i)
	}
	e, sub := (i-1<<exactBits)>>subBits+exactBits, (i-1<<exactBits)&(1<<subBits-1)
	return uint64(1<<subBits+sub) << (e - subBits)
}

// middle is the value that a bucket stands for, ns.
func (h *Histogram) middle(i int) float64 {
	if i == buckets-1 {
		if h.counts[i] == 0 {
			return 1 << topBits
		}
		return float64(h.beyond) / float64(h.counts[i])
	}
	return float64(lowest(i)+lowest(i+1)-1) / 2
}

// Count is how many values there are.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

// Merge adds another core's.
func (h *Histogram) Merge(o *Histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.beyond += o.beyond
}

// Quantile is the q-th quantile (0 to 1) of the values, ns: the middle of its bucket. 0 without values.
func (h *Histogram) Quantile(q float64) float64 {
	n := h.Count()
	if n == 0 {
		return 0
	}
	rank := uint64(q * float64(n))
	if float64(rank) < q*float64(n) || rank == 0 {
		rank++
	}
	rank = min(rank, n)
	for i, c := range h.counts {
		if c >= rank {
			return h.middle(i)
		}
		rank -= c
	}
	return h.middle(buckets - 1)
}

// Above is the share of a run of runNs in which whoever arrives waits for more than x ns, when each value is a time in which nobody is
// served: P(delay > x) = Σ max(0, value − x) / run.
func (h *Histogram) Above(x, runNs float64) float64 {
	sum := 0.0
	for i := buckets - 1; i >= 0; i-- {
		m := h.middle(i)
		if m <= x {
			break
		}
		sum += float64(h.counts[i]) * (m - x)
	}
	return sum / runNs
}

// Delay is the time that a share of all arrivals does not exceed (0.9999: of all but one in 10,000), by Above turned round, ns. It
// is 0 where less time than that was lost in all.
func (h *Histogram) Delay(share, runNs float64) float64 {
	lost := (1 - share) * runNs // Σ max(0, value − x) is to be this
	sum, n := 0.0, 0.0          // of the values above x
	for i := buckets - 1; i >= 0; i-- {
		if h.counts[i] == 0 {
			continue
		}
		m, c := h.middle(i), float64(h.counts[i])
		if sum-n*m >= lost { // between this value and the next larger one
			return (sum - lost) / n
		}
		sum, n = sum+c*m, n+c
	}
	if n == 0 || sum <= lost {
		return 0
	}
	return (sum - lost) / n
}

// MarshalJSON leaves out what is empty.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	rows := [][2]uint64{}
	for i, c := range h.counts {
		if c == 0 {
			continue
		}
		low := lowest(i)
		if i == buckets-1 {
			low = h.beyond / c // what they are on average, so that nothing is lost
		}
		rows = append(rows, [2]uint64{low, c})
	}
	return json.Marshal(rows)
}

var errHistogram = errors.New("jitter: a histogram is a list of [ns, count] with a sum below 2^63")

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var rows [][2]uint64
	if err := json.Unmarshal(text, &rows); err != nil {
		return err
	}
	*h = Histogram{}
	left := uint64(1) << 63
	for _, r := range rows {
		high, low := bits.Mul64(max(r[0], 1), r[1])
		if high != 0 || low > left {
			return errHistogram
		}
		left -= low
		i := bucket(r[0])
		h.counts[i] += r[1]
		if i == buckets-1 {
			h.beyond += low
		}
	}
	return nil
}
