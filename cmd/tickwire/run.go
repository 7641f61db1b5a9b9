package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func runCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "run", Short: "every feed of the configuration and the SQL port, supervised", Args: exactly(0),
		Long: `run starts one process for each [[feed]], one that joins them where [consolidate] says so, and one that serves SQL, and keeps them running: a process that fails is started
again at once, then after a pause that doubles up to 30 s. They end with this process, however it ends. Under systemd the
processes may be units of their own instead, with rights of their own (docs/install.md).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			if len(cfg.Feed) == 0 {
				return usageError{errors.New("the configuration has no [[feed]] (--config FILE; see examples/tickwire.toml)")}
			}
			s := &supervisor{errs: cmd.ErrOrStderr(), log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)).With("process", "run")}
			var jobs []job
			for i := range cfg.Feed {
				j := job{name: "feed " + cfg.Feed[i].Name, args: []string{"feed", cfg.Feed[i].Name, "--config", path}}
				if cfg.Feed[i].Idle != "block" { // lanes that spin have windows for what the runtime would send signals for
					j.env = append(j.env, withoutPreemption(os.Getenv("GODEBUG")))
				}
				jobs = append(jobs, j)
			}
			if len(cfg.Consolidate.Feeds) > 0 {
				jobs = append(jobs, job{name: "consolidate", args: []string{"consolidate", "--config", path}, bare: true})
			}
			if haveDuckDB {
				jobs = append(jobs, job{name: "serve", args: []string{"serve", "--config", path}, bare: true})
			} else {
				s.log.Warn("this binary was built without cgo: no SQL port")
			}
			manager := serviceManager(s.log)
			ctx, ended := context.WithCancel(cmd.Context())
			var telling sync.WaitGroup
			s.started.Add(len(jobs))
			telling.Go(func() {
				s.started.Wait()
				tellManager(ctx, manager, fmt.Sprintf("%d processes", len(jobs)), nil, s.log)
			})
			err = s.run(ctx, jobs)
			ended()
			telling.Wait()
			return err
		},
	}
	configFlag(c, &path)
	return c
}

// job is a child process: this binary with other arguments.
type job struct {
	name string
	args []string
	env  []string // beside ours
	bare bool     // it gets none of our ambient capabilities, and no other way to privileges
}

// withoutPreemption is GODEBUG with what turns the runtime's signals off; a setting of the user's stays the last word.
func withoutPreemption(set string) string {
	return strings.TrimSuffix("GODEBUG=asyncpreemptoff=1,"+set, ",")
}

// supervisor keeps jobs running.
type supervisor struct {
	errs    io.Writer
	log     *slog.Logger
	started sync.WaitGroup // of jobs that have not been tried to start yet
}

const (
	firstPause  = 250 * time.Millisecond
	longestWait = 30 * time.Second
	soundAfter  = 60 * time.Second // a process that ran so long failed for a new reason: no pause
	graceOfStop = 10 * time.Second
)

func (s *supervisor) run(ctx context.Context, jobs []job) error {
	var wg sync.WaitGroup
	errs := make([]error, len(jobs))
	for i, j := range jobs {
		wg.Go(func() {
			// The kernel ends a child when the thread that started it ends (PDEATHSIG): this one lives as long as we do.
			// It is never unlocked, and so ends with the goroutine: what a bare job takes from it, it has for good.
			runtime.LockOSThread()
			if j.bare {
				if err := giveUpPrivileges(); err != nil {
					s.log.Warn("it runs with our privileges", "job", j.name, "err", err)
				}
			}
			errs[i] = s.keep(ctx, j)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// giveUpPrivileges takes the ambient capabilities, which a unit gives for its feeds, from the calling thread: those that it starts have
// none then, unless they are root's, nor get any by a program's file.
func giveUpPrivileges() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	return nil
}

// keep runs a job until ctx ends, or until it ends well by itself: a file that was read to its end.
func (s *supervisor) keep(ctx context.Context, j job) error {
	pause := time.Duration(0)
	tried := sync.OnceFunc(s.started.Done)
	defer tried()
	for {
		began := time.Now()
		err := s.once(ctx, j, tried)
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			s.log.Info("ended by itself", "job", j.name)
			return nil
		case errors.As(err, &exit) && exit.ExitCode() == exitUsage:
			return fmt.Errorf("%s: %w: its configuration is wrong; not started again", j.name, err)
		}
		if time.Since(began) > soundAfter {
			pause = 0
		}
		s.log.Error("failed; starting it again", "job", j.name, "err", err, "after", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(max(2*pause, firstPause), longestWait)
	}
}

// once runs a job to its end, and calls tried when it has been started or cannot be. When ctx ends it is told to stop, and killed when
// it does not.
func (s *supervisor) once(ctx context.Context, j job, tried func()) error {
	defer tried()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, self, j.args...)
	c.Stdout, c.Stderr = s.errs, s.errs
	c.Env = append(os.Environ(), j.env...)
	if os.Getenv("GOTRACEBACK") == "" {
		c.Env = append(c.Env, "GOTRACEBACK=crash") // a crash ends by SIGABRT then: by default it exits with 2, as a wrong configuration does
	}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true} // Setpgid: Control-C comes to us alone
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = graceOfStop
	if err := c.Start(); err != nil {
		return err
	}
	tried()
	return c.Wait()
}
