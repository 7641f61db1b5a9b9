package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/trial"
)

// caseFlags choose what a plugin is run on: a case in a file, or a generated one.
type caseFlags struct {
	unit string
	rows int
	seed uint64
}

func (f *caseFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.unit, "unit", "", "`KIND` or \"KIND NAME\" of the unit, for a generated batch (default: the first)")
	c.Flags().IntVar(&f.rows, "rows", 1024, "of a generated batch")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "of a generated batch: the same seed, the same batch")
}

// read gives the case of a file, or a generated one.
func (f *caseFlags) read(p *plugins.Plugin, file, cases string) (*trial.Case, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usageError{err}
		}
		return trial.ParseCase(strings.TrimSuffix(filepath.Base(file), trial.Extension), text)
	}
	if f.rows < 1 || f.rows > trial.MostRows {
		return nil, usageError{fmt.Errorf("--rows %d: want 1 to %d", f.rows, trial.MostRows)}
	}
	unit := 0
	if f.unit != "" {
		kind, name, _ := strings.Cut(f.unit, " ")
		if unit = p.Unit(manifest.Kind(kind), name); unit < 0 {
			for k, u := range p.Manifest().Kinds {
				if string(u.Kind) == kind && name == "" {
					unit = k
				}
			}
		}
		if unit < 0 {
			return nil, usageError{fmt.Errorf("--unit %s: the plugin has none", f.unit)}
		}
	}
	known, err := trial.ReadCases(cases)
	if err != nil {
		return nil, err
	}
	return trial.Generate(p, unit, f.seed, f.rows, known)
}

func pluginDebugCommand() *cobra.Command {
	var f caseFlags
	var dump string
	var reduce, asJSON bool
	c := &cobra.Command{
		Use: "debug DIR|FILE [CASE]", Short: "run one batch, and say where a plugin traps", Args: arguments(1, 2),
		Long: `debug runs a plugin on one batch: a CASE (a file of testdata, one that test --fuzz wrote, one written with --dump) or a generated one.
If a call fails it says why, the functions that were open with their names, and at which offset of the module, and exits 1. --reduce
leaves out rows with which it fails all the same. Otherwise it shows what went in beside what came out. What the plugin logs is on
stderr.

Of a folder with source what is in it now is built with names of functions. A module has them if it was built with plugin build --names.`,
		Example: "  tickwire plugin debug ./band /tmp/tickwire-case-1/band.txt --reduce --dump small.txt\n  tickwire plugin debug band.wasm --seed 7 --rows 64",
		RunE: func(cmd *cobra.Command, args []string) error {
			module, err := moduleOf(cmd, args[0])
			if err != nil {
				return err
			}
			file := ""
			if len(args) > 1 {
				file = args[1]
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelDebug}))
			trust, err := trusted()
			if err != nil {
				return err
			}
			fault, used, result, err := trial.Debug(module, trust, func(p *plugins.Plugin) (*trial.Case, error) { return f.read(p, file, trial.CasesOf(args[0])) }, reduce, log)
			if err != nil {
				return err
			}
			if dump != "" {
				if err := replaceFile(dump, used.Append(nil)); err != nil {
					return err
				}
			}
			out := cmd.OutOrStdout()
			switch {
			case asJSON && fault != nil:
				err = json.NewEncoder(out).Encode(fault)
			case asJSON:
				err = json.NewEncoder(out).Encode(map[string]any{"rows": result.Lines, "fuel": result.Fuel, "calls": result.Calls})
			case fault == nil:
				return result.Print(out, used)
			default:
				fault.Print(out)
				fmt.Fprintf(out, "  with %d rows or packets", max(len(used.In.Rows), len(used.Packets)))
				if len(used.In.Rows) <= 4 && len(used.Packets) <= 4 {
					fmt.Fprintf(out, ":\n\n%s", used.Append(nil))
				} else {
					fmt.Fprintln(out, "; --reduce leaves out those that do not matter, --dump FILE writes them")
				}
			}
			if err == nil && fault != nil {
				return errReported
			}
			return err
		},
	}
	f.flags(c)
	c.Flags().StringVar(&dump, "dump", "", "write the batch to `FILE`, to run it again")
	c.Flags().BoolVar(&reduce, "reduce", false, "leave out rows with which it fails all the same")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func pluginProfileCommand() *cobra.Command {
	var f caseFlags
	var folded string
	var byTime, asJSON bool
	var span time.Duration
	c := &cobra.Command{
		Use: "profile DIR|FILE [CASE]", Short: "where the time of a batch goes, by function", Args: arguments(1, 2),
		Long: `profile runs a plugin on a CASE or a generated batch, over and over, and says how much of it each function takes:

  fuel   loop turns, calls and bulk bytes, as the host counts them to bound a call: exact, and the same on every machine
  time   as measured; being told of each call takes time of its own, so of functions that are called often it says too much

"own" is without the functions that it calls. --folded writes stacks for flame graph tools (flamegraph.pl, inferno, speedscope), by fuel
or with --time by ns. A compiler that optimises puts small functions into those that call them: they are not seen.

Of a folder with source what is in it now is built with names of functions. A module has them if it was built with plugin build --names.`,
		Example: "  tickwire plugin profile ./band\n  tickwire plugin profile ./band --folded band.folded && flamegraph.pl band.folded >band.svg",
		RunE: func(cmd *cobra.Command, args []string) error {
			module, err := moduleOf(cmd, args[0])
			if err != nil {
				return err
			}
			file := ""
			if len(args) > 1 {
				file = args[1]
			}
			trust, err := trusted()
			if err != nil {
				return err
			}
			pr, err := trial.NewProfile(module, trust, func(p *plugins.Plugin) ([]*trial.Case, error) {
				k, err := f.read(p, file, trial.CasesOf(args[0]))
				return []*trial.Case{k}, err
			}, span)
			if err != nil {
				return err
			}
			if folded != "" {
				if err := replaceFile(folded, pr.Folded(byTime)); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(pr)
			}
			return printProfile(cmd, pr)
		},
	}
	f.flags(c)
	c.Flags().DurationVar(&span, "for", time.Second, "`LENGTH` of the run")
	c.Flags().StringVar(&folded, "folded", "", "`FILE` for stacks, a line each")
	c.Flags().BoolVar(&byTime, "time", false, "--folded by ns in place of fuel")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func printProfile(cmd *cobra.Command, pr *trial.Profile) error {
	out := cmd.OutOrStdout()
	rows := float64(max(pr.Rows, 1))
	fmt.Fprintf(out, "%d batches, %d rows; a row: %.1f fuel, %.1f ns while being watched\n\n", pr.Batches, pr.Rows, float64(pr.Fuel)/rows, float64(pr.Ns)/rows)
	share := func(v, of float64) string {
		if of == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f%%", 100*v/of)
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "fuel, own\twith called\ttime, own\twith called\tcalls a batch\t  function")
	for _, f := range pr.Functions {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.1f\t  %s\n", share(float64(f.Fuel), float64(pr.Fuel)), share(float64(f.TotalFuel), float64(pr.Fuel)),
			share(float64(f.Ns), float64(pr.Ns)), share(float64(f.TotalNs), float64(pr.Ns)), float64(f.Calls)/float64(max(pr.Batches, 1)), plain(f.Name))
	}
	return t.Flush()
}

