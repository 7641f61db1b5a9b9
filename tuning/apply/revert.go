package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// Outcomes of setting back, besides Undone and Stuck.
const (
	Drift State = "drift" // it is neither as it was before nor as it was set: somebody else's value, left alone
	Void  State = "void"  // of an earlier boot, or a task or device that is gone
)

// Undo is what came of setting back, last changed first.
type Undo struct {
	Entries []Undoing `json:"entries"`
	Err     error     `json:"-"` // of those that are stuck, or of the journal
}

// Undoing is one entry of it.
type Undoing struct {
	Entry
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// Count is how many ended in a state.
func (u *Undo) Count(s State) (n int) {
	for i := range u.Entries {
		if u.Entries[i].State == s {
			n++
		}
	}
	return n
}

func (u *Undo) text(b *strings.Builder) {
	for i := range u.Entries {
		e := &u.Entries[i]
		fmt.Fprintf(b, "%-8s %4d  %-22s %s %s: %s → %s\n", e.State, e.ID, e.Check, tuning.Printable(e.Target), tuning.Printable(e.Key), tuning.Printable(e.New.String()), tuning.Printable(e.Old.String()))
		if e.Reason != "" {
			fmt.Fprintf(b, "              %s\n", tuning.Printable(e.Reason))
		}
	}
}

// Text is for people.
func (u *Undo) Text() string {
	var b strings.Builder
	u.text(&b)
	var sum []string
	for _, s := range []State{Undone, Void, Drift, Stuck} {
		if n := u.Count(s); n > 0 {
			sum = append(sum, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(sum) == 0 {
		sum = []string{"nothing to set back"}
	}
	return b.String() + strings.Join(sum, ", ") + "\n"
}

// anyBoot is for undo within the run that made the changes.
const anyBoot = ""

// undo sets entries back, the last first, and makes tools look at what they made of files of ours. boot is the one now:
// what was set at run time in another is void.
func (m *machine) undo(j *journal, entries []Entry, boot string) *Undo {
	u := &Undo{}
	var s settler
	for _, e := range slices.Backward(entries) {
		one := Undoing{Entry: e}
		var err error
		one.State, one.Reason, err = m.undoOne(j, &e, boot, &s)
		u.Err = errors.Join(u.Err, err)
		u.Entries = append(u.Entries, one)
	}
	if err := s.all(m); err != nil {
		u.Err = errors.Join(u.Err, err)
		for i := range u.Entries { // what the tools made of it still stands
			if e := &u.Entries[i]; e.State == Undone && s.failed[e.ID] {
				e.State, e.Reason = Stuck, err.Error()
			}
		}
	}
	for i := range u.Entries {
		e := &u.Entries[i]
		var err error
		switch e.State {
		case Undone:
			err = j.note(undone, e.ID, e.Reason)
		case Void:
			err = j.note(void, e.ID, e.Reason)
		}
		u.Err = errors.Join(u.Err, err)
	}
	if err := j.f.Sync(); err != nil {
		u.Err = errors.Join(u.Err, fmt.Errorf("journal: %w", err))
	}
	return u
}

func (m *machine) undoOne(j *journal, e *Entry, boot string, s *settler) (State, string, error) {
	if boot != anyBoot && !e.Persistent && e.Boot != boot {
		return Void, "it was set in an earlier boot", nil
	}
	stuck := func(err error) (State, string, error) {
		return Stuck, err.Error(), fmt.Errorf("entry %d, %s %s: %w", e.ID, e.Kind, e.Target, err)
	}
	p, err := m.place(e.Kind, e.Target, e.Key)
	if err != nil {
		return stuck(err)
	}
	if t, ok := p.(mortal); ok {
		if n, ok := p.(interface{ anyName() }); ok && e.Mark != "" {
			n.anyName()
		}
		if mark, err := t.born(); gone(err) || err == nil && mark != e.Mark {
			return Void, taskGone, nil
		}
	}
	now, err := p.read()
	if gone(err) {
		return Void, "it is not there any more", nil
	} else if err != nil {
		return stuck(err)
	}
	if made, ok := p.(interface{ made(Value) bool }); !ok || made.made(e.New) {
		s.after(e.ID, p) // also where the file is as before: what a tool made of it may not be
	}
	var unnoted error
	if !p.same(now, e.Old) {
		// A driver told a value may take another: within the run that did it, what is neither is of the run too.
		// The same holds for the one that a run was at when it was killed.
		if boot != anyBoot && e.ID != m.doubt && !p.same(now, e.New) {
			return Drift, fmt.Sprintf("it is %s now, and was set to %s: left alone", now, e.New), nil
		}
		if err := m.o.fault("undo", e); err != nil {
			return stuck(err)
		}
		// A journal that cannot be written, on a full disk, must not keep from setting back: what is not noted is looked at again.
		unnoted = j.note(undo, e.ID, "")
		if err := m.put(context.Background(), p, e, e.Old, ""); err != nil { // whether the carrier returns is no matter of this value
			return stuck(err)
		}
	}
	m.tidy(p, e)
	return Undone, "", unnoted
}

// tidy removes folders that were made for an entry, if nobody else uses them, and a file that was about to be renamed.
func (m *machine) tidy(p place, e *Entry) {
	if t, ok := p.(interface{ temporary() string }); ok {
		_ = os.Remove(m.dir(t.temporary())) // mostly there is none
	}
	for _, dir := range slices.Backward(e.Made) {
		_ = os.Remove(m.dir(dir)) // refused while something is in it, which is what is wanted
	}
}

// gone says whether an error means that the thing itself is no more.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO)
}

// recover undoes what interrupted runs left, and network changes whose guard is gone. nil: there was nothing.
func (m *machine) recover(j *journal) (*Undo, error) {
	var all *Undo
	for i := len(j.runs) - 1; i >= 0; i-- {
		r := j.runs[i]
		var entries []Entry
		switch {
		case r.Ended == "":
			entries = j.of(r.ID)
			if n := len(entries); n > 0 && entries[n-1].ID == j.last && entries[n-1].Boot == m.boot && !entries[n-1].Persistent {
				m.doubt = j.last
			}
		case r.Guarded && !r.Confirmed && r.Ended == "kept" && (r.Boot != m.boot || !m.guardLives()):
			for _, e := range j.of(r.ID) {
				if e.Guarded {
					entries = append(entries, e)
				}
			}
		default:
			continue
		}
		u := m.undo(j, entries, m.boot)
		m.doubt = 0
		if all == nil {
			all = &Undo{}
		}
		all.Entries = append(all.Entries, u.Entries...)
		if u.Err != nil {
			return all, fmt.Errorf("run %d was interrupted, and cannot be undone: %w", r.ID, u.Err)
		}
		if err := j.end(r.ID, "reverted"); err != nil {
			return all, err
		}
	}
	if all != nil && len(all.Entries) == 0 {
		all = nil
	}
	return all, nil
}

// Which says what Revert sets back. The zero value is nothing.
type Which struct {
	All      bool
	Entries  []int  // by number
	Runs     []int  // all of these
	Snapshot string // all that came after it
}

// Revert sets back what the journal knows, the last first. What is neither as before nor as set is drift: told, left alone, and
// kept in the journal. An error means that something is stuck, or that nothing was tried (ErrBusy, ErrJournal).
func Revert(h *tuning.Host, which Which, o Options) (*Undo, error) {
	o = o.withDefaults()
	m, err := newMachine(h, &o)
	if err != nil {
		return nil, err
	}
	j, err := m.open(patience)
	if err != nil {
		return nil, err
	}
	defer j.close()
	defer func() { h.Refresh(time.Now()) }()
	recovered, err := m.recover(j)
	if err != nil {
		return recovered, err
	}
	if recovered == nil {
		recovered = &Undo{}
	}
	entries, err := m.choose(j, which)
	if err != nil {
		return recovered, err
	}
	u := m.undo(j, entries, m.boot)
	u.Entries = append(recovered.Entries, u.Entries...)
	return u, u.Err
}

// choose finds the entries that are meant.
func (m *machine) choose(j *journal, which Which) (list []Entry, err error) {
	after := -1
	if which.Snapshot != "" {
		s, err := m.readSnapshot(which.Snapshot)
		if err != nil {
			return nil, err
		}
		after = s.Entry
	}
	for _, id := range which.Entries {
		if !slices.ContainsFunc(j.entries, func(e Entry) bool { return e.ID == id }) {
			return nil, fmt.Errorf("the journal has no change %d that stands", id)
		}
	}
	for _, id := range which.Runs {
		if len(j.of(id)) == 0 {
			return nil, fmt.Errorf("the journal has no changes of run %d that stand", id)
		}
	}
	for _, e := range j.entries {
		if which.All || slices.Contains(which.Entries, e.ID) || slices.Contains(which.Runs, e.Run) || after >= 0 && e.ID > after {
			list = append(list, e)
		}
	}
	return list, nil
}

// Standing are the changes that the journal knows and could set back, oldest first. It takes no lock and changes nothing.
func Standing(h *tuning.Host, o Options) ([]Entry, error) {
	o = o.withDefaults()
	m, err := newMachine(h, &o)
	if err != nil {
		return nil, err
	}
	j, err := m.readJournal()
	if err != nil {
		return nil, err
	}
	return j.entries, nil
}
