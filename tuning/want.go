package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// What is wanted is text: alternatives apart by "|", each a number, a range "1024-4096", a bound "<=10" or ">=1", or a word.

// meets says whether a value is as wanted.
func meets(value, want string) bool {
	value = strings.Join(strings.Fields(value), " ")
	for _, w := range strings.Split(want, "|") {
		if w == value {
			return true
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			continue
		}
		low, high, ok := bounds(w)
		if ok && n >= low && n <= high {
			return true
		}
	}
	return false
}

const maxBound = 1<<63 - 1

func bounds(w string) (low, high int64, ok bool) {
	var err, err2 error
	switch {
	case strings.HasPrefix(w, "<="):
		low = -maxBound
		high, err = strconv.ParseInt(w[2:], 10, 64)
	case strings.HasPrefix(w, ">="):
		low, err = strconv.ParseInt(w[2:], 10, 64)
		high = maxBound
	default:
		a, b, isRange := strings.Cut(strings.TrimPrefix(w, "-"), "-")
		if !isRange {
			low, err = strconv.ParseInt(w, 10, 64)
			high = low
			break
		}
		low, err = strconv.ParseInt(a, 10, 64)
		high, err2 = strconv.ParseInt(b, 10, 64)
		if strings.HasPrefix(w, "-") {
			low = -low
		}
	}
	return low, high, err == nil && err2 == nil && low <= high
}

// validNumbers is for checks whose want is about numbers.
func validNumbers(want string) error {
	for _, w := range strings.Split(want, "|") {
		if _, _, ok := bounds(w); !ok {
			return errors.New("want a number, a range such as 1024-4096, or a bound such as <=10; several apart by |")
		}
	}
	return nil
}

// among is for checks whose want is one of some words.
func among(words ...string) func(string) error {
	return func(want string) error {
		for _, w := range strings.Split(want, "|") {
			if !slices.Contains(words, w) {
				return fmt.Errorf("want one of %s; several apart by |", strings.Join(words, ", "))
			}
		}
		return nil
	}
}

// toSet is the value to write so that want is met: the first alternative, a bound itself, the low end of a range.
func toSet(want string) string {
	w, _, _ := strings.Cut(want, "|")
	if low, high, ok := bounds(w); ok {
		if low == -maxBound {
			low = high
		}
		return strconv.FormatInt(low, 10)
	}
	return w
}

// wantText is want for people: "64|128" reads "64 or 128".
func wantText(want string) string { return strings.ReplaceAll(want, "|", " or ") }

// valueOf keeps the text and what it stands for.
func valueOf(v any) Value {
	switch v := v.(type) {
	case CPUs:
		list := []int(v)
		if list == nil {
			list = []int{}
		}
		text := v.String()
		if text == "" {
			text = "none"
		}
		return Value{text, list}
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return Value{v, n}
		}
		return Value{Raw: v}
	}
	return Value{fmt.Sprint(v), v}
}

func pass(effective any, want string) Finding {
	return Finding{Status: Pass, Effective: valueOf(effective), Want: want}
}

func note(effective any, reason string) Finding {
	return Finding{Status: Note, Effective: valueOf(effective), Reason: reason}
}

// deviates is a finding that is not as wanted: what it counts for is by severity and profile.
func deviates(effective any, want, reason string, changes ...Change) Finding {
	return Finding{bad: true, Effective: valueOf(effective), Want: want, Reason: reason, Changes: changes}
}

// setting is one file, or several alike, that a check wants to hold something.
type setting struct {
	path   string // a file or a pattern
	sysctl string // in place of path: a key with dots
	want   string // what it should hold; empty: the check's own
	set    string // what to write; empty: by toSet
	def    string // what the kernel has by itself: then nothing need be configured
	chosen bool   // the file shows all words, with the chosen one in brackets
	temp   bool   // a constant file of /sys: tmpfiles.d brings it about at boot
	udev   string // the match of a udev rule that does, for the device that appears
	attr   string // and the folder of the attribute below the device, with a slash at its end
	unfix  bool   // it cannot be written
}

