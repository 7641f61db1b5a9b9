package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/internal/buildinfo"
	"github.com/tickwire/tickwire/internal/manpage"
	"github.com/tickwire/tickwire/tuning"
)

// exitError ends the program with a code of tuning.Exit…; a nil error inside has been told already.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}
func (e exitError) Unwrap() error { return e.err }

// usage is a mistake on the command line.
func usage(err error) error { return exitError{tuning.ExitUsage, err} }

// run is main with everything as an argument.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return tuning.ExitOK // or whoever read our output has seen enough
	}
	code := tuning.ExitInternal
	var exit exitError
	if errors.As(err, &exit) {
		code = exit.code
		err = exit.err
	}
	if err != nil {
		fmt.Fprintln(stderr, "ticktune:", strings.TrimSpace(err.Error()))
	}
	return code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:     "ticktune",
		Short:   "make a machine fit for market data, and show that it is",
		Version: buildinfo.Version,
		Long: `ticktune looks at what decides the latency of a feed: the kernel's command line, cores, power, interrupts,
memory, the NIC, time and limits. It says what is wrong, what to do, and what doing it risks.

  ticktune check                                 what can be told without a plan
  ticktune check --nic eth2 --cores 4-7          with lanes on cores 4 to 7, packets by eth2
  ticktune check --plan feed.toml --strict       with a plan file, warnings count
  ticktune explain cpu.governor                  what a check is about, and what was read
  ticktune apply --plan feed.toml                make it so: shown first, journalled, all or nothing
  ticktune revert --all                          and as it was
  ticktune jitter --cores 4-7 --for 60s          what the cores of lanes take from who spins on them
  ticktune top --cores 4-7 --nic eth2            what cores, interfaces and feeds do and lose, live

Exit codes: 0 nothing fails, 1 a check fails, 2 only warnings and --strict, 3 something could not be seen and nothing
fails, 64 usage, 65 bad plan, 69 not supported here, 70 internal, 77 needs privilege.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("there is no command %q (see: ticktune --help)", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		DisableFlagsInUseLine: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w (see: %s --help)", err, cmd.CommandPath()))
	})
	root.AddCommand(checkCommands()...)
	root.AddCommand(applyCommands()...)
	root.AddCommand(irqCommands()...)
	root.AddCommand(nicCommands()...)
	root.AddCommand(ptpCommands()...)
	root.AddCommand(numaCommands()...)
	root.AddCommand(isolateCommands()...)
	root.AddCommand(manpage.Command())
	root.AddCommand(jitterCommand())
	root.AddCommand(topCommand())
	return root
}

// arguments makes a wrong number of them a usage error.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(fmt.Errorf("an argument is missing: %s", cmd.UseLine()))
		case len(args) > most:
			return usage(fmt.Errorf("%q is one argument too many: %s", args[most], cmd.UseLine()))
		}
		return nil
	}
}
