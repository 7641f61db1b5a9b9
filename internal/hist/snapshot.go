package hist

import (
	"fmt"
	"slices"
)

// Snapshot is a histogram that was read. Bounds are inclusive, ascending, in ns; the last is Inf. Counts are not cumulated.
type Snapshot struct {
	Bounds []uint64
	Counts []uint64
	Sum    uint64 // ns, when HasSum; otherwise see Estimate
	HasSum bool
}

// Count is the number of values.
func (s *Snapshot) Count() uint64 {
	n := uint64(0)
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// Quantile is an upper bound of the q-th quantile (0 … 1), in ns: the bound of the bucket that it lies in. 0 without
// values, Inf when it lies beyond the last bound.
func (s *Snapshot) Quantile(q float64) uint64 {
	n := s.Count()
	if n == 0 {
		return 0
	}
	rank := uint64(q * float64(n))
	if float64(rank) < q*float64(n) || rank == 0 {
		rank++
	}
	rank = min(rank, n)
	for i, c := range s.Counts {
		if c >= rank {
			return s.Bounds[i]
		}
		rank -= c
	}
	return Inf
}

// Max is the bound of the last bucket that has a value, 0 without values.
func (s *Snapshot) Max() uint64 {
	for i, c := range slices.Backward(s.Counts) {
		if c != 0 {
			return s.Bounds[i]
		}
	}
	return 0
}

// Merge adds another histogram of the same bounds: of another lane.
func (s *Snapshot) Merge(o *Snapshot) error {
	if len(s.Counts) == 0 {
		*s = Snapshot{o.Bounds, slices.Clone(o.Counts), o.Sum, o.HasSum}
		return nil
	}
	if !slices.Equal(s.Bounds, o.Bounds) {
		return fmt.Errorf("hist: histograms of %d and %d buckets have other bounds and cannot be added", len(s.Bounds), len(o.Bounds))
	}
	for i, c := range o.Counts {
		s.Counts[i] += c
	}
	s.Sum += o.Sum
	s.HasSum = s.HasSum && o.HasSum
	return nil
}

// Estimate is the sum in ns: as counted, or, where it was not, from the middles of the buckets.
func (s *Snapshot) Estimate() float64 {
	if s.HasSum {
		return float64(s.Sum)
	}
	sum, below := 0.0, 0.0
	for i, c := range s.Counts {
		middle := below // of the bucket without a bound
		if b := s.Bounds[i]; b != Inf {
			middle = (below + float64(b)) / 2
			below = float64(b)
		}
		sum += float64(c) * middle
	}
	return sum
}
