package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/build"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
	"github.com/tickwire/tickwire/plugins/store"
	"github.com/tickwire/tickwire/plugins/trial"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// kindNames are the kinds that a plugin may be of. Compiled languages have a template of each.
func kindNames() (names []string) {
	for _, k := range manifest.Kinds {
		names = append(names, string(k))
	}
	return names
}

func pluginNewCommand() *cobra.Command {
	var lang, kind string
	var asJSON bool
	c := &cobra.Command{
		Use: "new --lang LANGUAGE --kind KIND DIR", Short: "a plugin to begin from: source, manifest, SDK and a first test", Args: exactly(1),
		Long: `new writes a small plugin that works into DIR, which is made and must be empty: the source, its manifest plugin.json, what the SDK of
the language needs, and a case in DIR/testdata. The plugin has the folder's name.

  tickwire plugin new --lang rust --kind transform spread
  tickwire plugin build spread && tickwire plugin test spread

The compiler must be on this machine; build says which one is missing and how to install it:
  c, cpp           clang and lld (apt install clang lld)
  rust             rustc with wasm32 (apt install rustc libstd-rust-dev-wasm32, or rustup target add wasm32-unknown-unknown)
  go               Go 1.24 or later
  assemblyscript   node and npm (npm install in DIR)
  javascript       npm, for the engine that becomes part of the plugin (npm install in DIR): interpreted, some 2 µs a row
  python           npm, for the interpreter (npm install in DIR): for SQL and captures, no feed takes it`,
		Example: "  tickwire plugin new --lang c --kind validator ./band",
		RunE: func(cmd *cobra.Command, args []string) error {
			if lang == "" || kind == "" {
				return usageError{fmt.Errorf("--lang and --kind are needed: one of %s, and one of %s", strings.Join(build.Languages(), ", "), strings.Join(kindNames(), ", "))}
			}
			if !slices.Contains(build.Languages(), lang) || !slices.Contains(manifest.Kinds, manifest.Kind(kind)) {
				return usageError{fmt.Errorf("--lang %s --kind %s: want one of %s, and one of %s", lang, kind, strings.Join(build.Languages(), ", "), strings.Join(kindNames(), ", "))}
			}
			dir := args[0]
			if err := build.New(dir, lang, manifest.Kind(kind)); err != nil {
				return err
			}
			if err := trial.WriteTemplate(dir, manifest.Kind(kind)); err != nil {
				return err
			}
			return told(cmd.OutOrStdout(), asJSON, map[string]string{"dir": dir, "lang": lang, "kind": kind},
				"%s: a new plugin, %s, in %s. Next: tickwire plugin build %s && tickwire plugin test %s", dir, kind, lang, dir, dir)
		},
	}
	c.Flags().StringVar(&lang, "lang", "", "`LANGUAGE`: "+strings.Join(build.Languages(), ", "))
	c.Flags().StringVar(&kind, "kind", "", "`KIND`: "+strings.Join(kindNames(), ", "))
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	_ = c.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(build.Languages(), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kindNames(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func pluginBuildCommand() *cobra.Command {
	var names, asJSON bool
	var out string
	c := &cobra.Command{
		Use: "build DIR", Short: "compile a plugin in source and put its manifest into the module", Args: exactly(1),
		Long: `build finds out the language by the files in DIR, calls its compiler with flags that suit a plugin, appends plugin.json as the manifest,
and writes DIR/NAME.wasm, whole or not at all. What the compiler complains about is shown as it says it. The module is then compiled as
a feed would, so that what no feed would load does not count as built.`,
		Example: "  tickwire plugin build ./band\n  tickwire plugin build ./band --names --out /tmp",
		RunE: func(cmd *cobra.Command, args []string) error {
			to := out
			if to == "" {
				to = args[0]
			}
			make := build.BuildTo
			if names {
				make = build.BuildNamed
			}
			path, err := make(args[0], to)
			if err != nil {
				return err
			}
			module, err := store.ReadModule(path)
			if err != nil {
				return err
			}
			p, done, err := compiled(module, plugins.Options{}) // nothing runs, so nothing is granted
			if err != nil {
				return fmt.Errorf("%s is built, but no feed would load it: %w", path, err)
			}
			defer done()
			m := p.Manifest()
			return told(cmd.OutOrStdout(), asJSON, map[string]any{"file": path, "name": m.Name, "version": m.Version, "bytes": len(module), "sha256": store.Digest(module)},
				"%s: %s %s, %d bytes", path, m.Name, m.Version, len(module))
		},
	}
	c.Flags().BoolVar(&names, "names", false, "keep the names of functions, for profile and debug")
	c.Flags().StringVarP(&out, "out", "o", "", "`FOLDER` for the module (default: DIR)")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

// compiled is a plugin in a host of its own; done frees both.
func compiled(module []byte, o plugins.Options) (p *plugins.Plugin, done func(), err error) {
	host, err := plugins.New(o)
	if err != nil {
		return nil, nil, err
	}
	if p, err = host.Compile(module); err != nil {
		return nil, nil, errors.Join(err, host.Close())
	}
	return p, func() { _ = errors.Join(p.Close(), host.Close()) }, nil // the process ends soon
}

// trusted is the policy of the configuration that the environment names: a plugin that is tried gets what it is to get.
func trusted() (*sign.Policy, error) {
	c, err := pluginConfig()
	if err != nil {
		return nil, err
	}
	policy, err := c.Policy()
	if err != nil {
		return nil, usageError{err}
	}
	return &policy, nil
}

// source says whether arg is a folder that a plugin can be built in.
func source(arg string) bool {
	_, err := os.Stat(filepath.Join(arg, build.ManifestFile))
	return err == nil
}

// moduleOf is the module that an argument names: a file, the one in a folder, or what the source in it is built to, with names of functions. Nothing is written
// beside the source. Without the compiler a module that lies there is taken, with a note.
func moduleOf(cmd *cobra.Command, arg string) ([]byte, error) {
	if _, err := os.Stat(arg); errors.Is(err, fs.ErrNotExist) {
		return nil, usageError{fmt.Errorf("%s is not there", arg)}
	}
	if !source(arg) {
		return readModule(arg)
	}
	dir, err := os.MkdirTemp("", "tickwire-plugin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path, err := build.BuildNamed(arg, dir)
	var missing *build.MissingError
	if errors.As(err, &missing) {
		module, readErr := readModule(arg)
		if readErr != nil {
			return nil, err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "tickwire: %v\ntickwire: the module in %s is taken as it is\n", err, arg)
		return module, nil
	}
	if err != nil {
		return nil, err
	}
	return store.ReadModule(path)
}

func pluginDocsCommand() *cobra.Command {
	var markdown bool
	c := &cobra.Command{
		Use: "docs DIR|FILE", Short: "a plugin's page: columns, parameters, limits, exports", Args: exactly(1),
		Long: `docs makes a page of what a plugin says of itself, for people who are to use it: of a module, or of a folder with plugin.json in it,
which needs no compiler. It is text for a terminal, or with --markdown what one puts beside the source.`,
		Example: "  tickwire plugin docs ./band\n  tickwire plugin docs band.wasm --markdown >band.md",
		RunE: func(cmd *cobra.Command, args []string) error {
			var m *manifest.Manifest
			var names []string
			if source(args[0]) {
				text, err := os.ReadFile(filepath.Join(args[0], build.ManifestFile))
				if err != nil {
					return err
				}
				if m, err = manifest.Parse(text); err != nil {
					return fmt.Errorf("%s: %w", filepath.Join(args[0], build.ManifestFile), err)
				}
			}
			if module, err := readModule(args[0]); err == nil {
				of, err := manifest.Of(module)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				if m == nil {
					m = of
				}
				exports, err := wasm.Exports(module)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				for _, e := range exports {
					if e.Kind == wasm.KindFunction {
						names = append(names, e.Name)
					}
				}
			} else if m == nil {
				return err
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), trial.Docs(m, names, markdown))
			return err
		},
	}
	c.Flags().BoolVar(&markdown, "markdown", false, "Markdown")
	return c
}

func pluginTestCommand() *cobra.Command {
	var o trial.Options
	var cases string
	var asJSON bool
	c := &cobra.Command{
		Use: "test DIR|FILE", Short: "run a plugin on its cases and on generated batches", Args: exactly(1),
		Long: `test runs a plugin as a feed would, and exits 1 if anything is wrong:

  cases       files in DIR/testdata: rows, values or packets, and what must come of them (docs/plugin-tools.md has the format)
  generated   batches of 1, 7, 256 and max_rows rows, with ordinary values and those at the edges of their types; a parser gets its
              cases' packets spoilt, and noise
  --fuzz 5s   further ones, so long; one that fails is cut down to few rows and written down for plugin debug

Whatever it is given, a plugin may not trap, run out of fuel or answer what cannot be. One that calls itself deterministic must give the
same rows in calls of 1, 7, 256 and max_rows. And each kind must keep what it promises: a codec's blocks decode elsewhere, an index
finds what a look at each row finds, types, keys and states agree with themselves (docs/plugin-tools.md). --update writes what comes out of each case into its file, to be looked at and kept.

Of a folder with source what is in it now is built for the test; nothing is written there.`,
		Example: "  tickwire plugin test ./band --fuzz 5s\n  tickwire plugin test band.wasm --cases ./cases --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Fuzz < 0 {
				return usageError{fmt.Errorf("--fuzz %s: want a time", o.Fuzz)}
			}
			module, err := moduleOf(cmd, args[0])
			if err != nil {
				return err
			}
			trust, err := trusted()
			if err != nil {
				return err
			}
			p, done, err := compiled(module, plugins.Options{Trust: trust})
			if err != nil {
				return err
			}
			defer done()
			if cases == "" {
				cases = trial.CasesOf(args[0])
			}
			checks, err := trial.CheckAll(p, cases, o)
			if err != nil {
				return err
			}
			return printChecks(cmd, p.Manifest(), checks, asJSON)
		},
	}
	c.Flags().DurationVar(&o.Fuzz, "fuzz", 0, "go on with generated batches for so `LONG`")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the first generated batch")
	c.Flags().BoolVar(&o.Update, "update", false, "write what comes out as what is expected")
	c.Flags().StringVar(&cases, "cases", "", "`FOLDER` of cases (default: testdata beside the source or the module)")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func printChecks(cmd *cobra.Command, m *manifest.Manifest, checks []trial.Check, asJSON bool) error {
	out := cmd.OutOrStdout()
	bad, kept := 0, ""
	for i := range checks {
		if checks[i].Ok {
			continue
		}
		bad++
		if c := checks[i].Case; c != nil && kept == "" {
			dir, err := os.MkdirTemp("", "tickwire-case-")
			if err != nil {
				return err
			}
			c.Name = m.Name
			if kept, err = trial.WriteCase(dir, c); err != nil {
				return err
			}
		}
	}
	if asJSON {
		if err := json.NewEncoder(out).Encode(struct {
			Plugin  string        `json:"plugin"`
			Version string        `json:"version"`
			Ok      bool          `json:"ok"`
			Case    string        `json:"failing_case,omitempty"`
			Checks  []trial.Check `json:"checks"`
		}{m.Name, m.Version, bad == 0, kept, checks}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "%s %s\n\n", m.Name, m.Version)
		t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(t, "CHECK\tUNIT\tROWS\tFUEL A ROW\tRESULT")
		for _, k := range checks {
			result := "ok"
			if !k.Ok {
				result = "FAILED: " + plain(k.What)
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%.1f\t%s\n", plain(k.Name), k.Unit, k.Rows, k.Fuel, result)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintf(out, "\n%d of %d ok\n", len(checks)-bad, len(checks))
		if kept != "" {
			fmt.Fprintf(out, "the batch that fails is in %s: tickwire plugin debug DIR|FILE %s\n", kept, kept)
		}
	}
	if bad > 0 {
		return errReported
	}
	return nil
}
