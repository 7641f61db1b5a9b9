package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/jitter"
	"github.com/tickwire/tickwire/tuning/top"
)

type topFlags struct {
	planFlags
	ringDir, instance, measure string
	every                      time.Duration
	once, asJSON               bool
}

// measureFor is how long a turn measures each of the cores of --measure.
const measureFor = 50 * time.Millisecond

func topCommand() *cobra.Command {
	var f topFlags
	c := &cobra.Command{
		Use:   "top [flags]",
		Short: "what cores, interfaces and feeds do and lose, live",
		Long: `top shows what happened in each interval: for each core interrupts, softirqs, switches, how long threads had to wait for it, time stolen
by the hypervisor, and the network stack's drops; for each interface packets and losses; for each running feed its lanes, AF_XDP sockets, rings and
losses. What is not to be is red. Cores of --cores and --napi come first.

It reads what is counted anyway, and disturbs nobody. How much a core takes from a thread on it is estimated: by irq%, steal% and, where the kernel
tells them, the time that threads waited and how often they were switched, for cores (CONFIG_SCHEDSTATS) and for the threads of each feed. --measure
measures it, as ticktune jitter does, for 50 ms each turn: on cores that nobody else needs.

On a terminal it is a screen that renews itself until Control-C; elsewhere each turn is a block of lines, or with --json an object a line.`,
		Example: "  ticktune top --cores 4-7 --nic eth2\n  ticktune top --once --json",
		Args:    arguments(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.add(c)
	dir := os.Getenv("TICKWIRE_INSTANCE__RING_DIR")
	if dir == "" {
		dir = "/dev/shm/tickwire"
	}
	fl := c.Flags()
	fl.StringVar(&f.ringDir, "ring-dir", dir, "folder of the feeds' shared memory")
	fl.StringVar(&f.instance, "instance", "", "only feeds of this instance (default: all)")
	fl.StringVar(&f.measure, "measure", "", "cores to measure each turn, such as 2-3")
	fl.DurationVar(&f.every, "every", time.Second, "`interval` of a turn, at least 100ms")
	fl.BoolVar(&f.once, "once", false, "one turn, then end")
	fl.BoolVar(&f.asJSON, "json", false, "one JSON object a line and turn")
	return c
}

func (f *topFlags) run(cmd *cobra.Command) error {
	h, err := f.host()
	if err != nil {
		return err
	}
	measure, err := tuning.ParseCPUs(f.measure)
	if err != nil {
		return usage(fmt.Errorf("--measure: %w", err))
	}
	if f.every < 100*time.Millisecond {
		return usage(fmt.Errorf("--every %s is less than 100ms", f.every))
	}
	o := top.Options{Root: f.root, Plan: h.Plan, RingDir: f.ringDir, Instance: f.instance, Virtual: h.Virt() != ""}
	show, end := f.shower(cmd.OutOrStdout())
	defer end()
	for before := top.Take(o); ; {
		measured, err := measureCores(cmd.Context(), measure)
		switch {
		case cmd.Context().Err() != nil:
			return nil
		case errors.Is(err, jitter.ErrOptions):
			return usage(err)
		case errors.Is(err, jitter.ErrPlatform):
			return exitError{tuning.ExitPlatform, err}
		case err != nil:
			return err
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-time.After(f.every):
		}
		after := top.Take(o)
		if err := show(top.Between(before, after, o, measured)); err != nil {
			return err
		}
		if f.once {
			return nil
		}
		before = after
	}
}

// measureCores measures for a moment; nil for no cores.
func measureCores(ctx context.Context, cores tuning.CPUs) (map[int]top.Measured, error) {
	if len(cores) == 0 {
		return nil, nil
	}
	r, err := jitter.Run(ctx, jitter.Options{Other: cores, For: measureFor, Warmup: 10 * time.Millisecond, Modes: []jitter.Mode{jitter.Host}, Shared: true})
	if err != nil {
		return nil, err
	}
	found := map[int]top.Measured{}
	for i := range r.Results {
		c := &r.Results[i]
		found[c.CPU] = top.Measured{StolenPPM: c.StolenPPM, MaxNs: c.MaxNs, DelayNs: c.DelayP99_9Ns}
	}
	return found, nil
}

// shower is how turns are shown, and what is to be done at the end.
func (f *topFlags) shower(out io.Writer) (show func(*top.View) error, end func()) {
	if f.asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return func(v *top.View) error { return e.Encode(v) }, func() {}
	}
	file, ok := out.(*os.File)
	if !ok || f.once || !term.IsTerminal(int(file.Fd())) {
		return func(v *top.View) error { return v.Text(out) }, func() {}
	}
	// The screen of its own, and no cursor on it; both are put back.
	fmt.Fprint(out, "\x1b[?1049h\x1b[?25l\x1b[2J")
	return func(v *top.View) error {
			columns, rows, err := term.GetSize(int(file.Fd()))
			if err != nil {
				columns, rows = 80, 24
			}
			return v.Screen(out, columns, rows, colour(out))
		}, func() {
			fmt.Fprint(out, "\x1b[?25h\x1b[?1049l")
		}
}
