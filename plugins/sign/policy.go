package sign

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// What becomes of modules that nobody known has signed.
const (
	Allow  = "allow"
	Refuse = "refuse"
)

// Policy says whose plugins load. In a configuration:
//
//	[plugins]
//	unsigned = "refuse"
//	[[plugins.key]]
//	name = "release"
//	public = "ed25519:…"
//	plugins = ["price-*"]
//
// A module with a broken signature never loads. One that a key of the list has signed loads if the key may sign plugins of its name. One without a
// signature, or with that of a key that nobody listed, loads if unsigned does: anybody can take a signature off, or put one on.
type Policy struct {
	// Unsigned is allow or refuse. The default is refuse when there are keys, else allow.
	Unsigned string `toml:"unsigned" json:"unsigned,omitempty"`
	// Keys are those whose signatures count. The default is none.
	Keys []Key `toml:"key" json:"keys,omitempty"`
	// Grants are what plugins get beside their rows. The default is nothing: no files, no environment.
	Grants []Grant `toml:"grant" json:"grants,omitempty"`

	loaded []ed25519.PublicKey // of Keys, by Validate; nil: that one could not be read
}

// Key is a public key that is trusted.
type Key struct {
	Name    string   `toml:"name" json:"name"`                 // whose it is; it stands in lists and refusals
	Public  string   `toml:"public" json:"public"`             // ed25519:… or the path of a PEM file
	Plugins []string `toml:"plugins" json:"plugins,omitempty"` // names it may sign, with * for any text and ? for a letter. The default is all
}

// Validate checks the policy, loads its keys, and says all that is wrong with it.
func (p *Policy) Validate() error { return errors.Join(p.Faults()...) }

// Faults is Validate with each fault by itself.
func (p *Policy) Faults() (faults []error) {
	p.loaded = make([]ed25519.PublicKey, len(p.Keys))
	if p.Unsigned != "" && p.Unsigned != Allow && p.Unsigned != Refuse {
		faults = append(faults, fmt.Errorf("unsigned %q is neither %s nor %s", p.Unsigned, Allow, Refuse))
	}
	names := map[string]bool{}
	for i := range p.Keys {
		k := &p.Keys[i]
		if k.Name == "" {
			faults = append(faults, fmt.Errorf("key[%d]: name is missing", i))
		} else if names[k.Name] {
			faults = append(faults, fmt.Errorf("key[%d]: a second %q", i, k.Name))
		}
		names[k.Name] = true
		public, err := ReadPublic(k.Public)
		if err != nil {
			faults = append(faults, fmt.Errorf("key[%d] (%s): %w", i, k.Name, err))
		}
		for j := range p.Keys[:i] {
			if err == nil && bytes.Equal(p.loaded[j], public) {
				faults = append(faults, fmt.Errorf("key[%d] (%s): the same key as %s", i, k.Name, p.Keys[j].Name))
			}
		}
		p.loaded[i] = public
		for _, pattern := range k.Plugins {
			if _, err := path.Match(pattern, ""); err != nil {
				faults = append(faults, fmt.Errorf("key[%d] (%s): %q is no pattern of names", i, k.Name, pattern))
			}
		}
	}
	for i := range p.Grants {
		for _, err := range p.Grants[i].faults(p.Keys) {
			faults = append(faults, fmt.Errorf("grant[%d] (%s): %w", i, p.Grants[i].Plugin, err))
		}
	}
	return faults
}

// Verdict is what a policy says of a module.
type Verdict struct {
	Plugin  string `json:"plugin,omitempty"` // its name, if it has a manifest
	State   State  `json:"signature"`
	Key     string `json:"key,omitempty"`    // ed25519:… of a good signature
	Signer  string `json:"signer,omitempty"` // the key's name, if the policy has it
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"` // of either answer
	// Granted says in words what it gets beside its rows: Granted.Lines.
	Granted []string `json:"granted,omitempty"`
}

// Check says whether a module may load, and why: whose it is, and whether it gets what its manifest wants. The policy must have been validated; the zero value
// allows all that is not broken and wants nothing.
func (p *Policy) Check(module []byte) Verdict {
	v := p.trust(module)
	m, err := manifest.Of(module)
	if !v.Allowed || err != nil {
		return v
	}
	granted := p.grants(m.Name, v.Signer)
	v.Granted = granted.Lines()
	if err := granted.lacks(&m.Wants); err != nil {
		v.Allowed, v.Reason = false, err.Error()
	}
	return v
}

// trust says whether a module's signature, or the want of one, lets it load.
func (p *Policy) trust(module []byte) Verdict {
	key, state, why := Verify(module)
	v := Verdict{State: state}
	if state == Broken {
		v.Reason = why.Error()
		return v
	}
	m, err := manifest.Of(module)
	if err != nil {
		v.Reason = err.Error()
		return v
	}
	v.Plugin = m.Name
	signed := "unsigned"
	if state == Good {
		v.Key = Word(key)
		signed = "signed by " + v.Key + ", which is no key of the policy"
		for i, trusted := range p.loaded {
			if k := &p.Keys[i]; bytes.Equal(trusted, key) {
				v.Signer = k.Name
				v.Allowed = k.maySign(m.Name)
				v.Reason = "signed by " + k.Name
				if !v.Allowed {
					v.Reason = fmt.Sprintf("signed by %s, who may not sign %s, only %q", k.Name, m.Name, k.Plugins)
				}
				return v
			}
		}
	}
	v.Allowed = p.Unsigned == Allow || p.Unsigned == "" && len(p.Keys) == 0
	if v.Allowed {
		v.Reason = signed + "; the policy allows unsigned plugins"
	} else {
		v.Reason = signed + "; the policy refuses what no key of its own has signed"
	}
	return v
}

// Err is the refusal as an error, nil if there is none.
func (v Verdict) Err() error {
	if v.Allowed {
		return nil
	}
	name := v.Plugin
	if name == "" {
		name = "the module"
	}
	return fmt.Errorf("policy: %s is refused: %s", name, v.Reason)
}

func (k *Key) maySign(name string) bool {
	for _, pattern := range k.Plugins {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return len(k.Plugins) == 0
}
