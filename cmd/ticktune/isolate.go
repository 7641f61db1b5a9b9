package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/apply"
	"github.com/tickwire/tickwire/tuning/isolate"
)

type isolateFlags struct {
	rootFlag
	changeFlags
	cores, policy, cgroup string
	threads               []string
}

// maxRounds bounds how often threads that were born meanwhile are put in place.
const maxRounds = 5

func isolateCommands() []*cobra.Command {
	var f isolateFlags
	c := &cobra.Command{
		Use:   "isolate [PID] [flags]",
		Short: "put a process and its threads on cores of their own",
		Long: `isolate sets where the threads of a process may run and how they are scheduled, by the journal of apply: ticktune revert takes it back.
With --cgroup, cores are also taken from everybody else, by an isolated partition of cgroup v2, and the process comes into it. Threads that are
born later have what their parents have. It is gone when the process ends, a cgroup at the next boot: for good, say it in the unit.`,
		Example: "  ticktune isolate 4711 --cores 4-7 --dry-run\n  ticktune isolate 4711 --cores 0-3 --thread 'lane*=4-5:fifo:10'\n  ticktune isolate 4711 --cores 4-7 --cgroup feed",
		Args:    arguments(0, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.rootFlag.add(c)
	f.changeFlags.add(c)
	fl := c.Flags()
	fl.StringVar(&f.cores, "cores", "", "`cores` for every thread that --thread does not name, and of the cgroup")
	fl.StringVar(&f.policy, "policy", "", "scheduling of those threads: other[:NICE], batch[:NICE], idle, fifo:PRIORITY, rr:PRIORITY (default: as it is)")
	fl.StringArrayVar(&f.threads, "thread", nil, "threads of a `NAME=CORES[:POLICY]`, a pattern; the first that matches counts; may be given again")
	fl.StringVar(&f.cgroup, "cgroup", "", "`name` of an isolated partition (cgroup v2) that is made of the cores; without a PID only that")
	return []*cobra.Command{c}
}

func (f *isolateFlags) options(args []string) (o isolate.Options, err error) {
	if len(args) > 0 {
		pid, err := strconv.ParseUint(args[0], 10, 31)
		if err != nil || pid == 0 {
			return o, fmt.Errorf("process %q is no number", args[0])
		}
		o.PID = int(pid)
	}
	if o.Cores, err = tuning.ParseCPUs(f.cores); err != nil {
		return o, fmt.Errorf("--cores: %w", err)
	}
	if f.policy != "" {
		if o.Policy, err = isolate.Policy(f.policy); err != nil {
			return o, fmt.Errorf("--policy: %w", err)
		}
	}
	for _, text := range f.threads {
		r, err := isolate.ParseRule(text)
		if err != nil {
			return o, fmt.Errorf("--thread: %w", err)
		}
		o.Rules = append(o.Rules, r)
	}
	o.Cgroup = f.cgroup
	return o, nil
}

func (f *isolateFlags) run(cmd *cobra.Command, args []string) error {
	o, err := f.options(args)
	if err != nil {
		return usage(err)
	}
	h, err := f.host()
	if err != nil {
		return err
	}
	p, err := isolate.Plan(h, o)
	switch {
	case errors.Is(err, isolate.ErrGone) || errors.Is(err, isolate.ErrNoCgroup):
		return exitError{tuning.ExitPlatform, err}
	case err != nil:
		return usage(err)
	}
	if !f.asJSON {
		if err := p.Text(cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	out, err := f.apply(cmd, h, p.Changes)
	for round := 1; err == nil && !f.DryRun && out.Count(apply.Done) > 0 && round < maxRounds; round++ {
		// Threads that were born between the look and the changes have what their parents had then.
		again, err2 := isolate.Plan(h, o)
		if err2 != nil || len(again.Changes) == 0 {
			break // it ended, or all are in place
		}
		var more *apply.Outcome
		if more, err = f.apply(cmd, h, again.Changes); more != nil {
			out.Steps = append(out.Steps, more.Steps...)
		}
	}
	if out != nil {
		notes := p.Notes
		if !f.asJSON {
			notes = nil // they stand above
		}
		if err := f.tell(cmd.OutOrStdout(), out, notes, p); err != nil {
			return err
		}
	}
	return changeError(out, err)
}