func pluginBenchCommand() *cobra.Command {
	var span time.Duration
	var core int
	var asJSON bool
	c := &cobra.Command{
		Use: "bench DIR|FILE", Short: "ns and fuel a row, in batches of 1 to 1,024 rows", Args: exactly(1),
		Long: `bench measures each unit of a plugin on generated rows, in batches of 1, 16, 256 and 1,024; a parser on those packets of its first
case that it reads. Times are the least of many rounds. Transforms and validators are measured as a feed calls them, with columns
copied, answers checked and rows counted; other kinds with what they are given and what they answer copied and checked: of a type
parse, of a codec encode (which the host decodes again and compares), of an aggregate update, of an index build. "Call alone" is the
plugin's own code. Fuel is what the manifest's fuel_per_row must cover (4,096 a call come on top).

What plugins cost at all, against the same logic in Go: tickwire bench plugin.`,
		Example: "  tickwire plugin bench ./band --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			module, err := moduleOf(cmd, args[0])
			if err != nil {
				return err
			}
			if core >= 0 {
				if err := meter.Pin(core, ""); err != nil {
					return err
				}
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
			cases, err := trial.ReadCases(trial.CasesOf(args[0]))
			if err != nil {
				return err
			}
			costs, err := trial.Bench(p, cases, span)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return json.NewEncoder(out).Encode(costs)
			}
			t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
			fmt.Fprintln(t, "rows\tns a batch\tns a row\tcall alone, a row\tfuel a row\tdeclared\t  unit")
			for _, k := range costs {
				alone := "-" // of a parser that reads none of the packets
				if k.CallNs > 0 {
					alone = fmt.Sprintf("%.2f", k.CallNs)
				}
				fmt.Fprintf(t, "%d\t%.0f\t%.2f\t%s\t%.1f\t%d\t  %s\n", k.Rows, k.BatchNs, k.RowNs, alone, k.FuelRow, k.FuelMost, k.Unit)
			}
			return t.Flush()
		},
	}
	c.Flags().DurationVar(&span, "for", 200*time.Millisecond, "`LENGTH` of each measurement")
	c.Flags().IntVar(&core, "core", -1, "core that the thread is pinned to, -1: none")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}
