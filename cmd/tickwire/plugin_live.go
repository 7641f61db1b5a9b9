package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/internal/control"
)

// pluginCompile is the command by which a feed has another process compile a plugin.
const pluginCompile = "plugin-compile"

func pluginCompileCommand() *cobra.Command {
	return &cobra.Command{
		Use: pluginCompile + " DIR", Short: "compile the module on standard input into the cache at DIR: what a feed calls", Args: exactly(1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := lifecycle.HelperMain(args[0], cmd.InOrStdin())
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), err)
				return errReported
			}
			return nil
		},
	}
}

// livePluginCommands change the plugins of a feed that runs.
func livePluginCommands() []*cobra.Command {
	return []*cobra.Command{pluginLoad(), pluginReload(), pluginUnload(), pluginStatus()}
}

// liveFeed is the feed that a command is about.
type liveFeed struct {
	config string
	asJSON bool
}

func (l *liveFeed) flags(c *cobra.Command) {
	configFlag(c, &l.config)
	c.Flags().BoolVar(&l.asJSON, "json", false, "for scripts")
}

// do sends a command to the feed with a name, or the only one.
func (l *liveFeed) do(ctx context.Context, feed, method, path string, in, out any) error {
	cfg, err := loadConfig(l.config)
	if err != nil {
		return err
	}
	f, err := pickFeed(cfg, feed)
	if err != nil {
		return err
	}
	return control.NewClient(control.Path(cfg.Instance.RunDir, f.Name)).Do(ctx, method, path, in, out)
}

// change sends one and says what it came to.
func (l *liveFeed) change(cmd *cobra.Command, feed, what string, r lifecycle.Request) error {
	var a lifecycle.Answer
	if err := l.do(cmd.Context(), feed, "POST", "/plugins/"+what, r, &a); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if l.asJSON {
		return json.NewEncoder(out).Encode(a)
	}
	return printChange(out, a)
}

func printChange(out io.Writer, a lifecycle.Answer) error {
	var text string
	switch {
	case a.Same:
		text = fmt.Sprintf("%s %s: the same bytes and parameters run already", a.Plugin, a.Is)
	case a.Was == "":
		text = fmt.Sprintf("%s %s: loaded", a.Plugin, a.Is)
	case a.Is == "":
		text = fmt.Sprintf("%s %s: unloaded", a.Plugin, a.Was)
	default:
		text = fmt.Sprintf("%s: %s in the place of %s", a.Plugin, a.Is, a.Was)
	}
	if t := a.Trial; t != nil {
		from := "of the feed's own"
		if t.Made {
			from = "made up, since the feed had none to show"
		}
		text += fmt.Sprintf("\ntried on %d rows (%s): %.1f ns a row", t.Rows, from, t.NsPerRow)
	}
	if a.Waiting {
		text += "\na lane has not taken it yet: it does so at the end of its next pass"
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// paramValues reads name=value: numbers and booleans as such, everything else as text.
func paramValues(list []string) (map[string]any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	values := map[string]any{}
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("--param %q: want name=value", p)}
		}
		values[name] = value // as text: the manifest says what it is
	}
	return values, nil
}

// pluginSource tells a path from an installed plugin's name: a path has a slash or ends in .wasm.
func pluginSource(text string, r *lifecycle.Request) error {
	if strings.ContainsRune(text, '/') || strings.HasSuffix(text, ".wasm") || text == "." {
		path, err := filepath.Abs(text)
		r.Path = path
		return err
	}
	r.Name, r.Range, _ = strings.Cut(text, "@")
	return nil
}

func pluginLoad() *cobra.Command {
	var l liveFeed
	var params []string
	var feed, onTrap string
	c := &cobra.Command{
		Use: "load FILE|DIR|NAME[@RANGE]", Short: "have the rows of a running feed pass one more plugin", Args: exactly(1),
		Long: `load gives a plugin to a feed that runs: a module, a folder with one, or an installed one by name. It comes behind the others, and until the feed
ends: what it begins with is in its configuration ([[feed.plugin]]).

The feed reads the file itself. It asks its policy, has another process compile it, tries it on copies of its recent rows, and takes it between two passes.
Whatever goes wrong before that leaves the feed as it is.`,
		Example: `  tickwire plugin load ./price-band.wasm --param band_bp=300
  tickwire plugin load symbol-map@^1.2 --feed totalview`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r := lifecycle.Request{OnTrap: onTrap}
			if r.Params, err = paramValues(params); err != nil {
				return err
			}
			if err := pluginSource(args[0], &r); err != nil {
				return err
			}
			return l.change(cmd, feed, "load", r)
		},
	}
	l.flags(c)
	feedFlag(c, &feed)
	c.Flags().StringArrayVar(&params, "param", nil, "name=value, as the manifest names it; may be repeated")
	c.Flags().StringVar(&onTrap, "on-trap", "", "pass, drop_output or stop_feed (default: the manifest's)")
	return c
}

