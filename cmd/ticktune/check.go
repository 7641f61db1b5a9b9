package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tickwire/tickwire/tuning"
)

// planFlags are how every command is told of the machine and its plan.
type planFlags struct {
	root, plan, profile, layout string
	nics                        []string
	cores, napi                 string
}

func (p *planFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.plan, "plan", "", "plan `file` (TOML): cores, interfaces, profile, waivers")
	f.StringVar(&p.cores, "cores", "", "cores of lanes that spin (HOT), such as 4-7")
	f.StringVar(&p.napi, "napi", "", "cores that run the driver's poller, such as 8")
	f.StringSliceVar(&p.nics, "nic", nil, "`interface` that packets come in by; may be given again")
	f.StringVar(&p.profile, "profile", "", "how much is demanded: colo, lab or vm (default colo)")
	f.StringVar(&p.layout, "layout", "", "who runs the poller: A (NAPI cores), B (receivers poll), plain (no AF_XDP) (default A)")
	f.StringVar(&p.root, "root", "/", "look at a `folder` that stands for a machine")
	cmd.Flags().Lookup("root").Hidden = true
}

// host opens the machine with the plan of the file, and what flags say in place of it.
func (p *planFlags) host() (*tuning.Host, error) {
	plan := &tuning.Plan{}
	if p.plan != "" {
		var err error
		if plan, err = tuning.ReadPlan(p.plan); errors.Is(err, tuning.ErrPlan) {
			return nil, exitError{tuning.ExitPlan, err}
		} else if err != nil {
			return nil, usage(err)
		}
	}
	for _, set := range []struct {
		flag, text string
		into       *tuning.CPUs
	}{{"--cores", p.cores, &plan.Hot}, {"--napi", p.napi, &plan.NAPI}} {
		if set.text == "" {
			continue
		}
		cores, err := tuning.ParseCPUs(set.text)
		if err != nil {
			return nil, usage(fmt.Errorf("%s: %w", set.flag, err))
		}
		*set.into = cores
	}
	if p.profile != "" {
		plan.Profile = p.profile
	}
	if p.layout != "" {
		plan.Layout = p.layout
	}
	if len(p.nics) > 0 {
		var faces []tuning.Interface
		for _, name := range p.nics {
			face := tuning.Interface{Name: name}
			if planned := plan.Interface(name); planned != nil {
				face = *planned // what the file says of it still holds
			}
			faces = append(faces, face)
		}
		plan.Interfaces = faces
	}
	h, err := tuning.Open(p.root, plan)
	if errors.Is(err, tuning.ErrPlan) {
		return nil, usage(err)
	} else if err != nil {
		return nil, exitError{tuning.ExitPlatform, err}
	}
	return h, nil
}

type checkFlags struct {
	planFlags
	tuning.Select
	asJSON, lines, junit, quiet, strict bool
	sort, explain                       string
	watch, length                       time.Duration
	measure                             bool
}

