package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/irqinfo"
)

type irqFlags struct {
	planFlags
	wait        time.Duration
	on          string
	all, asJSON bool
	watch       bool
}

func irqCommands() []*cobra.Command {
	var f irqFlags
	irq := &cobra.Command{
		Use:   "irq [flags]",
		Short: "who interrupts which core, and how often",
		Long: `irq counts interrupts for a while, and tells what interrupted each core and where each interrupt goes. "on" is the cores on which it
fired, or to which it goes; "may" those to which it is allowed to.`,
		Example: "  ticktune irq --for 5s\n  ticktune irq --nic eth2\n  ticktune irq --on 4-7 --watch\n  ticktune irq move eth2:1 8",
		Args:    arguments(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.add(irq)
	fl := irq.Flags()
	fl.DurationVar(&f.wait, "for", time.Second, "count for this `time`, at least 10ms")
	fl.StringVar(&f.on, "on", "", "only these `cores`")
	fl.BoolVarP(&f.all, "all", "a", false, "also interrupts that did not fire")
	fl.BoolVar(&f.watch, "watch", false, "again and again, until it is stopped")
	fl.BoolVar(&f.asJSON, "json", false, "one JSON document; with --watch one a line")
	irq.AddCommand(irqMove())
	return []*cobra.Command{irq}
}

func (f *irqFlags) run(cmd *cobra.Command) error {
	if f.wait < 10*time.Millisecond {
		return usage(fmt.Errorf("--for %s is less than 10ms", f.wait))
	}
	on, err := tuning.ParseCPUs(f.on)
	if err != nil {
		return usage(fmt.Errorf("--on: %w", err))
	}
	h, err := f.host()
	if err != nil {
		return err
	}
	for _, name := range f.nics {
		if all, err := h.Faces(); err == nil && !slices.Contains(all, name) {
			return exitError{tuning.ExitPlatform, fmt.Errorf("%s: no such interface", name)}
		}
	}
	v := irqinfo.View{All: f.all, NICs: f.nics, On: on}
	for {
		r, err := irqinfo.Watch(cmd.Context(), h, f.wait)
		if err != nil {
			return lookError(err)
		}
		w := cmd.OutOrStdout()
		switch {
		case f.asJSON && f.watch:
			err = writeLine(w, r)
		case f.asJSON:
			err = writeJSON(w, r)
		default:
			err = r.Text(w, v)
		}
		if err != nil || !f.watch || cmd.Context().Err() != nil {
			return err
		}
		if !f.asJSON {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
	}
}

func irqMove() *cobra.Command {
	var root rootFlag
	var change changeFlags
	move := &cobra.Command{
		Use:   "move INTERRUPT… CORES [flags]",
		Short: "let interrupts go to these cores only",
		Long: `move sets the cores of interrupts by the journal of apply. An interrupt is a number (120), an interface (eth2: all of it), a queue of one
(eth2:1), or a pattern of names ('nvme0q*'). Those that the kernel places itself (managed) cannot be moved; while irqbalance
runs and would move them again, they are left alone.`,
		Example: "  ticktune irq move eth2:1 8\n  ticktune irq move 120 121 0-3 --dry-run",
		Args:    arguments(2, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			last := len(args) - 1
			to, err := tuning.ParseCPUs(args[last])
			if err != nil {
				return usage(err)
			}
			h, err := root.host()
			if err != nil {
				return err
			}
			now, err := irqinfo.Take(h)
			if err != nil {
				return lookError(err)
			}
			r := irqinfo.Between(h, now, now)
			var all []*irqinfo.IRQ
			for _, which := range args[:last] {
				found, err := r.Pick(which)
				if errors.Is(err, irqinfo.ErrNone) {
					return exitError{tuning.ExitPlatform, err}
				} else if err != nil {
					return usage(err)
				}
				for _, one := range found {
					if !slices.Contains(all, one) {
						all = append(all, one)
					}
				}
			}
			changes, err := irqinfo.Move(h, all, to)
			if err != nil {
				return usage(err)
			}
			return change.carryOut(cmd, h, changes, nil)
		},
	}
	root.add(move)
	change.add(move)
	return move
}
