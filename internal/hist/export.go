package hist

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/ringbuf"
)

// Export copies a histogram's words to a counter file. Only what changed is stored: entries of the file are two cache
// lines apart, and most buckets never move.
type Export struct {
	file    *ringbuf.StatsWriter
	words   []word
	written []uint64
}

type word struct {
	handle int
	from   *uint64
}

const infix = ".hist."

// Register adds h to a counter file as <prefix>.hist.<stage>.…: one counter a bucket, the sum, and how many spans went
// backwards. It takes Buckets+2 entries.
func Register(file *ringbuf.StatsWriter, prefix, stage string, h *Hist) (*Export, error) {
	e := &Export{file: file}
	err := e.buckets(prefix+infix+stage, h.words[:], Bound)
	err = errors.Join(err, e.word(prefix+infix+stage+".sum", &h.sum), e.word(prefix+infix+stage+".backwards", &h.backwards))
	return e.done(err)
}

// RegisterPowers adds an array whose word i counts values of [2^i, 2^(i+1)) ns, 0 being in the first and the last without
// a bound: the form of session.Channel's Skew. It takes as many entries as the array has words. No sum is known.
func RegisterPowers(file *ringbuf.StatsWriter, prefix, stage string, words []uint64) (*Export, error) {
	e := &Export{file: file}
	return e.done(e.buckets(prefix+infix+stage, words, func(i int) uint64 {
		if i >= len(words)-1 || i >= 63 {
			return Inf
		}
		return 1<<(i+1) - 1
	}))
}

func (e *Export) buckets(name string, words []uint64, bound func(int) uint64) (err error) {
	for i := range words {
		le := "inf"
		if b := bound(i); b != Inf {
			le = strconv.FormatUint(b, 10)
		}
		err = errors.Join(err, e.word(name+".le."+le, &words[i]))
	}
	return err
}

func (e *Export) word(name string, from *uint64) error {
	handle, err := e.file.Add(name, ringbuf.StatCounter)
	if err != nil {
		return fmt.Errorf("hist: %w", err)
	}
	e.words = append(e.words, word{handle, from})
	return nil
}

func (e *Export) done(err error) (*Export, error) {
	if err != nil {
		return nil, err
	}
	e.written = make([]uint64, len(e.words))
	return e, nil
}

// Publish stores what changed since the last call. It is the histogram's writer that calls it, between two passes: no allocation,
// no call into the kernel, some 100 ns.
func (e *Export) Publish() {
	for i := range e.words {
		if v := *e.words[i].from; v != e.written[i] {
			e.written[i] = v
			e.file.Set(e.words[i].handle, v)
		}
	}
}

// Named is a histogram of a counter file.
type Named struct {
	Prefix string // what stands before .hist., such as a lane's name
	Stage  string
	Snapshot
	Backwards uint64
}

// Parse takes the histograms out of a process's counters; rest are the counters that are none of theirs. What looks
// like a histogram's and is not (a bound that is no number, or none without end) stays in rest.
func Parse(stats []ringbuf.Stat) (found []Named, rest []ringbuf.Stat) {
	place := make(map[string]int)
	at := func(prefix, stage string) *Named {
		key := prefix + infix + stage
		i, ok := place[key]
		if !ok {
			i = len(found)
			place[key] = i
			found = append(found, Named{Prefix: prefix, Stage: stage})
		}
		return &found[i]
	}
	for _, s := range stats {
		prefix, tail, ok := strings.Cut(s.Name, infix)
		stage, what, ok2 := strings.Cut(tail, ".")
		le, isBucket := strings.CutPrefix(what, "le.")
		switch {
		case !ok || !ok2 || prefix == "" || stage == "":
			rest = append(rest, s)
		case isBucket:
			bound := uint64(Inf)
			if le != "inf" {
				n, err := strconv.ParseUint(le, 10, 64)
				if err != nil || n == Inf {
					rest = append(rest, s)
					continue
				}
				bound = n
			}
			h := at(prefix, stage)
			h.Bounds, h.Counts = append(h.Bounds, bound), append(h.Counts, s.Value)
		case what == "sum":
			h := at(prefix, stage)
			h.Sum, h.HasSum = s.Value, true
		case what == "backwards":
			at(prefix, stage).Backwards = s.Value
		default:
			rest = append(rest, s)
		}
	}
	for i := range found {
		found[i].order()
	}
	found = slices.DeleteFunc(found, func(n Named) bool { return len(n.Bounds) == 0 })
	return found, rest
}

// order sorts buckets by their bounds, joins those of one bound, and gives them an end.
func (s *Snapshot) order() {
	if len(s.Bounds) == 0 {
		return
	}
	idx := make([]int, len(s.Bounds))
	for i := range idx {
		idx[i] = i
	}
	slices.SortStableFunc(idx, func(a, b int) int {
		switch {
		case s.Bounds[a] < s.Bounds[b]:
			return -1
		case s.Bounds[a] > s.Bounds[b]:
			return 1
		}
		return 0
	})
	var bounds, counts []uint64
	for _, i := range idx {
		if n := len(bounds); n > 0 && bounds[n-1] == s.Bounds[i] {
			counts[n-1] += s.Counts[i]
			continue
		}
		bounds, counts = append(bounds, s.Bounds[i]), append(counts, s.Counts[i])
	}
	if bounds[len(bounds)-1] != Inf {
		bounds, counts = append(bounds, Inf), append(counts, 0)
	}
	s.Bounds, s.Counts = bounds, counts
}