func checkCommands() []*cobra.Command {
	var f checkFlags
	check := &cobra.Command{
		Use:   "check [flags]",
		Short: "look at the machine, and say what is wrong",
		Long: `check makes the checks of the catalogue. It changes nothing, and needs root for little: what it could not see is ERROR.
Cores are never guessed: what depends on them is skipped until --cores or a plan names them.

A status is PASS, WARN, FAIL, INFO (told, not judged), SKIP (does not apply), ERROR (could not be seen) or WAIVED (somebody
answers for it, in the plan). In the profile colo what is major or crit fails; in lab and vm only crit does.`,
		Example: "  ticktune check --nic eth2 --cores 4-7\n  ticktune check --only 'nic.*' --json\n  ticktune check --plan feed.toml --for 60s --measure\n  ticktune check --plan feed.toml --watch 10s",
		Args:    arguments(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.add(check)
	fl := check.Flags()
	fl.StringSliceVar(&f.Only, "only", nil, "make these checks only: ids, or patterns such as 'nic.*'")
	fl.StringSliceVar(&f.Skip, "skip", nil, "leave these checks out")
	fl.StringSliceVar(&f.Groups, "group", nil, "make the checks of these groups only, such as nic")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "show only what is not as wanted, or could not be seen")
	fl.BoolVar(&f.strict, "strict", false, "exit with 2 when there are warnings only")
	fl.StringVar(&f.sort, "sort", "group", "order: group or severity (the worst first)")
	fl.BoolVar(&f.asJSON, "json", false, "one JSON document")
	fl.BoolVar(&f.lines, "jsonl", false, "one JSON object a line and check, the summary last")
	fl.BoolVar(&f.junit, "junit", false, "a JUnit test suite")
	fl.StringVar(&f.explain, "explain", "", "all about one check `id`, and what was read for it here")
	fl.DurationVar(&f.length, "for", 0, "look twice, so far apart (100ms to 1h): counters are judged by what they went up by in between")
	fl.BoolVar(&f.measure, "measure", false, "measure the frequency of HOT under load (cpu.freq) and the skew of counters (time.tsc_sync): it loads those cores for --for, at least 500ms")
	fl.DurationVar(&f.watch, "watch", 0, "look again each `interval` (at least 1s), and tell only what changes")

	var ef planFlags
	explain := &cobra.Command{
		Use:     "explain ID [flags]",
		Short:   "what a check is about, and what was read for it here",
		Example: "  ticktune explain cpu.governor",
		Args:    arguments(1, 1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, c := range tuning.Catalogue() {
				ids = append(ids, c.ID+"\t"+c.Title)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return explainOne(cmd, &ef, args[0]) },
	}
	ef.add(explain)

	var rf planFlags
	out := ""
	report := &cobra.Command{
		Use:   "report [flags]",
		Short: "check everything, and write the JSON document to a file or the output",
		Long: `report makes every check, and writes the document of check --json. It holds no secrets of the kernel's command line: only the
parameters that checks are about. Its exit code tells only whether it could be written.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := rf.host()
			if err != nil {
				return err
			}
			askPTP(cmd.Context(), h)
			r := h.Run(tuning.Select{})
			if out == "" {
				return r.JSON(cmd.OutOrStdout())
			}
			file, err := os.Create(out)
			if err != nil {
				return usage(err)
			}
			if err := errors.Join(r.JSON(file), file.Close()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), r.Summary)
			return err
		},
	}
	rf.add(report)
	report.Flags().StringVar(&out, "out", "", "write it to this `file`, and the summary to the output")
	return []*cobra.Command{check, explain, report}
}

func explainOne(cmd *cobra.Command, p *planFlags, id string) error {
	c := tuning.Find(id)
	if c == nil {
		return usage(fmt.Errorf("there is no check %q%s", id, near(id)))
	}
	h, err := p.host()
	if err != nil {
		return err
	}
	askPTP(cmd.Context(), h)
	res := h.Look(c)
	return c.Explain(cmd.OutOrStdout(), &res)
}

// near names checks that may be meant: those of the same last or first word.
func near(id string) string {
	var found []string
	head, tail, _ := strings.Cut(id, ".")
	for _, c := range tuning.Catalogue() {
		if h, t, _ := strings.Cut(c.ID, "."); t == tail && t != "" || tail == "" && h == head {
			found = append(found, c.ID)
		}
	}
	if len(found) == 0 {
		return "; ticktune check lists them"
	}
	return "; do you mean " + strings.Join(found[:min(4, len(found))], ", ") + "?"
}

func (f *checkFlags) run(cmd *cobra.Command) error {
	formats := 0
	for _, on := range []bool{f.asJSON, f.lines, f.junit, f.explain != ""} {
		if on {
			formats++
		}
	}
	if formats > 1 {
		return usage(errors.New("--json, --jsonl, --junit and --explain exclude each other"))
	}
	if f.explain != "" {
		return explainOne(cmd, &f.planFlags, f.explain)
	}
	if f.sort != "group" && f.sort != "severity" {
		return usage(fmt.Errorf("--sort %q, want group or severity", f.sort))
	}
	if err := f.Validate(); err != nil {
		return usage(err)
	}
	if cmd.Flags().Changed("watch") && f.watch < time.Second {
		return usage(fmt.Errorf("--watch %s is less than 1s", f.watch))
	}
	if cmd.Flags().Changed("for") && (f.length < 100*time.Millisecond || f.length > time.Hour) {
		return usage(fmt.Errorf("--for %s, want 100ms to 1h", f.length))
	}
	h, err := f.host()
	if err != nil {
		return err
	}
	askPTP(cmd.Context(), h)
	if f.measure {
		if f.root != "/" {
			return usage(errors.New("--measure is of this machine only"))
		}
		measureToo(cmd.Context(), h, f.length)
	}
	r, err := f.look(cmd.Context(), h)
	if err != nil {
		return err
	}
	if f.sort == "severity" {
		r.BySeverity()
	}
	out := cmd.OutOrStdout()
	if err := f.show(out, r); err != nil {
		return err
	}
	if f.watch > 0 {
		return f.follow(cmd, h, r)
	}
	if code := r.ExitCode(f.strict); code != tuning.ExitOK {
		return exitError{code: code}
	}
	return nil
}

// look is one look, or one over an interval.
func (f *checkFlags) look(ctx context.Context, h *tuning.Host) (*tuning.Report, error) {
	if f.length == 0 {
		return h.Run(f.Select), ctx.Err()
	}
	return h.RunOver(ctx, f.Select, f.length)
}

func (f *checkFlags) show(w io.Writer, r *tuning.Report) error {
	switch {
	case f.asJSON:
		return r.JSON(w)
	case f.lines:
		return r.JSONLines(w)
	case f.junit:
		return r.JUnit(w)
	}
	return r.Text(w, tuning.Style{Colour: colour(w), Quiet: f.quiet, Flat: f.sort == "severity"})
}

// colour is for people at a terminal who have not said NO_COLOR (no-color.org).
func colour(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd()))
}

// follow looks again and again until it is told to end, and tells what changed.
func (f *checkFlags) follow(cmd *cobra.Command, h *tuning.Host, before *tuning.Report) error {
	tick := time.NewTicker(f.watch)
	defer tick.Stop()
	for {
		select {
		case <-cmd.Context().Done():
			return nil
		case now := <-tick.C:
			h.Refresh(now)
			h.Probes.Frequency, h.Probes.Skew = nil, nil // measured once: a watch disturbs nobody
			after := h.Run(f.Select)
			for _, t := range tuning.Transitions(before, after) {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), now.UTC().Format(time.RFC3339), t); err != nil {
					return err
				}
			}
			before = after
		}
	}
}
