package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// Options of a run. The zero value works: what needs no reboot and risks no remote access is done, network changes have to
// be confirmed within 30 s.
type Options struct {
	MaxRisk            tuning.Risk // changes above it are left out. The default (0) is R2.
	AcceptSecurityRisk bool        // r4 needs it, and a MaxRisk of R4 as well
	AllowMgmt          bool        // change the interface of the operator's session or of the default route, too
	DryRun             bool        // plan only: nothing is written, not even the journal
	// KeepGoing leaves out a change that the kernel refuses, if it left things as they were. The default is to undo the whole run.
	KeepGoing bool
	Confirm   time.Duration // how long network changes wait for Confirm. The default is 30 s; negative: they need none.
	// Guard is the command that undoes network changes; folder, root and the time are appended. It has to call Guard.
	// The default is this program's own file with the argument "deadman"; a test binary has none, for it would start its tests.
	Guard       []string
	Dir         string        // journal, lock and snapshots, below the host's root. The default is /var/lib/ticktune.
	CarrierWait time.Duration // how long an interface may take to come back. The default is 10 s.
	Session     string        // address of the operator's machine. The default is that of the SSH session this process is of.

	fault func(point string, e *Entry) error // tests: called at each step; its error is the step's
}

// SelfGuard is this program as its own guard, if it calls Guard for its argument "deadman".
var SelfGuard = []string{"/proc/self/exe", "deadman"}

// DefaultDir is where journal, lock and snapshots are.
const DefaultDir = "/var/lib/ticktune"

func (o Options) withDefaults() Options {
	if o.MaxRisk == 0 {
		o.MaxRisk = tuning.R2
	}
	if o.Confirm == 0 {
		o.Confirm = 30 * time.Second
	}
	if self, err := os.Executable(); len(o.Guard) == 0 && err == nil && !strings.HasSuffix(self, ".test") {
		o.Guard = SelfGuard
	}
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if o.CarrierWait == 0 {
		o.CarrierWait = 10 * time.Second
	}
	if o.fault == nil {
		o.fault = func(string, *Entry) error { return nil }
	}
	return o
}

// State is what became of a change.
type State string

const (
	Planned State = "planned" // would be done: of a dry run
	Done    State = "done"
	Already State = "already" // it was so
	Held    State = "held"    // above the risk that was allowed
	Refused State = "refused" // Reason says why; nothing was tried
	Failed  State = "failed"  // Reason says how; the run was undone, or with KeepGoing went on
	Undone  State = "undone"  // it was done, and the run failed later
	Skipped State = "skipped" // not tried, since the run failed before
	Stuck   State = "stuck"   // it could not be undone: the journal knows it, and a person has to look
)

// Step is one change of a run.
type Step struct {
	tuning.Change
	ID     int    `json:"id,omitempty"` // in the journal; 0: it is not there
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
	Was    Value  `json:"was"` // what was there when the run began
	place  place
	mark   string
}

// Outcome is what came of a run.
type Outcome struct {
	Run         int     `json:"run,omitempty"` // its number in the journal; 0: nothing was to do
	Snapshot    string  `json:"snapshot,omitempty"`
	Steps       []Step  `json:"steps"`
	Recovered   *Undo   `json:"recovered,omitempty"`   // what an interrupted run before this one had left
	Interrupted int     `json:"interrupted,omitempty"` // of a dry run: a run that the next one undoes first
	ConfirmS    float64 `json:"confirm_within_s,omitempty"`
	Reboot      bool    `json:"needs_reboot"`
}

// Count is how many steps ended in a state.
func (o *Outcome) Count(states ...State) (n int) {
	for i := range o.Steps {
		for _, s := range states {
			if o.Steps[i].State == s {
				n++
			}
		}
	}
	return n
}

// Errors of Run, each wrapped in one that says more.
var (
	ErrBusy    = errors.New("another run is at work")
	ErrPending = errors.New("network changes wait to be confirmed")
	ErrUndone  = errors.New("the run failed, and what it had done was undone")
	ErrStuck   = errors.New("the run failed, and not all of it could be undone")
	ErrJournal = errors.New("the journal is damaged")
)

