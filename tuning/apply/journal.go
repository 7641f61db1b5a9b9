package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// The journal is a file of lines, each a JSON object, that only grows. What a line is about is in "do":
//
//	begin    run N has something to do; "guarded": some of it has to be confirmed
//	set      entry ID is about to be changed from old to new. On disk before the change is made.
//	undo     entry ID is about to be set back
//	undone   entry ID is as before, and done with; "text" may say why without a change
//	void     entry ID cannot be set back, or need not: the boot or the task it was of is over
//	confirm  the network changes of run N are meant
//	end      run N is over, and whole: "text" is kept, undone, reverted
//
// A run without its end was interrupted. Its entries without undone or void are in doubt: each is as old or as new.
// A last line without its newline was not durable, so its change was not made: it is cut off.
const (
	begin   = "begin"
	set     = "set"
	undo    = "undo"
	undone  = "undone"
	void    = "void"
	confirm = "confirm"
	end     = "end"
)

// Entry is a change as the journal knows it.
type Entry struct {
	ID         int         `json:"id"`
	Run        int         `json:"run"`
	Time       time.Time   `json:"time"`
	Boot       string      `json:"boot_id"`
	Check      string      `json:"check,omitempty"`
	Kind       tuning.Kind `json:"kind"`
	Target     string      `json:"target"`
	Key        string      `json:"key,omitempty"`
	Old        Value       `json:"old"`
	New        Value       `json:"new"`
	Mark       string      `json:"mark,omitempty"` // of a task: when it started
	Method     string      `json:"method"`         // a command that does the same
	Risk       tuning.Risk `json:"risk"`
	Persistent bool        `json:"persistent"`
	Guarded    bool        `json:"guarded,omitempty"`
	Made       []string    `json:"made,omitempty"` // folders that were made for it, outermost first
}

// line is one of the journal.
type line struct {
	Do      string    `json:"do"`
	Run     int       `json:"run,omitempty"`
	ID      int       `json:"id,omitempty"`
	Time    time.Time `json:"time"`
	Boot    string    `json:"boot_id,omitempty"`
	Text    string    `json:"text,omitempty"`
	Guarded bool      `json:"guarded,omitempty"`
	Entry   *Entry    `json:"entry,omitempty"`
}

// past is a run as the journal knows it.
type past struct {
	ID        int
	Time      time.Time
	Boot      string
	Guarded   bool
	Confirmed bool
	Ended     string // empty: it was interrupted
}

// journal is the file, open, locked, and what its lines amount to.
type journal struct {
	f       *os.File
	lock    *os.File
	runs    []past
	entries []Entry // that are neither undone nor void, oldest first
	last    int     // the highest number of an entry
	cut     error   // its last line is not whole, and could not be taken away: nothing is written behind it
}

const journalFile = "journal.jsonl"

// maxJournal bounds it, in bytes: some 200,000 changes.
const maxJournal = 128 << 20

// patience is how long a command waits for the lock: a guard has it for a moment when it looks.
const patience = 2 * time.Second

