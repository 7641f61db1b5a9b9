package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/apply"
)

// applyFlags are those of plan and apply.
type applyFlags struct {
	planFlags
	tuning.Select
	apply.Options
	maxRisk                       string
	dryRun, yes, asJSON, now, all bool
}

func applyCommands() []*cobra.Command {
	var p, a applyFlags
	plan := &cobra.Command{
		Use:   "plan [flags]",
		Short: "what apply would change, in its order, with the risk of each",
		Long: `plan makes the checks, and shows what apply would do about what they found: in the order of doing, each change with its risk and
a command that does the same, and what is left out, with the reason. It changes nothing: it is apply --dry-run.`,
		Example: "  ticktune plan --nic eth2 --cores 4-7\n  ticktune plan --plan feed.toml --max-risk r3",
		Args:    arguments(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { p.dryRun = true; return p.run(cmd) },
	}
	p.addTo(plan)
	do := &cobra.Command{
		Use:   "apply [flags]",
		Short: "make the machine as wanted, journalled, all or nothing",
		Long: `apply shows the plan, asks, and carries it out: settings of now and files for the next boots. Each change is in a journal
before it is made, and is read back after. When one fails, all are undone; an interrupted run is undone by the next one.

Changes above --max-risk are left out: r3 (needs a reboot, or may cost remote access) has to be asked for, r4 (trades security
or integrity) needs --accept-security-risk as well. Changes of a network interface undo themselves within 30 s, unless a
"ticktune confirm" says that you are still there; the interface of your own session or of the default route is refused without
--allow-mgmt. So is what irqbalance, tuned, NetworkManager or another file would take back.

Exit codes: 0 done or nothing to do, 1 failed or something was refused, 64 usage, 77 needs privilege.`,
		Example: "  ticktune apply --nic eth2 --cores 4-7\n  ticktune apply --plan feed.toml --only 'nic.*' --yes && ticktune confirm",
		Args:    arguments(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd) },
	}
	a.addTo(do)
	do.Flags().BoolVar(&a.dryRun, "dry-run", false, "show the plan only")
	do.Flags().BoolVarP(&a.yes, "yes", "y", false, "do not ask")
	do.Flags().BoolVar(&a.KeepGoing, "keep-going", false, "leave out what the kernel refuses, in place of undoing all")
	do.Flags().DurationVar(&a.Confirm, "confirm-within", 30*time.Second, "time in which changes of an interface have to be confirmed; 0: they need not be")
	return append([]*cobra.Command{plan, do}, journalCommands()...)
}

func (f *applyFlags) addTo(cmd *cobra.Command) {
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringSliceVar(&f.Only, "only", nil, "these checks only: ids, or patterns such as 'nic.*'")
	fl.StringSliceVar(&f.Skip, "skip", nil, "leave these checks out")
	fl.StringSliceVar(&f.Groups, "group", nil, "the checks of these groups only, such as nic")
	fl.StringVar(&f.maxRisk, "max-risk", "r2", "leave out what risks more: r1 latency and power, r2 packets on a NIC, r3 a reboot or remote access, r4 security")
	fl.BoolVar(&f.AcceptSecurityRisk, "accept-security-risk", false, "with --max-risk r4: trade security or integrity, too")
	fl.BoolVar(&f.AllowMgmt, "allow-mgmt", false, "change the interface of your own session or of the default route, too")
	fl.BoolVar(&f.AllowMgmt, "force", false, "as --allow-mgmt")
	fl.BoolVar(&f.now, "runtime-only", false, "what is so now only, nothing for the next boot")
	fl.BoolVar(&f.asJSON, "json", false, "one JSON document")
	fl.BoolVarP(&f.all, "verbose", "v", false, "show what is as wanted already, too")
	addState(cmd, &f.Options)
}

// addState is where the journal lies: for tests.
func addState(cmd *cobra.Command, o *apply.Options) {
	cmd.Flags().StringVar(&o.Dir, "state", apply.DefaultDir, "`folder` of journal and snapshots")
	cmd.Flags().Lookup("state").Hidden = true
}

