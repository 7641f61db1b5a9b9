package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
	"github.com/tickwire/tickwire/plugins/store"
)

func pluginListCommand() *cobra.Command {
	var set pluginSet
	var reg registryFlags
	var asJSON bool
	c := &cobra.Command{
		Use: "list [REGISTRY]", Short: "installed plugins and what state they are in, or the versions in a registry", Args: atMost(1),
		Long: `list reads every module of the set and compares it with what was installed. A version is enabled (in use), disabled (the one that
was chosen, switched off), installed, or found: a file that was put there by hand, which enabling takes into the set. It exits 1
when an enabled plugin cannot be used: its file is gone, another one, or the policy refuses it.

With file:///folder/name, https://host/path/name or oci://host/path/name (and @RANGE) it lists what can be pulled from there.`,
		Example: "  tickwire plugin list\n  tickwire plugin list oci://registry.example.com/desk/band@^1",
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) > 0 {
				return listRegistry(cmd, &reg, args[0], asJSON)
			}
			s, policy, err := set.open()
			if err != nil {
				return err
			}
			entries, err := s.List()
			if err != nil {
				return err
			}
			rows := []pluginRow{}
			bad := false
			for _, e := range entries {
				row := pluginRow{Entry: e}
				if module, err := store.ReadModule(e.Path); err == nil {
					verdict := policy.Check(module)
					row.Policy = &verdict
					if e.Err == nil && !row.Policy.Allowed {
						row.Problem = "refused: " + row.Policy.Reason
					}
				}
				bad = bad || row.Problem != "" && e.State == store.Enabled
				rows = append(rows, row)
			}
			if asJSON {
				err = json.NewEncoder(out).Encode(rows)
			} else {
				err = printPlugins(out, rows)
			}
			if err == nil && bad {
				return errReported
			}
			return err
		},
	}
	set.flags(c)
	reg.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

// pluginRow is a version with what the policy says of it.
type pluginRow struct {
	store.Entry
	Policy *sign.Verdict `json:"policy,omitempty"` // missing with the file
}

func printPlugins(out io.Writer, rows []pluginRow) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, "no plugin is installed; `tickwire plugin install FILE` puts one here")
		return err
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "PLUGIN\tVERSION\tSTATE\tBYTES\tSIGNED BY\tPROBLEM")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", r.Name, r.Version, r.State, r.Bytes, signedBy(r.Policy), plain(r.Problem))
	}
	return t.Flush()
}

func listRegistry(cmd *cobra.Command, reg *registryFlags, text string, asJSON bool) error {
	ref, err := registryRef(text, "")
	if err != nil {
		return err
	}
	client, err := reg.client()
	if err != nil {
		return err
	}
	entries, err := client.List(cmd.Context(), ref)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if asJSON {
		return json.NewEncoder(out).Encode(entries)
	}
	for _, e := range entries {
		fmt.Fprintln(out, e.Version)
	}
	return nil
}

func pluginInspectCommand() *cobra.Command {
	var set pluginSet
	var asJSON bool
	c := &cobra.Command{
		Use: "inspect FILE|NAME[@RANGE]", Short: "what a plugin says of itself, and what is known of it", Args: exactly(1),
		Long: `inspect shows a module's manifest (what it reads and writes, parameters, limits, what it needs), its digest, who signed it, and
whether the policy allows it and which files and variables it grants it. What has a slash or ends with .wasm is a file, or a folder with one module in it; anything else
is an installed plugin, the enabled version if no range says otherwise.`,
		Example: "  tickwire plugin inspect ./band.wasm\n  tickwire plugin inspect band@1.2.0 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, policy, err := set.open()
			if err != nil {
				return err
			}
			e := store.Entry{Path: args[0]}
			if !strings.Contains(args[0], "/") && !strings.HasSuffix(args[0], ".wasm") {
				refs, err := pluginRefs(args)
				if err != nil {
					return err
				}
				if e, err = s.Get(refs[0].Name, refs[0].Range); err != nil {
					return err
				}
				if e.Err != nil {
					return fmt.Errorf("plugins: %s %s: %w", e.Name, e.Version, e.Err)
				}
			} else if e.Path, err = modulePath(args[0]); err != nil {
				return err
			}
			module, err := store.ReadModule(e.Path)
			if err != nil {
				return err
			}
			m, err := manifest.Of(module)
			if err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
			e.Name, e.Version, e.Bytes, e.SHA256, e.Manifest = m.Name, m.Version, int64(len(module)), store.Digest(module), m
			verdict := policy.Check(module)
			row := pluginRow{Entry: e, Policy: &verdict}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					pluginRow
					Manifest *manifest.Manifest `json:"manifest"`
				}{row, m})
			}
			return printManifest(cmd.OutOrStdout(), &row)
		},
	}
	set.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func printManifest(out io.Writer, r *pluginRow) error {
	m := r.Manifest
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", key, plain(value))
		}
	}
	line("plugin", m.Name+" "+m.Version)
	line("", m.Description)
	line("author", m.Author)
	line("license", m.License)
	line("file", r.Path)
	line("state", string(r.State))
	line("sha256", r.SHA256)
	line("bytes", fmt.Sprint(r.Bytes))
	line("signature", signedBy(r.Policy))
	if r.Policy.Allowed {
		line("policy", "allowed: "+r.Policy.Reason)
	} else {
		line("policy", "REFUSED: "+r.Policy.Reason)
	}
	for i := range m.Kinds {
		line(string(m.Kinds[i].Kind), unitText(&m.Kinds[i]))
	}
	for _, p := range m.Params {
		text := p.Name + " " + p.Type
		if p.Default != nil {
			text += fmt.Sprintf(" = %v", p.Default)
		}
		if p.Min != nil {
			text += fmt.Sprintf(", at least %v", *p.Min)
		}
		if p.Max != nil {
			text += fmt.Sprintf(", at most %v", *p.Max)
		}
		if p.Description != "" {
			text += ": " + p.Description
		}
		line("parameter", text)
	}
	for _, n := range m.Requires {
		line("needs", n.Name+" "+n.Version)
	}
	line("limits", fmt.Sprintf("%d rows a call, %d KiB of memory, %d fuel a row", m.Limits.MaxRows, m.Limits.MemoryPages*64, m.Limits.FuelPerRow))
	line("on a trap", string(m.OnTrap))
	if m.WASI {
		line("imports", "WASI, as stubs")
		for _, text := range r.Policy.Granted {
			line("granted", text)
		}
		if len(r.Policy.Granted) == 0 {
			line("granted", "no files, no environment")
		}
	}
	for _, d := range m.Wants.Dirs {
		how := ""
		if d.Write {
			how = ", to write to"
		}
		line("wants", "folder "+d.At+how)
	}
	for _, name := range m.Wants.Env {
		line("wants", "environment variable "+name)
	}
	return t.Flush()
}

