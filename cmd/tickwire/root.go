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
)

// Exit codes, the same for every command.
const (
	exitOK     = 0
	exitFailed = 1 // the job failed, or the input was bad: what was good before it has been used
	exitUsage  = 2 // the command line or the configuration is wrong: nothing was done
)

// usageError is a mistake on the command line or in the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// silentError has been reported already.
var errReported = errors.New("reported")

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
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "tickwire:", strings.TrimSpace(err.Error()))
		return exitUsage
	case errors.Is(err, syscall.EPIPE):
		return exitOK // whoever read our output has seen enough
	default:
		fmt.Fprintln(stderr, "tickwire:", strings.TrimSpace(err.Error()))
		return exitFailed
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tickwire",
		Short: "market data from the wire to shared memory and SQL",
		Long: `tickwire decodes exchange market data, keeps full order books, publishes every event to shared memory,
and answers SQL over the same ticks a moment later.

  tickwire demo                                  everything at once, on a generated session
  tickwire decode day.pcap | head                one JSON object a message
  tickwire sql --from day.itch.gz "SELECT …"     a capture through the whole pipeline, then a question
  tickwire run --config tickwire.toml            feeds and the SQL port, supervised

Exit codes: 0 done, 1 the job failed or the input was bad, 2 wrong usage or configuration.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see: %s --help)", err, cmd.CommandPath())}
	})
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Running it:"},
		&cobra.Group{ID: "files", Title: "Captures and files:"},
		&cobra.Group{ID: "look", Title: "Looking at what runs:"},
		&cobra.Group{ID: "tools", Title: "Tools:"},
	)
	for _, group := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{"run", runCommands()},
		{"files", fileCommands()},
		{"look", lookCommands()},
		{"tools", toolCommands()},
	} {
		for _, c := range group.commands {
			c.GroupID = group.id
			root.AddCommand(c)
		}
	}
	return root
}

// exactly and atLeast make cobra's argument faults usage errors.
func exactly(n int) cobra.PositionalArgs { return usage(cobra.ExactArgs(n)) }
func atLeast(n int) cobra.PositionalArgs { return usage(cobra.MinimumNArgs(n)) }
func atMost(n int) cobra.PositionalArgs  { return usage(cobra.MaximumNArgs(n)) }

func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w (see: %s --help)", err, cmd.CommandPath())}
		}
		return nil
	}
}