func (f *applyFlags) run(cmd *cobra.Command) error {
	if err := f.Validate(); err != nil {
		return usage(err)
	}
	risk, err := tuning.ParseRisk(f.maxRisk)
	if err != nil || risk == tuning.R0 {
		return usage(fmt.Errorf("--max-risk %q, want r1 to r4", f.maxRisk))
	}
	f.MaxRisk, f.Guard = risk, apply.SelfGuard
	if cmd.Flags().Changed("confirm-within") {
		if f.Confirm < 0 {
			return usage(fmt.Errorf("--confirm-within %s is negative", f.Confirm))
		}
		if f.Confirm == 0 {
			f.Confirm = -1 // none
		}
	}
	h, err := f.host()
	if err != nil {
		return err
	}
	if !f.dryRun {
		signal.Ignore(syscall.SIGHUP) // a change that cuts the terminal off must not end the run halfway: its guard decides
		// What a run before this one left would be taken for the machine's own.
		u, err := apply.Recover(h, f.Options)
		if u != nil && !f.asJSON {
			if _, err := fmt.Fprint(cmd.OutOrStdout(), "a run before this one was interrupted:\n", u.Text()); err != nil {
				return err
			}
		}
		if err != nil {
			return failed(err)
		}
	}
	var changes []tuning.Change
	for _, c := range h.Run(f.Select).Changes() {
		if !f.now || !c.Persistent {
			changes = append(changes, c)
		}
	}
	o := f.Options
	if o.DryRun = f.dryRun || !f.yes; o.DryRun {
		out, err := apply.Run(cmd.Context(), h, changes, o)
		if err != nil {
			return failed(err)
		}
		if f.dryRun || out.Count(apply.Planned) == 0 {
			return f.show(cmd, out, nil)
		}
		if f.asJSON {
			return usage(errors.New("--json cannot ask: --yes or --dry-run"))
		}
		if err := out.Text(cmd.OutOrStdout()); err != nil {
			return err
		}
		if !asked(cmd, "carry this out?") {
			return usage(errors.New("nothing was changed; --yes says so without asking"))
		}
		o.DryRun = false
	}
	out, err := apply.Run(cmd.Context(), h, changes, o)
	if out == nil {
		return failed(err)
	}
	return f.show(cmd, out, err)
}

// applied is what plan and apply tell as JSON.
type applied struct {
	Schema string `json:"schema"`
	*apply.Outcome
}

const appliedSchema = "ticktune.apply/1"

// show tells what came of it: a refused change is no success.
func (f *applyFlags) show(cmd *cobra.Command, out *apply.Outcome, err error) error {
	if f.asJSON {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(applied{appliedSchema, out}); err != nil {
			return err
		}
	} else if err := out.Text(cmd.OutOrStdout()); err != nil {
		return err
	}
	if err != nil {
		return failed(err)
	}
	if out.Count(apply.Refused, apply.Failed) > 0 {
		return exitError{code: tuning.ExitFail}
	}
	return nil
}

// failed gives an error of package apply its exit code.
func failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return exitError{tuning.ExitPrivilege, fmt.Errorf("%w (this needs root)", err)}
	}
	return exitError{tuning.ExitFail, err}
}

// asked wants a yes from a person at a terminal.
func asked(cmd *cobra.Command, question string) bool {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return false
	}
	fmt.Fprint(cmd.OutOrStdout(), question, " [y/N] ")
	answer, _ := bufio.NewReader(in).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(answer), "y") || strings.EqualFold(strings.TrimSpace(answer), "yes")
}