// unitText is a unit in a line: its name and signature, what it reads and writes.
func unitText(u *manifest.Unit) string {
	var parts []string
	types := func(all []manifest.Type) string {
		var names []string
		for _, t := range all {
			names = append(names, t.String())
		}
		return strings.Join(names, ", ")
	}
	switch u.Kind {
	case manifest.Function, manifest.Aggregate:
		parts = append(parts, fmt.Sprintf("%s(%s) %s", u.Name, types(u.Args), u.Returns))
	case manifest.TypeKind:
		parts = append(parts, u.Name+" over "+u.Base.String())
	case manifest.Codec, manifest.Index:
		parts = append(parts, u.Name+" of "+u.Type.String())
	default:
		if u.Name != "" {
			parts = append(parts, u.Name)
		}
	}
	if len(u.Reads) > 0 {
		parts = append(parts, "reads "+strings.Join(u.Reads, ", "))
	}
	if len(u.Writes) > 0 {
		parts = append(parts, "writes "+strings.Join(u.Writes, ", "))
	}
	for _, c := range u.Custom {
		parts = append(parts, "adds "+c.Name+" "+c.Type.String())
	}
	return strings.Join(parts, "; ")
}

func pluginInstallCommand() *cobra.Command {
	var set pluginSet
	var enable, asJSON bool
	c := &cobra.Command{
		Use: "install FILE…", Short: "put modules into the set", Args: atLeast(1),
		Long: `install copies modules into the set, under the names and versions of their manifests, switched off. A version never changes: the same
file again is no error, another file is. The policy must allow the module. A folder stands for the one module in it. With --enable they
are switched on together.`,
		Example: "  tickwire plugin install band.wasm --enable",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, _, err := set.open()
			if err != nil {
				return err
			}
			var modules [][]byte
			for _, path := range args {
				module, err := readModule(path)
				if err != nil {
					return err
				}
				modules = append(modules, module)
			}
			return installed(cmd.OutOrStdout(), s, modules, args, enable, asJSON)
		},
	}
	set.flags(c)
	c.Flags().BoolVar(&enable, "enable", false, "and switch them on")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

// installed puts modules, which came from somewhere, into the set.
func installed(out io.Writer, s *store.Store, modules [][]byte, from []string, enable, asJSON bool) error {
	entries := []store.Entry{}
	var refs []store.Ref
	for i, module := range modules {
		e, err := s.Install(module)
		if err != nil {
			return fmt.Errorf("%s: %w", from[i], err)
		}
		entries = append(entries, e)
		refs = append(refs, store.Ref{Name: e.Name, Range: e.Version})
	}
	if enable {
		var err error
		if entries, err = s.Enable(refs...); err != nil {
			return fmt.Errorf("installed, but not enabled: %w", err)
		}
	}
	return printEntries(out, entries, asJSON)
}

func printEntries(out io.Writer, entries []store.Entry, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(entries)
	}
	for _, e := range entries {
		fmt.Fprintf(out, "%s %s is %s\n", e.Name, e.Version, e.State)
	}
	return nil
}