// Run plans the changes, journals each, carries it out and reads it back. Refused and held ones are steps of the outcome, and
// no error. When a step fails, everything that the run did is undone and the error is ErrUndone or ErrStuck, with the outcome;
// other errors (ErrBusy, ErrPending, ErrJournal, of files) mean that nothing was changed. An interrupted run is undone first.
//
// A cancelled context counts as a failing step. Run reads the host afresh, and leaves it with nothing remembered.
func Run(ctx context.Context, h *tuning.Host, changes []tuning.Change, o Options) (*Outcome, error) {
	o = o.withDefaults()
	m, err := newMachine(h, &o)
	if err != nil {
		return nil, err
	}
	out := &Outcome{}
	h.Refresh(time.Now())
	defer func() { h.Refresh(time.Now()) }()
	if o.DryRun {
		j, err := m.readJournal()
		if errors.Is(err, fs.ErrPermission) {
			j = &journal{} // who may not read it may still plan
		} else if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(j.runs, func(r past) bool { return r.Ended == "" }); i >= 0 {
			out.Interrupted = j.runs[i].ID
		}
		out.Steps = m.plan(changes)
		out.Reboot = needsReboot(out.Steps, Planned)
		return out, nil
	}
	j, err := m.open(patience)
	if err != nil {
		return nil, err
	}
	defer j.close()
	if out.Recovered, err = m.recover(j); err != nil {
		return out, err
	}
	if p := j.pending(m.boot); p != 0 {
		return out, fmt.Errorf("%w: run %d; confirm or revert it first", ErrPending, p)
	}
	out.Steps = m.plan(changes)
	if out.Count(Planned) == 0 {
		return out, nil
	}
	if out.Snapshot, err = m.snapshot(j, ""); err != nil {
		return out, fmt.Errorf("a snapshot comes before changes: %w", err)
	}
	r := &run{m: m, j: j, o: &o, out: out}
	if err := r.do(ctx); err != nil {
		return out, err
	}
	out.Reboot = needsReboot(out.Steps, Done)
	return out, nil
}

// Recover undoes what an interrupted run left, as Run and Revert do; for those who look at the machine before they say what is
// to be changed. nil: there was nothing.
func Recover(h *tuning.Host, o Options) (*Undo, error) {
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
	return m.recover(j)
}

func needsReboot(steps []Step, state State) bool {
	for i := range steps {
		if steps[i].State == state && steps[i].Reboot {
			return true
		}
	}
	return false
}

// run is one run that has something to do.
type run struct {
	m       *machine
	j       *journal
	o       *Options
	out     *Outcome
	settles settler
}

func (r *run) do(ctx context.Context) (err error) {
	guarded := false
	for i := range r.out.Steps {
		guarded = guarded || r.out.Steps[i].State == Planned && r.guards(&r.out.Steps[i])
	}
	if r.out.Run, err = r.j.begin(r.m.boot, guarded); err != nil {
		return err
	}
	stop := func() {}
	if guarded {
		if stop, err = startGuard(r.m, r.o); err != nil {
			r.skip()
			return errors.Join(fmt.Errorf("network changes need a guard, and it does not start: %w", err), r.j.end(r.out.Run, "nothing done"))
		}
		r.out.ConfirmS = r.o.Confirm.Seconds()
	}
	if err := r.keepBoot(); err != nil {
		stop()
		r.skip()
		return errors.Join(fmt.Errorf("a copy of the boot loader's files comes before changes: %w", err), r.j.end(r.out.Run, "nothing done"))
	}
	if err := r.steps(ctx); err != nil {
		// Until all is as before the guard stays: it is there should this process die, and tries again what is stuck.
		if err = r.back(err); !errors.Is(err, ErrStuck) {
			stop()
		}
		return err
	}
	return r.j.end(r.out.Run, "kept")
}

// keepBoot keeps the boot loader's files, if the run will change them.
func (r *run) keepBoot() error {
	if slices.ContainsFunc(r.out.Steps, func(s Step) bool { return s.State == Planned && s.Kind == tuning.CommandLine }) {
		return r.m.keepBoot(r.out.Run)
	}
	return nil
}

// guards says whether a change may cut the operator off, so that it has to be confirmed.
func (r *run) guards(s *Step) bool {
	return r.o.Confirm > 0 && (nicOf(&s.Change) != "" || strings.HasPrefix(fileOf(&s.Change), "/proc/sys/net/") && s.Risk >= tuning.R2)
}

// steps carries out what is planned, then looks at all of it again.
func (r *run) steps(ctx context.Context) error {
	for i := range r.out.Steps {
		s := &r.out.Steps[i]
		if s.State != Planned {
			continue
		}
		if err := r.settles.before(r.m, s.place); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.step(ctx, s); err != nil {
			if s.ended(err) {
				s.State, s.Reason = Already, taskGone
				if s.ID != 0 {
					if err := r.j.note(void, s.ID, taskGone); err != nil {
						return err
					}
				}
				continue
			}
			s.Reason = err.Error()
			if s.State = Failed; r.o.KeepGoing && r.asBefore(s) {
				continue
			}
			return fmt.Errorf("%s: %w", label(&s.Change), err)
		}
		s.State = Done
	}
	if err := r.settles.all(r.m); err != nil {
		return err
	}
	return r.verify()
}

// step is one change: on disk in the journal, then made, then read back.
func (r *run) step(ctx context.Context, s *Step) error {
	e := &Entry{Run: r.out.Run, Boot: r.m.boot, Check: s.Check, Kind: s.Kind, Target: s.Target, Key: s.Key, Old: s.Was, New: s.place.wanted(s.Value),
		Mark: s.mark, Method: s.Command, Risk: s.Risk, Persistent: s.Persistent, Guarded: r.guards(s), Made: s.place.willMake()}
	if err := r.o.fault("journal", e); err != nil {
		return err
	}
	if err := r.j.set(e); err != nil {
		return err
	}
	s.ID = e.ID
	return r.m.put(ctx, s.place, e, e.New, nicOf(&s.Change))
}