// settings judges files alike: all as wanted, or what deviates with its changes. Missing ones do not count, unless all are.
func (h *Host) settings(list ...setting) Finding {
	var shown, wanted, wrong, configured []string
	var changes []Change
	var missing, failed error
	seen, keeps, loses, pending := 0, 0, 0, 0
	var last Value
	for _, s := range list {
		if s.want == "" {
			s.want = h.want
		}
		if s.set == "" {
			s.set = toSet(s.want)
		}
		names, label := []string{s.path}, path.Base(s.path)
		if s.sysctl != "" {
			names, label = []string{sysctlPath(s.sysctl)}, s.sysctl
		} else if strings.ContainsAny(s.path, "*[") {
			if names = h.Glob(s.path); len(names) == 0 {
				missing = &missingError{label}
				continue
			}
		}
		ruled := false
		byValue, order := map[string][]string{}, []string{}
		for _, name := range names {
			text, err := h.Read(name)
			if err != nil {
				if unread(err).Status == Skip {
					missing = err
				} else {
					failed = err
				}
				continue
			}
			if s.chosen {
				text = bracketed(text)
			}
			text = strings.Join(strings.Fields(text), " ")
			if byValue[text] == nil {
				order = append(order, text)
			}
			byValue[text] = append(byValue[text], name)
			seen++
			good := meets(text, s.want)
			next, known := h.nextValue(s, name)
			if known {
				configured = append(configured, label+"="+next)
			}
			last = valueOf(text)
			switch nextGood := known && meets(next, s.want); {
			case good && (nextGood || !known && s.def != "" && s.def == text):
				keeps++
			case good && (known || s.def != ""):
				loses++
			case !good && nextGood:
				pending++
			}
			if good || s.unfix {
				continue
			}
			if s.sysctl != "" {
				changes = append(changes, setSysctl(s.sysctl, s.set, text, h.check.Risk)...)
				continue
			}
			changes = append(changes, setFile(name, s.set, text, h.check.Risk))
			if s.temp {
				changes = append(changes, setTmpfile(name, s.set, h.check.Risk))
			} else if s.udev != "" && !ruled { // one rule is for all devices alike
				changes, ruled = append(changes, setUdev(name, s.udev, s.attr+label, s.set, h.check.Risk)), true
			}
		}
		for _, v := range order {
			text := label + "=" + short(v)
			for range byValue[v] {
				shown = append(shown, text)
				if !meets(v, s.want) {
					wrong = append(wrong, text)
				}
			}
		}
		if strings.HasPrefix(s.want, "<") || strings.HasPrefix(s.want, ">") {
			wanted = append(wanted, label+" "+wantText(s.want))
		} else {
			wanted = append(wanted, label+"="+wantText(s.want))
		}
	}
	if failed != nil && len(wrong) == 0 {
		return unread(failed)
	}
	if seen == 0 {
		return unread(missing)
	}
	shown, wrong = counted(shown), counted(wrong)
	f := Finding{Status: Pass, Effective: Value{Raw: strings.Join(shown, " ")}, Want: strings.Join(counted(wanted), ", ")}
	if seen == 1 {
		f.Effective.Parsed = last.Parsed
	}
	if len(configured) > 0 {
		f.Configured = Value{Raw: strings.Join(counted(configured), " ")}
	}
	switch {
	case len(wrong) > 0:
		f.bad, f.Changes = true, changes
		if len(wrong) < len(shown) { // else what is shown is all wrong, and says so
			f.Reason = strings.Join(wrong, ", ")
		}
		if pending > 0 {
			f.Persistence = Pending
		}
	case loses > 0:
		f.Persistence = Lost
	case keeps == seen:
		f.Persistence = Kept
	}
	return f
}

// counted is each text once, with how many times it was there.
func counted(texts []string) (once []string) {
	times := map[string]int{}
	for _, t := range texts {
		if times[t]++; times[t] == 1 {
			once = append(once, t)
		}
	}
	for i, t := range once {
		if times[t] > 1 {
			once[i] = fmt.Sprintf("%s (%d times)", t, times[t])
		}
	}
	return once
}

type missingError struct{ name string }

func (e *missingError) Error() string        { return "not present: " + e.name }
func (e *missingError) Is(target error) bool { return target == fs.ErrNotExist }

// nextValue is what the next boot gives to a setting, where a file of ours or another's says.
func (h *Host) nextValue(s setting, name string) (string, bool) {
	if s.sysctl != "" {
		v, _, ok := h.NextSysctl(s.sysctl)
		return v, ok
	}
	if s.temp {
		return h.NextTmpfile(name)
	}
	return "", false
}

// param judges one parameter of the command line by itself: good tells of its value and whether it is there.
func (h *Host) param(name, value string, good func(value string, ok bool) bool) Finding {
	now, ok, err := h.Param(name)
	if err != nil {
		return unread(err)
	}
	want := paramText(name, value, true)
	f := pass(paramText(name, now, ok), want)
	if !good(now, ok) {
		f = deviates(paramText(name, now, ok), want, paramText(name, now, ok), setBoot(name, value, h.check.Risk))
	}
	h.persist(&f, name, good)
	return f
}

// persist completes a finding about a parameter with what the next boot will have.
func (h *Host) persist(f *Finding, name string, good func(value string, ok bool) bool) {
	next, there, known := h.NextParam(name)
	if !known {
		return
	}
	f.Configured = Value{Raw: paramText(name, next, there)}
	switch nextGood := good(next, there); {
	case f.bad && nextGood:
		f.Persistence = Pending
	case !f.bad && nextGood:
		f.Persistence = Kept
	case !f.bad:
		f.Persistence = Lost
	}
}

// covers is a parameter whose set of cores must hold all of some.
func (h *Host) covers(need CPUs) func(string, bool) bool {
	return func(value string, ok bool) bool {
		if !ok {
			return false
		}
		set, _, err := ParseBootCPUs(value, h.Possible())
		return err == nil && len(need.Without(set)) == 0
	}
}

// exactly is a parameter with one value.
func exactly(want string) func(string, bool) bool {
	return func(value string, ok bool) bool { return ok && value == want }
}