// open takes the lock, within a time, and reads the journal. ErrBusy: another has it.
func (m *machine) open(within time.Duration) (*journal, error) {
	dir := m.dir(m.o.Dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := tryLock(filepath.Join(dir, "lock"))
	for end := time.Now().Add(within); errors.Is(err, ErrBusy) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		lock, err = tryLock(filepath.Join(dir, "lock"))
	}
	if err != nil {
		return nil, err
	}
	j := &journal{lock: lock}
	name := filepath.Join(dir, journalFile)
	if j.f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := errors.Join(j.load(name), syncDir(dir)); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// tryLock takes a lock that ends with the process. ErrBusy: somebody has it.
func tryLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w (%s is locked)", ErrBusy, name)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (j *journal) close() error { return errors.Join(j.f.Close(), j.lock.Close()) }

// load reads the lines, and cuts off a last one that is not whole.
func (j *journal) load(name string) error {
	text, err := io.ReadAll(io.LimitReader(j.f, maxJournal+1))
	if err != nil {
		return err
	}
	if len(text) > maxJournal {
		return fmt.Errorf("%w: %s is longer than %d bytes", ErrJournal, name, maxJournal)
	}
	if whole := bytes.LastIndexByte(text, '\n') + 1; whole < len(text) {
		if err := errors.Join(j.f.Truncate(int64(whole)), j.f.Sync()); err != nil {
			return err
		}
		text = text[:whole]
	}
	return j.replay(text, name)
}

// readJournal reads without the lock and changes nothing: for those who only look. There may be none.
func (m *machine) readJournal() (*journal, error) {
	name := filepath.Join(m.o.Dir, journalFile)
	b, err := os.ReadFile(m.dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return &journal{}, nil
	} else if err != nil {
		return nil, err
	}
	j := &journal{}
	return j, j.replay(b[:bytes.LastIndexByte(b, '\n')+1], name)
}

// replay adds up whole lines.
func (j *journal) replay(text []byte, name string) error {
	n := 0
	for l := range bytes.Lines(text) {
		n++
		var rec line
		if err := json.Unmarshal(l, &rec); err != nil {
			return fmt.Errorf("%w: %s line %d: %v; nothing is changed until a person has looked", ErrJournal, name, n, err)
		}
		if err := j.take(&rec); err != nil {
			return fmt.Errorf("%w: %s line %d: %v", ErrJournal, name, n, err)
		}
	}
	return nil
}

// take adds a line to what is known.
func (j *journal) take(rec *line) error {
	switch rec.Do {
	case begin:
		if rec.Run != len(j.runs)+1 {
			return fmt.Errorf("run %d begins, want %d", rec.Run, len(j.runs)+1)
		}
		j.runs = append(j.runs, past{ID: rec.Run, Time: rec.Time, Boot: rec.Boot, Guarded: rec.Guarded})
	case set:
		if rec.Entry == nil || rec.Entry.ID != j.last+1 || rec.Entry.Run < 1 || rec.Entry.Run > len(j.runs) {
			return errors.New("an entry out of order")
		}
		j.last++
		j.entries = append(j.entries, *rec.Entry)
	case undo:
	case undone, void:
		for i := range j.entries {
			if j.entries[i].ID == rec.ID {
				j.entries = append(j.entries[:i:i], j.entries[i+1:]...)
				break
			}
		}
	case confirm, end:
		if rec.Run < 1 || rec.Run > len(j.runs) {
			return fmt.Errorf("there is no run %d", rec.Run)
		}
		if r := &j.runs[rec.Run-1]; rec.Do == confirm {
			r.Confirmed = true
		} else {
			r.Ended = rec.Text
		}
	default:
		return fmt.Errorf("%q is nothing that is known", rec.Do)
	}
	return nil
}

// add writes a line, on disk before it returns.
func (j *journal) add(rec line) error {
	if err := j.write(rec); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// write writes a line and holds it for true.
func (j *journal) write(rec line) error {
	rec.Time = time.Now().UTC().Truncate(time.Millisecond)
	if rec.Entry != nil {
		rec.Entry.Time = rec.Time
	}
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if j.cut != nil {
		return j.cut
	}
	at, err := j.f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if n, err := j.f.Write(append(text, '\n')); err != nil {
		err = fmt.Errorf("journal: %w", err)
		if n > 0 { // half a line, of a full disk: with another behind it nobody could read the journal again
			if e := j.f.Truncate(at); e != nil {
				j.cut = errors.Join(err, e)
			}
		}
		return err
	}
	return j.take(&rec)
}

func (j *journal) begin(boot string, guarded bool) (run int, err error) {
	run = len(j.runs) + 1
	return run, j.add(line{Do: begin, Run: run, Boot: boot, Guarded: guarded})
}

func (j *journal) end(run int, how string) error { return j.add(line{Do: end, Run: run, Text: how}) }

// set gives the entry its number.
func (j *journal) set(e *Entry) error {
	e.ID = j.last + 1
	return j.add(line{Do: set, Entry: e})
}

// note is about setting back. It need not be on disk at once: without it the entry is looked at again, and found as before.
func (j *journal) note(do string, id int, text string) error {
	return j.write(line{Do: do, ID: id, Text: text})
}

// of are the entries of a run that still are there, oldest first.
func (j *journal) of(run int) (list []Entry) {
	for _, e := range j.entries {
		if e.Run == run {
			list = append(list, e)
		}
	}
	return list
}

// pending is the run of this boot whose network changes wait to be confirmed; 0: none.
func (j *journal) pending(boot string) int {
	for i := len(j.runs) - 1; i >= 0; i-- {
		r := &j.runs[i]
		if !r.Guarded || r.Confirmed || r.Boot != boot || r.Ended != "kept" {
			continue
		}
		if !j.done(r.ID) {
			return r.ID
		}
	}
	return 0
}