// journalCommands are those about what was done: revert, confirm, snapshot, diff, and the guard's own.
func journalCommands() []*cobra.Command {
	var rf struct {
		planFlags
		apply.Options
		all, list bool
		to        string
	}
	revert := &cobra.Command{
		Use:   "revert [ID... | --all | --to SNAPSHOT | --list] [flags]",
		Short: "set back what apply changed, the last first",
		Long: `revert sets back changes of the journal: single ones by their number, whole runs as r3, all of them, or all that came after a
snapshot. A value that is neither what it was nor what it was set to is somebody else's: it is told as drift, and left alone.
What was set at run time before the last boot is void. A run that was interrupted is undone in any case.

Exit codes: 0 all set back, 1 drift, or something cannot be set back, 64 usage, 77 needs privilege.`,
		Example: "  ticktune revert --list\n  ticktune revert 12 13\n  ticktune revert r3\n  ticktune revert --to before-the-upgrade",
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := rf.host()
			if err != nil {
				return err
			}
			if rf.list {
				return list(cmd, h, rf.Options)
			}
			which := apply.Which{All: rf.all, Snapshot: rf.to}
			for _, a := range args {
				number, run := strings.CutPrefix(a, "r")
				n, err := strconv.Atoi(number)
				if err != nil || n < 1 {
					return usage(fmt.Errorf("%q is neither the number of a change nor of a run, such as 12 or r3", a))
				}
				if run {
					which.Runs = append(which.Runs, n)
				} else {
					which.Entries = append(which.Entries, n)
				}
			}
			ways := 0
			for _, is := range []bool{which.All, which.Snapshot != "", len(args) > 0} {
				if is {
					ways++
				}
			}
			if ways != 1 {
				return usage(errors.New("what is to be set back? Numbers, --all, or --to SNAPSHOT (--list shows what there is)"))
			}
			u, err := apply.Revert(h, which, rf.Options)
			if u != nil {
				if _, err := fmt.Fprint(cmd.OutOrStdout(), u.Text()); err != nil {
					return err
				}
			}
			if err == nil && u.Count(apply.Drift) > 0 {
				return exitError{code: tuning.ExitFail}
			}
			return failed(err)
		},
	}
	rf.add(revert)
	addState(revert, &rf.Options)
	revert.Flags().BoolVar(&rf.all, "all", false, "everything that the journal knows")
	revert.Flags().BoolVar(&rf.list, "list", false, "show what could be set back")
	revert.Flags().StringVar(&rf.to, "to", "", "what came after this `snapshot`")

	type state struct {
		planFlags
		apply.Options
	}
	var cf, sf, df, gf state
	confirm := &cobra.Command{
		Use:   "confirm",
		Short: "the network changes of the last apply are meant: they stay",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := cf.host()
			if err != nil {
				return err
			}
			run, err := apply.Confirm(h, cf.Options)
			switch {
			case err != nil:
				return failed(err)
			case run == 0:
				return exitError{tuning.ExitFail, errors.New("nothing waits to be confirmed: too late, or there were no network changes")}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the network changes of run r%d stay\n", run)
			return err
		},
	}
	snapshot := &cobra.Command{
		Use:   "snapshot [NAME] [flags]",
		Short: "keep what the settings are, for diff and revert --to",
		Args:  arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := sf.host()
			if err != nil {
				return err
			}
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			if name, err = apply.Take(h, name, sf.Options); err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), name)
			return err
		},
	}
	diff := &cobra.Command{
		Use:   "diff [A] [B] [flags]",
		Short: "in which settings two snapshots differ, or one and now",
		Long: `diff compares two snapshots: their names, paths of their files, or "now", which is B where only A is given. Without any it lists
those that are kept. Exit codes: 0 no difference, 1 there are some.`,
		Example: "  ticktune diff before-the-upgrade\n  ticktune diff before after",
		Args:    arguments(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := df.host()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				names, err := apply.Snapshots(h, df.Options)
				if err != nil {
					return failed(err)
				}
				for _, n := range names {
					fmt.Fprintln(cmd.OutOrStdout(), n)
				}
				return nil
			}
			differ, err := apply.Diff(h, args[0], append(args, apply.Now)[1], df.Options)
			if err != nil {
				return failed(err)
			}
			var b strings.Builder
			for _, d := range differ {
				fmt.Fprintf(&b, "%s\n  - %s\n  + %s\n", d.What, d.A, d.B)
			}
			if _, err := fmt.Fprint(cmd.OutOrStdout(), b.String()); err != nil {
				return err
			}
			if len(differ) > 0 {
				return exitError{code: tuning.ExitFail}
			}
			return nil
		},
	}
	guard := &cobra.Command{
		Use:    "deadman",
		Short:  "undo network changes that nobody confirms (apply starts it)",
		Hidden: true,
		Args:   arguments(3, 3),
		RunE:   func(_ *cobra.Command, args []string) error { return apply.Guard(args) },
	}
	for _, c := range []struct {
		cmd *cobra.Command
		f   *state
	}{{confirm, &cf}, {snapshot, &sf}, {diff, &df}, {guard, &gf}} {
		c.f.add(c.cmd)
		addState(c.cmd, &c.f.Options)
	}
	return []*cobra.Command{revert, confirm, snapshot, diff, guard}
}

// list shows the changes that stand.
func list(cmd *cobra.Command, h *tuning.Host, o apply.Options) error {
	entries, err := apply.Standing(h, o)
	if err != nil {
		return failed(err)
	}
	var b strings.Builder
	for _, e := range entries {
		for_ := "now"
		if e.Persistent {
			for_ = "each boot"
		}
		fmt.Fprintf(&b, "%4d  r%-3d %s  %s  %-20s %-9s %s %s: %s → %s\n", e.ID, e.Run, e.Time.Format(time.RFC3339), e.Risk, e.Check, for_,
			tuning.Printable(e.Target), tuning.Printable(e.Key), tuning.Printable(e.Old.String()), tuning.Printable(e.New.String()))
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}