func pluginRemoveCommand() *cobra.Command {
	var set pluginSet
	c := &cobra.Command{
		Use: "remove NAME[@VERSION]", Short: "take a version out of the set, or all of a plugin", Args: exactly(1),
		Long: `remove deletes modules from the set: one version, or all of a plugin, with their compiled code. What is enabled is not removed: disable it first. Other
versions than those that were removed can still be gone back to.`,
		Example: "  tickwire plugin remove band@1.1.0",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, version, one := strings.Cut(args[0], "@")
			if !manifest.ValidName(name) || one && !manifest.ValidVersion(version) {
				return usageError{fmt.Errorf("%q is not NAME or NAME@VERSION, a version such as 1.2.0", args[0])}
			}
			s, _, err := set.open()
			if err != nil {
				return err
			}
			before, err := s.List()
			if err != nil {
				return err
			}
			if err := s.Remove(name, version); err != nil {
				return err
			}
			if err := set.uncache(before, name, version); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "tickwire: its compiled code stays in the cache: %v\n", err) // until it was unused for a month
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), args[0], "is removed")
			return err
		},
	}
	set.flags(c)
	return c
}

// uncache takes compiled code of versions that were removed out of the cache, those whose bytes no other entry has.
func (p *pluginSet) uncache(before []store.Entry, name, version string) error {
	cfg, err := loadConfig(p.config)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range before {
		gone := func(e store.Entry) bool { return e.Name == name && (version == "" || e.Version == version) }
		stays := func(o store.Entry) bool { return o.SHA256 == e.SHA256 && !gone(o) }
		if gone(e) && e.SHA256 != "" && !slices.ContainsFunc(before, stays) {
			errs = append(errs, plugins.Uncache(cfg.Plugins.CacheDir, e.SHA256))
		}
	}
	return errors.Join(errs...)
}

func pluginEnableCommand() *cobra.Command {
	var set pluginSet
	var asJSON bool
	c := &cobra.Command{
		Use: "enable NAME[@RANGE]…", Short: "switch plugins on, or over to another version", Args: atLeast(1),
		Long: `enable makes a version the one in use: with a range the newest installed within it, without one that which was chosen last, or the
newest. What the plugin needs must be enabled too, and what needs it must still find the version it needs; plugins that depend on
one another are named together, and change together or not at all.`,
		Example: "  tickwire plugin enable band@^1\n  tickwire plugin enable band@2.0.0 symbol-map@2.0.0",
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := pluginRefs(args)
			if err != nil {
				return err
			}
			s, _, err := set.open()
			if err != nil {
				return err
			}
			entries, err := s.Enable(refs...)
			if err != nil {
				return err
			}
			return printEntries(cmd.OutOrStdout(), entries, asJSON)
		},
	}
	set.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func pluginDisableCommand() *cobra.Command {
	var set pluginSet
	c := &cobra.Command{
		Use: "disable NAME…", Short: "switch plugins off", Args: atLeast(1),
		Long: `disable switches plugins off, all that are named or none. Their versions stay installed, and enable without a range switches the same
ones on again. What another enabled plugin needs is not switched off without it.`,
		Example: "  tickwire plugin disable band",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, _, err := set.open()
			if err != nil {
				return err
			}
			if err := s.Disable(args...); err != nil {
				return err
			}
			for _, name := range args {
				fmt.Fprintln(cmd.OutOrStdout(), name, "is disabled")
			}
			return nil
		},
	}
	set.flags(c)
	return c
}

func pluginRollbackCommand() *cobra.Command {
	var set pluginSet
	var asJSON bool
	var feed string
	c := &cobra.Command{
		Use: "rollback NAME", Short: "go back to the version that was in use before", Args: exactly(1),
		Long: `rollback enables the version that was in use before the present one; again, the one before that, up to 16 of them. Versions that are
gone or that the policy refuses by now are passed over, and named.

With --feed it is that running feed which goes back, to the version that its rows passed before the latest reload; the set stays as it is.`,
		Example: "  tickwire plugin rollback band\n  tickwire plugin rollback band --feed totalview",
		RunE: func(cmd *cobra.Command, args []string) error {
			if feed != "" {
				live := liveFeed{set.config, asJSON}
				return live.change(cmd, feed, "rollback", lifecycle.Request{Name: args[0]})
			}
			s, _, err := set.open()
			if err != nil {
				return err
			}
			from, to, skipped, err := s.Rollback(args[0])
			if err != nil {
				return err
			}
			for _, why := range skipped {
				fmt.Fprintln(cmd.ErrOrStderr(), "tickwire: passed over:", why)
			}
			return told(cmd.OutOrStdout(), asJSON, map[string]any{"name": args[0], "from": from, "to": to, "skipped": skipped}, "%s: from %s back to %s", args[0], from, to)
		},
	}
	set.flags(c)
	c.Flags().StringVar(&feed, "feed", "", "a running feed of the configuration, in the place of the set")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}
