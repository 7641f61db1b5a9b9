package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/plugins/registry"
	"github.com/tickwire/tickwire/plugins/sign"
	"github.com/tickwire/tickwire/plugins/store"
)

func pluginCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "plugin", Short: "WebAssembly plugins: writing and testing them, the set of this machine, those of running feeds, signatures, registries",
		Long: `plugin is for those who write plugins (docs/plugin-tools.md), keeps those of this machine (which versions are there, which of each is
enabled, and which was before), and changes those of running feeds.

  tickwire plugin new --lang rust --kind transform band  one to begin from; then build, test, debug, profile, bench, docs
  tickwire plugin keygen release.key                     a key to sign with, once
  tickwire plugin sign band.wasm --key release.key       whose it is
  tickwire plugin push band.wasm oci://host/desk/        where others find it
  tickwire plugin pull oci://host/desk/band@^1 --enable  here, and in use
  tickwire plugin list
  tickwire plugin rollback band                          back to what was in use before
  tickwire plugin reload band --feed totalview           a feed that runs takes what is enabled now
  tickwire plugin status --feed totalview                what its plugins did

Plugins are named NAME or NAME@RANGE: band, band@1.2.0, band@^1.2, band@'>=1.2 <2'. The set is a folder (--dir, plugins.dir of the
configuration), which several processes may change; a change is whole or not there. The configuration's [plugins] says whose
signatures count. plugins/ABI.md says what a plugin is.`,
	}
	c.AddCommand(
		pluginListCommand(), pluginInspectCommand(), pluginInstallCommand(), pluginRemoveCommand(),
		pluginEnableCommand(), pluginDisableCommand(), pluginRollbackCommand(),
		pluginKeygenCommand(), pluginSignCommand(), pluginVerifyCommand(),
		pluginPushCommand(), pluginPullCommand(),
		pluginNewCommand(), pluginBuildCommand(), pluginTestCommand(),
		pluginDebugCommand(), pluginProfileCommand(), pluginBenchCommand(), pluginDocsCommand(),
	)
	c.AddCommand(livePluginCommands()...)
	return c
}

// pluginSet is where a machine's plugins are, and whose are taken.
type pluginSet struct{ dir, config string }

func (p *pluginSet) flags(c *cobra.Command) {
	configFlag(c, &p.config)
	c.Flags().StringVar(&p.dir, "dir", "", "`FOLDER` of installed plugins (default: plugins.dir of the configuration)")
}

// open gives the set and the policy of the configuration.
func (p *pluginSet) open() (*store.Store, *sign.Policy, error) {
	cfg, err := loadConfig(p.config)
	if err != nil {
		return nil, nil, err
	}
	policy, err := cfg.Plugins.Policy()
	if err != nil {
		return nil, nil, usageError{err}
	}
	dir := cfg.Plugins.Dir
	if p.dir != "" {
		dir = p.dir
	}
	return store.Open(dir, store.Options{Policy: policy}), &policy, nil
}

// registryFlags are how a registry is spoken to.
type registryFlags struct {
	user, secretFile, ca string
	plain                bool
	timeout              time.Duration
}

const registryToken = "TICKWIRE_REGISTRY_TOKEN"

func (r *registryFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.user, "user", "", "`NAME` that goes with a password; without it the secret is a token")
	c.Flags().StringVar(&r.secretFile, "secret-file", "", "`FILE` with the password or token in its first line (default: $"+registryToken+")")
	c.Flags().StringVar(&r.ca, "ca", "", "PEM `FILE` of authorities to trust beside the system's")
	c.Flags().BoolVar(&r.plain, "plain-http", false, "OCI registry without TLS; secrets are then sent on the loopback interface only")
	c.Flags().DurationVar(&r.timeout, "timeout", 2*time.Minute, "for the whole transfer")
}

func (r *registryFlags) client() (*registry.Client, error) {
	c := &registry.Client{User: r.user, Secret: registry.Secret(os.Getenv(registryToken)), PlainHTTP: r.plain, Timeout: r.timeout}
	if r.secretFile != "" {
		text, err := os.ReadFile(r.secretFile)
		if err != nil {
			return nil, usageError{err}
		}
		line, _, _ := strings.Cut(string(text), "\n")
		if c.Secret = registry.Secret(strings.TrimSuffix(line, "\r")); c.Secret == "" {
			return nil, usageError{fmt.Errorf("the first line of %s is empty: the password or token belongs there", r.secretFile)}
		}
	}
	if c.User != "" && c.Secret == "" {
		return nil, usageError{errors.New("--user wants a password: --secret-file FILE or $" + registryToken)}
	}
	if r.ca != "" {
		var err error
		if c.CA, err = os.ReadFile(r.ca); err != nil {
			return nil, usageError{err}
		}
	}
	return c, nil
}

// modulePath is the module that an argument names: a file, or the only one in a folder, as plugins/examples has them.
func modulePath(arg string) (string, error) {
	if info, err := os.Stat(arg); err != nil || !info.IsDir() {
		return arg, nil // whoever reads it says what is wrong
	}
	found, err := filepath.Glob(filepath.Join(arg, "*.wasm"))
	if err == nil && len(found) != 1 {
		err = usageError{fmt.Errorf("%s has %d modules (*.wasm), so it does not say which is meant", arg, len(found))}
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

func readModule(arg string) ([]byte, error) {
	path, err := modulePath(arg)
	if err != nil {
		return nil, err
	}
	return store.ReadModule(path)
}

// registryRef parses a reference; one that ends with a slash is a folder, to which the plugin's name is added.
func registryRef(text, name string) (registry.Ref, error) {
	if strings.HasSuffix(text, "/") {
		text += name
	}
	ref, err := registry.ParseRef(text)
	if err != nil {
		return ref, usageError{err}
	}
	return ref, nil
}

func pluginRefs(args []string) (refs []store.Ref, err error) {
	for _, arg := range args {
		ref, err := store.ParseRef(arg)
		if err != nil {
			return nil, usageError{err}
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// plain keeps what a module says of itself from steering a terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// told writes one line, or the value as JSON.
func told(out io.Writer, asJSON bool, value any, format string, args ...any) error {
	if asJSON {
		return json.NewEncoder(out).Encode(value)
	}
	_, err := fmt.Fprintf(out, format+"\n", args...)
	return err
}

func signedBy(v *sign.Verdict) string {
	switch {
	case v == nil:
		return "?"
	case v.State != sign.Good:
		return v.State.String()
	case v.Signer != "":
		return v.Signer
	}
	return v.Key
}