const taskGone = "the task is gone"

// ended says whether a step failed because its task came to its end, which tasks do: that is no failure of the run.
func (s *Step) ended(err error) bool {
	t, ok := s.place.(interface{ born() (string, error) })
	if !ok || !gone(err) {
		return false
	}
	mark, err := t.born()
	return gone(err) || err == nil && mark != s.mark
}

// asBefore says whether a step that failed left things as they were; then the journal forgets it.
func (r *run) asBefore(s *Step) bool {
	if s.ID == 0 {
		return true
	}
	now, err := s.place.read()
	return err == nil && s.place.same(now, s.Was) && r.j.note(undone, s.ID, "the kernel refused it") == nil
}

// verify looks at everything twice: a ring that was resized may have put affinities and rules back, which are then set once
// more. What tools made of files of ours is told by the second look.
func (r *run) verify() error {
	for _, last := range []bool{false, true} {
		for i := range r.out.Steps {
			s := &r.out.Steps[i]
			if s.State != Done {
				continue
			}
			if err := r.o.fault("verify", nil); err != nil {
				return err
			}
			want := s.place.wanted(s.Value)
			now, err := s.place.read()
			switch {
			case s.ended(err):
				continue
			case err != nil:
			case !s.place.same(now, want):
				if err = fmt.Errorf("another change put it back to %s", now); !last {
					err = s.place.write(want)
				}
			case last:
				err = s.place.settled(want)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", label(&s.Change), err)
			}
		}
	}
	return nil
}

// skip is for what is not tried any more.
func (r *run) skip() {
	for i := range r.out.Steps {
		if r.out.Steps[i].State == Planned {
			r.out.Steps[i].State = Skipped
		}
	}
}

// back undoes what the run did.
func (r *run) back(cause error) error {
	r.skip()
	undo := r.m.undo(r.j, r.j.of(r.out.Run), anyBoot)
	stuck := false
	for i := range r.out.Steps {
		s := &r.out.Steps[i]
		for _, u := range undo.Entries {
			if u.ID != s.ID || s.ID == 0 {
				continue
			}
			switch {
			case u.State == Stuck || u.State == Drift:
				s.State, s.Reason, stuck = Stuck, u.Reason, true
			case s.State == Done:
				s.State = Undone
			}
		}
	}
	if undo.Err != nil || stuck {
		return fmt.Errorf("%w: %w", ErrStuck, errors.Join(cause, undo.Err))
	}
	if err := r.j.end(r.out.Run, "undone"); err != nil {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("%w: %w", ErrUndone, cause)
}

// label names a change in errors.
func label(c *tuning.Change) string {
	text := string(c.Kind) + " " + c.Target
	if c.Key != "" {
		text += " " + c.Key
	}
	if c.Check != "" {
		text = c.Check + ", " + text
	}
	return text
}

// Text writes an outcome for people: each step with risk and command, what was left out and why, and what comes next.
func (o *Outcome) Text(w io.Writer) error {
	var b strings.Builder
	if o.Interrupted > 0 {
		fmt.Fprintf(&b, "run r%d was interrupted, or still works: apply and revert undo what it left before anything else\n", o.Interrupted)
	}
	if o.Recovered != nil {
		b.WriteString("a run before this one was interrupted:\n")
		o.Recovered.text(&b)
	}
	for i := range o.Steps {
		s := &o.Steps[i]
		if s.State == Already {
			continue
		}
		fmt.Fprintf(&b, "%-8s %s  %-20s %s", s.State, s.Risk, s.Check, tuning.Printable(cmp.Or(s.Command, label(&s.Change)+" "+s.Value)))
		switch {
		case s.State == Refused || s.State == Held:
		case s.Reboot:
			b.WriteString("  (at the next boot)")
		case s.Persistent && !s.Was.There:
			b.WriteString("  (for each boot)")
		case s.place != nil:
			fmt.Fprintf(&b, "  (was %s)", tuning.Printable(s.Was.String()))
		}
		b.WriteByte('\n')
		if s.Reason != "" {
			fmt.Fprintf(&b, "              %s\n", tuning.Printable(s.Reason))
		}
	}
	var sum []string
	for _, st := range []State{Planned, Done, Already, Held, Refused, Failed, Undone, Skipped, Stuck} {
		if n := o.Count(st); n > 0 {
			sum = append(sum, fmt.Sprintf("%d %s", n, st))
		}
	}
	if len(sum) == 0 {
		sum = []string{"nothing to do"}
	}
	b.WriteString(strings.Join(sum, ", ") + "\n")
	if o.Reboot {
		b.WriteString("some of it needs a reboot\n")
	}
	if o.ConfirmS > 0 && o.Count(Failed, Undone, Stuck) == 0 {
		fmt.Fprintf(&b, "network changes undo themselves in %.0f s unless: ticktune confirm\n", o.ConfirmS)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// dir is a folder of the machine as this process names it.
func (m *machine) dir(name string) string { return filepath.Join(m.root, name) }
