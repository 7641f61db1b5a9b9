package apply

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// A guard is a process that undoes network changes which nobody confirms: whoever is cut off by them cannot. It is started
// before the first such change, in a session of its own, so that it outlives terminal, shell and the run itself.
//
//	run                            guard
//	has the lock
//	begin ─ starts ──────────────► takes guard.lock, answers by a pipe
//	set, set, …                    tries the lock
//	end, gives up the lock ──────► has it for a moment: the run is over, or was killed; the time begins
//	confirm (another process)      looks at the journal each 100 ms: confirmed, or undone: it ends
//	                               the time is over: takes the lock, undoes, writes end
//
// That guard.lock is free says that there is no guard: the next run or revert does its work (recover).

const guardLock = "guard.lock"

// guardLives says whether a guard is at work.
func (m *machine) guardLives() bool {
	if m.unguarded {
		return false
	}
	f, err := tryLock(filepath.Join(m.dir(m.o.Dir), guardLock))
	if err != nil {
		return errors.Is(err, ErrBusy)
	}
	_ = f.Close()
	return false
}

// startGuard starts the guard's process and waits until it is ready. stop ends it: the run undid its changes itself.
func startGuard(m *machine, o *Options) (stop func(), err error) {
	if len(o.Guard) == 0 {
		return nil, errors.New("no program is named (Options.Guard)")
	}
	ready, child, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	args := append(append([]string{}, o.Guard[1:]...), o.Dir, m.root, strconv.FormatInt(o.Confirm.Milliseconds(), 10))
	cmd := exec.Command(o.Guard[0], args...)
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{child}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = child.Close()
	if err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	stop = func() {
		_ = cmd.Process.Kill()
		<-exited
	}
	const most = 20 * time.Second // a loaded machine takes long to start a program, but not so long
	if err := ready.SetReadDeadline(time.Now().Add(most)); err != nil {
		stop()
		return nil, err
	}
	b := make([]byte, 1)
	if _, err := ready.Read(b); err != nil {
		stop()
		if errors.Is(err, io.EOF) {
			err = errors.New("it ended at once")
		}
		return nil, err
	}
	return stop, nil
}

// Guard is the guard's process, from start to end: args are the folder, the root and the time in ms that Run appended. It
// tells by file descriptor 3 that it is ready, and returns nil when the changes were confirmed or undone.
func Guard(args []string) error {
	if len(args) != 3 {
		return errors.New("apply: a guard is started by a run, not by hand")
	}
	ms, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil || ms < 0 {
		return fmt.Errorf("apply: %q is no time in ms", args[2])
	}
	h, err := tuning.Open(args[1], nil)
	if err != nil {
		return err
	}
	o := Options{Dir: args[0]}.withDefaults()
	m, err := newMachine(h, &o)
	if err != nil {
		return err
	}
	const look = 100 * time.Millisecond
	lock, err := tryLock(filepath.Join(m.dir(o.Dir), guardLock))
	for end := time.Now().Add(10 * time.Second); errors.Is(err, ErrBusy) && time.Now().Before(end); { // the one before this is about to see that its run is confirmed
		time.Sleep(look)
		lock, err = tryLock(filepath.Join(m.dir(o.Dir), guardLock))
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	j, err := m.readJournal()
	if err != nil {
		return err
	}
	run := len(j.runs) // that this guard is for: it has begun, and holds the lock
	unix.CloseOnExec(3)
	ready := os.NewFile(3, "ready")
	if ready == nil || run == 0 {
		return errors.New("apply: nobody waits for this guard")
	}
	if _, err := ready.Write([]byte{1}); err != nil {
		return err
	}
	_ = ready.Close()

	// The time begins when the run is over, or was killed.
	for ; ; time.Sleep(look) {
		j, err := m.readJournal()
		if err == nil && len(j.runs) < run {
			return errGone
		} else if err == nil && j.over(run) {
			break // without the lock, which others may want now
		}
		j, err = m.open(0)
		if err == nil {
			if err := j.close(); err != nil {
				return err
			}
			break
		} else if !errors.Is(err, ErrBusy) {
			return err
		}
	}
	size := int64(-1)
	for end := time.Now().Add(time.Duration(ms) * time.Millisecond); time.Now().Before(end); time.Sleep(min(look, time.Until(end))) {
		info, err := os.Stat(filepath.Join(m.dir(o.Dir), journalFile))
		if errors.Is(err, fs.ErrNotExist) {
			return errGone
		} else if err == nil && info.Size() == size {
			continue // nobody wrote
		} else if err == nil {
			size = info.Size()
		}
		if j, err := m.readJournal(); err == nil && j.done(run) {
			return nil
		}
	}
	const tries = 60 // what is stuck, such as by a driver that is busy, may come free; each try is a second after the one before
	for n := 1; ; {
		if j, err := m.readJournal(); err == nil && len(j.runs) < run {
			return errGone
		} else if err == nil && j.done(run) {
			return nil
		}
		j, err := m.open(0)
		if errors.Is(err, ErrBusy) {
			time.Sleep(look)
			continue
		} else if err != nil {
			return err
		}
		m.unguarded = true // there is no other guard than this one
		_, err = m.recover(j)
		if err = errors.Join(err, j.close()); err == nil || n == tries {
			return err
		}
		n++
		time.Sleep(time.Second)
	}
}

// errGone ends a guard: without the journal nobody knows what there was.
var errGone = errors.New("apply: the journal is gone, and with it what was to be set back")

// over says whether a run came to its end.
func (j *journal) over(run int) bool { return run <= len(j.runs) && j.runs[run-1].Ended != "" }

// done says whether nothing is left to guard of a run: it is confirmed, or set back.
func (j *journal) done(run int) bool {
	return j.over(run) && (j.runs[run-1].Confirmed || !slices.ContainsFunc(j.of(run), func(e Entry) bool { return e.Guarded }))
}

// Confirm says that the network changes of the last run are meant: they stay. It gives the run's number; 0: nothing waits.
func Confirm(h *tuning.Host, o Options) (run int, err error) {
	o = o.withDefaults()
	m, err := newMachine(h, &o)
	if err != nil {
		return 0, err
	}
	j, err := m.open(patience)
	if err != nil {
		return 0, err
	}
	defer j.close()
	run = j.pending(m.boot)
	if run == 0 {
		return 0, nil
	}
	return run, j.add(line{Do: confirm, Run: run})
}
