package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/internal/manpage"
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
	if _, file := stderr.(*os.File); !file { // a file may be written by several goroutines: plugins log from one of their own
		stderr = &serial{to: stderr}
	}
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

// serial is a writer for several goroutines.
type serial struct {
	mu sync.Mutex
	to io.Writer
}

func (s *serial) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(b)
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
		Args:          noSuchCommand,
		RunE:          helpOnly,

		DisableFlagsInUseLine: true,
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
			if c.HasSubCommands() && c.RunE == nil {
				c.Args, c.RunE, c.DisableFlagsInUseLine = noSuchCommand, helpOnly, true
			}
			root.AddCommand(c)
		}
	}
	root.AddCommand(manpage.Command())
	root.SetHelpCommandGroupID("tools")
	root.SetCompletionCommandGroupID("tools")
	return root
}

// helpOnly is what a command does that only has others below it.
func helpOnly(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noSuchCommand says which commands there are; what was meant, where one is near.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	meant := ""
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		meant = "; do you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{fmt.Errorf("%s has no command %q%s (see: %s --help)", cmd.CommandPath(), args[0], meant, cmd.CommandPath())}
}

// exactly, atLeast and atMost make a wrong number of arguments a usage error.
func exactly(n int) cobra.PositionalArgs { return arguments(n, n) }
func atLeast(n int) cobra.PositionalArgs { return arguments(n, math.MaxInt) }
func atMost(n int) cobra.PositionalArgs  { return arguments(0, n) }

// arguments counts them; a fault shows how the command is used.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageError{fmt.Errorf("an argument is missing: %s (see: %s --help)", cmd.UseLine(), cmd.CommandPath())}
		case len(args) > most:
			return usageError{fmt.Errorf("%q is one argument too many: %s (see: %s --help)", args[most], cmd.UseLine(), cmd.CommandPath())}
		}
		return nil
	}
}
