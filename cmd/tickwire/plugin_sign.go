package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
)

func pluginKeygenCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "keygen FILE", Short: "make a key to sign plugins with", Args: exactly(1),
		Long: `keygen makes an ed25519 key and writes it to FILE, which only its owner may read, and its public half to FILE.pub; neither is
overwritten. Both are PEM as openssl has it. It prints the public key as one word, for [[plugins.key]] of a configuration.`,
		Example: "  tickwire plugin keygen release.key",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := sign.NewKey()
			if err != nil {
				return err
			}
			if err := sign.WriteKey(args[0], key); err != nil {
				return err
			}
			word := sign.Word(sign.Public(key))
			return told(cmd.OutOrStdout(), asJSON, map[string]string{"key": args[0], "public": word}, "%s", word)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func pluginSignCommand() *cobra.Command {
	var keyPath, out string
	var asJSON bool
	c := &cobra.Command{
		Use: "sign FILE --key KEY", Short: "sign a module, in place of the signature it may have", Args: exactly(1),
		Long: `sign appends a signature of all that the module holds, its manifest too (plugins/ABI.md, Signature). The key file must be readable
by its owner only. Without --out the file itself is replaced, in one step.`,
		Example: "  tickwire plugin sign band.wasm --key release.key",
		RunE: func(cmd *cobra.Command, args []string) error {
			if keyPath == "" {
				return usageError{errors.New("--key is missing: the private key to sign with (tickwire plugin keygen makes one)")}
			}
			key, err := sign.ReadKey(keyPath)
			if err != nil {
				return err
			}
			module, err := readModule(args[0])
			if err != nil {
				return err
			}
			signed, err := sign.Sign(module, key)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if out == "" {
				out, err = modulePath(args[0])
				if err != nil {
					return err
				}
			}
			if err := replaceFile(out, signed); err != nil {
				return err
			}
			m, err := manifest.Of(signed)
			if err != nil {
				return err
			}
			word := sign.Word(sign.Public(key))
			return told(cmd.OutOrStdout(), asJSON, map[string]string{"name": m.Name, "version": m.Version, "file": out, "key": word}, "%s %s is signed by %s", m.Name, m.Version, word)
		},
	}
	c.Flags().StringVar(&keyPath, "key", "", "`FILE` of the private key")
	c.Flags().StringVarP(&out, "out", "o", "", "`FILE` for the signed module (default: the module itself)")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

// replaceFile writes a file in one step: who reads it meanwhile sees the old or the new one.
func replaceFile(path string, text []byte) error {
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func pluginVerifyCommand() *cobra.Command {
	var set pluginSet
	var keys []string
	var asJSON bool
	c := &cobra.Command{
		Use: "verify FILE…", Short: "check signatures: exit 0 only if each is good and the policy allows it", Args: atLeast(1),
		Long: `verify checks each module's signature, and whether the policy of the configuration allows it. With --key only signatures of those keys
count, whatever the configuration says. It exits 1 if a module is unsigned, changed since it was signed, or refused.`,
		Example: "  tickwire plugin verify band.wasm --key release.key.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, err := verifyPolicy(&set, keys)
			if err != nil {
				return err
			}
			all := []verified{}
			good := true
			for _, path := range args {
				module, err := readModule(path)
				if err != nil {
					return err
				}
				v := verified{path, policy.Check(module)}
				good = good && v.Allowed && v.State == sign.Good
				all = append(all, v)
			}
			out := cmd.OutOrStdout()
			if asJSON {
				if err := json.NewEncoder(out).Encode(all); err != nil {
					return err
				}
			} else {
				for _, v := range all {
					word := "allowed"
					if !v.Allowed {
						word = "REFUSED"
					}
					fmt.Fprintf(out, "%s: signature %s, %s: %s\n", v.File, v.State, word, plain(v.Reason))
				}
			}
			if !good {
				return errReported
			}
			return nil
		},
	}
	configFlag(c, &set.config)
	c.Flags().StringArrayVar(&keys, "key", nil, "public `KEY` that counts: ed25519:… or a PEM file; may come several times")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

type verified struct {
	File string `json:"file"`
	sign.Verdict
}

// verifyPolicy is that of the keys, or of the configuration if there are none.
func verifyPolicy(set *pluginSet, keys []string) (sign.Policy, error) {
	if len(keys) == 0 {
		cfg, err := loadConfig(set.config)
		if err != nil {
			return sign.Policy{}, err
		}
		return cfg.Plugins.Policy()
	}
	p := sign.Policy{Unsigned: sign.Refuse}
	for _, key := range keys {
		p.Keys = append(p.Keys, sign.Key{Name: key, Public: key})
	}
	if err := p.Validate(); err != nil {
		return p, usageError{err}
	}
	return p, nil
}
