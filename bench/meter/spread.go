package meter

import (
	"fmt"
	"slices"
)

// Runs is how often a figure is measured unless told otherwise.
const Runs = 5

// Spread is one figure over several runs. The median is the figure; the others say what it is worth.
type Spread struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Runs   []float64 `json:"runs"` // in the order they were made
}

// Of makes the spread of runs; zeros of none.
func Of(runs []float64) Spread {
	if len(runs) == 0 {
		return Spread{Runs: []float64{}}
	}
	return Spread{Median: Median(runs), Min: slices.Min(runs), Max: slices.Max(runs), Runs: slices.Clone(runs)}
}

// Add is the spread with one run more.
func (s Spread) Add(v float64) Spread { return Of(append(s.Runs, v)) }

// String is "12.3 (11.9–14.0)".
func (s Spread) String() string {
	if len(s.Runs) < 2 {
		return short(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", short(s.Median), short(s.Min), short(s.Max))
}

func short(v float64) string {
	if v >= 1000 || v == float64(int64(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// Median of values, the mean of the two in the middle if there are two; 0 of none.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if len(s)%2 == 0 {
		return (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return s[len(s)/2]
}
