package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/registry"
)

const registryHelp = `
A REGISTRY is one of

  file:///srv/plugins/band           a folder, which a web server may show
  https://host/path/band             a web server that has such a folder; to push it must take PUT
  oci://host/path/band               an OCI registry; versions are tags, band:1.2.0 is one of them

and @RANGE behind it says which versions are meant. Secrets come from --secret-file or $` + registryToken + `, never from the command line, and
are not sent without TLS, but on the loopback interface.`

func pluginPushCommand() *cobra.Command {
	var reg registryFlags
	var asJSON bool
	c := &cobra.Command{
		Use: "push FILE REGISTRY", Short: "publish a module in a registry", Args: exactly(2),
		Long: `push publishes a module under its manifest's name and version; a REGISTRY that ends with / is completed by the name. A version is
published once: the same bytes again are no error, other bytes are.
` + registryHelp,
		Example: "  tickwire plugin push band.wasm oci://registry.example.com/desk/\n  tickwire plugin push band.wasm file:///srv/plugins/band",
		RunE: func(cmd *cobra.Command, args []string) error {
			module, err := readModule(args[0])
			if err != nil {
				return err
			}
			m, err := manifest.Of(module)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			ref, err := registryRef(args[1], m.Name)
			if err != nil {
				return err
			}
			client, err := reg.client()
			if err != nil {
				return err
			}
			e, err := client.Push(cmd.Context(), ref, module)
			if err != nil {
				return err
			}
			return told(cmd.OutOrStdout(), asJSON, pushed{ref.String(), e}, "%s %s is at %s, sha256 %s", m.Name, e.Version, ref, e.SHA256)
		},
	}
	reg.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

type pushed struct {
	Registry string `json:"registry"`
	registry.Entry
}

func pluginPullCommand() *cobra.Command {
	var set pluginSet
	var reg registryFlags
	var out string
	var enable, needs, asJSON bool
	c := &cobra.Command{
		Use: "pull REGISTRY", Short: "fetch the newest version from a registry, and install it", Args: exactly(1),
		Long: `pull fetches the newest version within the range (one before a release only if there is no release), compares it with the registry's
digest and its manifest, and installs it as install does; with --out it writes it to a file instead. With --needs it fetches what
the plugin needs too, from beside it: of each the newest version that satisfies all.
` + registryHelp,
		Example: "  tickwire plugin pull oci://registry.example.com/desk/band@^1 --enable\n  tickwire plugin pull file:///srv/plugins/band@1.2.0 --out band.wasm",
		RunE: func(cmd *cobra.Command, args []string) error {
			if out != "" && (enable || needs) {
				return usageError{errors.New("--out goes with neither --enable nor --needs: they are for what is installed")}
			}
			ref, err := registryRef(args[0], "")
			if err != nil {
				return err
			}
			client, err := reg.client()
			if err != nil {
				return err
			}
			if out != "" {
				module, e, err := client.Pull(cmd.Context(), ref)
				if err != nil {
					return err
				}
				if err := replaceFile(out, module); err != nil {
					return err
				}
				return told(cmd.OutOrStdout(), asJSON, pushed{ref.String(), e}, "%s %s is in %s, sha256 %s", ref.Name, e.Version, out, e.SHA256)
			}
			refs := []registry.Ref{ref}
			if needs {
				if refs, err = client.Resolve(cmd.Context(), ref); err != nil {
					return err
				}
			}
			s, _, err := set.open()
			if err != nil {
				return err
			}
			var modules [][]byte
			var from []string
			for _, ref := range refs {
				module, _, err := client.Pull(cmd.Context(), ref)
				if err != nil {
					return err
				}
				modules, from = append(modules, module), append(from, ref.String())
			}
			return installed(cmd.OutOrStdout(), s, modules, from, enable, asJSON)
		},
	}
	set.flags(c)
	reg.flags(c)
	c.Flags().StringVarP(&out, "out", "o", "", "write the module to `FILE`, and install nothing")
	c.Flags().BoolVar(&needs, "needs", false, "and what it needs, from the same place")
	c.Flags().BoolVar(&enable, "enable", false, "and switch it on")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}
