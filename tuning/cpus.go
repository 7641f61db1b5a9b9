package tuning

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CPUs is a set of cores, in order, each once.
type CPUs []int

// maxCPU bounds a list that lies: the kernel's own limit is 8192 (CONFIG_NR_CPUS).
const maxCPU = 1 << 14

var errCPUs = errors.New("no list of cores, such as 0-3,8")

// ParseCPUs reads a list as sysfs has it, "0-3,8". Empty text and "(null)" are the empty set.
func ParseCPUs(s string) (CPUs, error) { return parseCPUs(s, nil) }

// ParseBootCPUs reads a list as the kernel's command line has it: strides ("0-31:2/4"), "N" for the last core, "all", and flags
// before it, which are returned apart ("domain,managed_irq,2-5"). possible is all cores there can be.
func ParseBootCPUs(s string, possible CPUs) (set CPUs, flags []string, err error) {
	parts := strings.Split(s, ",")
	for len(parts) > 0 && parts[0] != "" && parts[0] != "all" && parts[0] != "N" && (parts[0][0] < '0' || parts[0][0] > '9') && parts[0][0] != 'N' {
		flags, parts = append(flags, parts[0]), parts[1:]
	}
	if possible == nil {
		possible = CPUs{}
	}
	set, err = parseCPUs(strings.Join(parts, ","), possible)
	return set, flags, err
}

// parseCPUs knows the forms of the command line when possible is not nil.
func parseCPUs(s string, possible CPUs) (set CPUs, err error) {
	s = strings.TrimSpace(s)
	if s == "" || s == "(null)" {
		return nil, nil
	}
	for _, part := range strings.Split(s, ",") {
		part = strings.TrimSpace(part)
		used, group := 1, 1
		if possible != nil {
			if part == "all" {
				set = append(set, possible...)
				continue
			}
			if i := strings.IndexByte(part, ':'); i >= 0 {
				if _, err := fmt.Sscanf(part[i:], ":%d/%d", &used, &group); err != nil || used < 1 || group < used || group > maxCPU {
					return nil, fmt.Errorf("%w: %q", errCPUs, part)
				}
				part = part[:i]
			}
			if len(possible) > 0 {
				part = strings.ReplaceAll(part, "N", strconv.Itoa(possible[len(possible)-1]))
			}
		}
		from, to, isRange := strings.Cut(part, "-")
		a, err := number(from)
		b := a
		if err == nil && isRange {
			b, err = number(to)
		}
		if err != nil || b < a || b >= maxCPU {
			return nil, fmt.Errorf("%w: %q", errCPUs, part)
		}
		for c := a; c <= b; c++ {
			if (c-a)%group < used {
				set = append(set, c)
			}
		}
	}
	return set.sorted(), nil
}

// number takes digits only: Atoi would take signs and underscores' kin.
func number(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

// ParseMask reads a mask as /proc and /sys have it, groups of 32 bits in hex, the highest first: "00000000,0000000f".
func ParseMask(s string) (set CPUs, err error) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "0x")
	groups := strings.Split(s, ",")
	if len(groups) > maxCPU/32 {
		return nil, fmt.Errorf("mask of %d groups is too long", len(groups))
	}
	for i, g := range groups {
		// A kernel with few cores writes "f", and some files hold one group of up to 64 bits.
		bits, err := strconv.ParseUint(g, 16, 64)
		if err != nil || len(groups) > 1 && bits>>32 != 0 {
			return nil, fmt.Errorf("no mask of cores, such as 0000000f: %q", s)
		}
		for b := range 64 {
			if bits&(1<<b) != 0 {
				set = append(set, (len(groups)-1-i)*32+b)
			}
		}
	}
	return set.sorted(), nil
}

func (c CPUs) sorted() CPUs {
	slices.Sort(c)
	return slices.Compact(c)
}

// Mask is the set as ParseMask reads it.
func (c CPUs) Mask() string {
	if len(c) == 0 {
		return "0"
	}
	groups := make([]uint32, c[len(c)-1]/32+1)
	for _, n := range c {
		groups[n/32] |= 1 << (n % 32)
	}
	var b strings.Builder
	for i := len(groups) - 1; i >= 0; i-- {
		if i == len(groups)-1 {
			fmt.Fprintf(&b, "%x", groups[i])
		} else {
			fmt.Fprintf(&b, ",%08x", groups[i])
		}
	}
	return b.String()
}

// Has says whether n is in the set.
func (c CPUs) Has(n int) bool { _, ok := slices.BinarySearch(c, n); return ok }

// Union is a new set: those in either.
func (c CPUs) Union(other CPUs) CPUs { return append(slices.Clone(c), other...).sorted() }

// Without is a new set: those that are not in other.
func (c CPUs) Without(other CPUs) (left CPUs) {
	for _, n := range c {
		if !other.Has(n) {
			left = append(left, n)
		}
	}
	return left
}

// And is a new set: those in both.
func (c CPUs) And(other CPUs) (both CPUs) {
	for _, n := range c {
		if other.Has(n) {
			both = append(both, n)
		}
	}
	return both
}

// String is the set as sysfs writes it, "0-3,8".
func (c CPUs) String() string {
	var b strings.Builder
	for i := 0; i < len(c); {
		j := i
		for j+1 < len(c) && c[j+1] == c[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(c[i]))
		if j > i {
			fmt.Fprintf(&b, "-%d", c[j])
		}
		i = j + 1
	}
	return b.String()
}

// MarshalText and UnmarshalText let a plan file hold sets as text.
func (c CPUs) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func (c *CPUs) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCPUs(string(text))
	return err
}