func feedFlag(c *cobra.Command, feed *string) {
	c.Flags().StringVar(feed, "feed", "", "which feed of the configuration, where there are several")
}

func pluginReload() *cobra.Command {
	var l liveFeed
	var params []string
	var feed, from, onTrap string
	c := &cobra.Command{
		Use: "reload NAME", Short: "read a running feed's plugin again, and have rows pass the new version", Args: exactly(1),
		Long: `reload reads a plugin again from where it is from, or from --from. The new version is checked, compiled and tried as load does it; rows pass the old one
until then, and pass it on if anything is wrong with the new one. State moves over if both versions save and restore it. A version that fails within its first
minute is taken back by itself; rollback --feed does so by hand.`,
		Example: `  tickwire plugin reload price-band
  tickwire plugin reload price-band --from ./price-band-1.3.wasm --param band_bp=200`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r := lifecycle.Request{OnTrap: onTrap}
			if r.Params, err = paramValues(params); err != nil {
				return err
			}
			if from != "" {
				if err := pluginSource(from, &r); err != nil {
					return err
				}
				if r.Path == "" && r.Name != args[0] {
					return usageError{errors.New("--from names another plugin: load that, and unload this one")}
				}
			}
			r.Name = args[0]
			return l.change(cmd, feed, "reload", r)
		},
	}
	l.flags(c)
	feedFlag(c, &feed)
	c.Flags().StringVar(&from, "from", "", "a module, a folder with one, or NAME@RANGE of an installed one (default: where it is from)")
	c.Flags().StringArrayVar(&params, "param", nil, "name=value, all that are not to be the default's; may be repeated (default: those that it has)")
	c.Flags().StringVar(&onTrap, "on-trap", "", "pass, drop_output or stop_feed (default: as it is)")
	return c
}

func pluginUnload() *cobra.Command {
	var l liveFeed
	var feed string
	c := &cobra.Command{
		Use: "unload NAME", Short: "take a plugin out of a running feed", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.change(cmd, feed, "unload", lifecycle.Request{Name: args[0]})
		},
	}
	l.flags(c)
	feedFlag(c, &feed)
	return c
}

func pluginStatus() *cobra.Command {
	var l liveFeed
	var feed string
	c := &cobra.Command{
		Use: "status", Short: "the plugins of a running feed, and what they did", Args: exactly(0),
		Long: `status asks a running feed which plugins its rows pass, in order, and what each did on each lane since its chain came into use. It exits 1 when one of them
was taken out after failures. The same figures from the process's start are in tickwire status, /metrics and the SQL table tickwire.counters.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s lifecycle.Status
			if err := l.do(cmd.Context(), feed, "GET", "/plugins", nil, &s); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			var err error
			if l.asJSON {
				err = json.NewEncoder(out).Encode(s)
			} else {
				err = printLivePlugins(out, &s)
			}
			for _, p := range s.Plugins {
				if p.TakenOut && err == nil {
					err = errReported
				}
			}
			return err
		},
	}
	l.flags(c)
	feedFlag(c, &feed)
	return c
}

func printLivePlugins(out io.Writer, s *lifecycle.Status) error {
	if len(s.Plugins) == 0 {
		_, err := fmt.Fprintln(out, "no plugins: rows are published as the books completed them")
		return err
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "PLUGIN\tVERSION\tLANE\tROWS\tFLAGGED\tREFUSED\tDROPPED\tBYPASSED\tFAILURES\tNS A ROW\tSINCE")
	for _, p := range s.Plugins {
		for _, l := range p.Lanes {
			each, lane := 0.0, l.Lane
			if l.Packets {
				lane += " packets"
			}
			if l.Rows > 0 {
				each = float64(l.LatencySum) / float64(l.Rows)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%s\n", p.Name, p.Version, lane, l.Rows, l.Flagged, l.Refused, l.Dropped, l.Bypassed,
				l.Errors+l.Traps, each, p.Since.Format(time.DateTime))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range s.Plugins {
		if p.TakenOut {
			fmt.Fprintf(out, "%s %s: TAKEN OUT: %s\n", p.Name, p.Version, strings.TrimPrefix(p.Note, "plugin is taken out "))
		}
		for _, line := range p.Granted {
			fmt.Fprintf(out, "%s: granted: %s\n", p.Name, plain(line))
		}
		if len(p.Before) > 0 {
			fmt.Fprintf(out, "%s: before it: %s\n", p.Name, strings.Join(p.Before, ", "))
		}
	}
	for i, c := range s.Custom {
		fmt.Fprintf(out, "custom column %d: %s (%s, of %s)\n", i, c.Name, c.Type, c.Plugin)
	}
	return nil
}
