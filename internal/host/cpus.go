package host

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// cpus is a set of cores, in order.
type cpus []int

// mostCPU bounds a list that lies.
const mostCPU = 1 << 14

// parseList reads a list such as "0-3,8". "" and "(null)" are empty lists.
func parseList(s string) (set cpus, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || s == "(null)" {
		return nil, true
	}
	for _, part := range strings.Split(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(from)
		b := a
		if err == nil && isRange {
			b, err = strconv.Atoi(to)
		}
		if err != nil || a < 0 || b < a || b >= mostCPU {
			return nil, false
		}
		for c := a; c <= b; c++ {
			set = append(set, c)
		}
	}
	slices.Sort(set)
	return slices.Compact(set), true
}

// parseBootList reads a list of the kernel's command line, which may have flags before it and "all" in it: "domain,managed_irq,2-5".
func parseBootList(s string, online cpus) (set cpus) {
	for _, part := range strings.Split(s, ",") {
		if part == "all" {
			set = append(set, online...)
		} else if more, ok := parseList(part); ok {
			set = append(set, more...)
		}
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// parseMask reads a mask in groups of 32 bits, the highest first: "00000000,0000000f".
func parseMask(s string) (set cpus, ok bool) {
	groups := strings.Split(strings.TrimSpace(s), ",")
	for i, g := range groups {
		bits, err := strconv.ParseUint(g, 16, 32)
		if err != nil || len(groups) > mostCPU/32 {
			return nil, false
		}
		for b := range 32 {
			if bits&(1<<b) != 0 {
				set = append(set, (len(groups)-1-i)*32+b)
			}
		}
	}
	slices.Sort(set)
	return set, true
}

func (c cpus) has(n int) bool { return slices.Contains(c, n) }

// without are those that are not in other.
func (c cpus) without(other cpus) (left cpus) {
	for _, n := range c {
		if !other.has(n) {
			left = append(left, n)
		}
	}
	return left
}

// String is "core 3" or "cores 2-4,7".
func (c cpus) String() string {
	var b strings.Builder
	b.WriteString("core")
	if len(c) > 1 {
		b.WriteByte('s')
	}
	for i := 0; i < len(c); {
		j := i
		for j+1 < len(c) && c[j+1] == c[j]+1 {
			j++
		}
		sep := ","
		if i == 0 {
			sep = " "
		}
		if j == i {
			fmt.Fprintf(&b, "%s%d", sep, c[i])
		} else {
			fmt.Fprintf(&b, "%s%d-%d", sep, c[i], c[j])
		}
		i = j + 1
	}
	return b.String()
}

// is is "is" or "are".
func (c cpus) is() string {
	if len(c) > 1 {
		return "are"
	}
	return "is"
}
