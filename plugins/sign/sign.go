// Package sign says who vouches for a plugin: signatures in modules, keys in files, and a policy of whose signatures load.
//
//	module ── sections ──┬── tickwire.signature.v1 ──┐
//	└─── SHA-512 of these┘   32 B public key         │
//	          bytes ─► ed25519ph ─► 64 B signature   └─ nothing behind it
//
// A signature tells whose a module is, no more: it can be taken off, and another put on. What that means is the policy's: see Policy.
package sign

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// Of the section: plugins/ABI.md, Signature.
const (
	SectionName = "tickwire.signature.v1"
	Context     = "tickwire plugin v1"

	bodyBytes = ed25519.PublicKeySize + ed25519.SignatureSize
)

// State of a module's signature.
type State uint8

// States.
const (
	Unsigned State = iota // there is none
	Good                  // it is that of the key it names, over these bytes. Whether the key counts is the policy's
	Broken                // it is not: the module was changed, or damaged
)

func (s State) String() string { return [...]string{"unsigned", "good", "broken"}[s] }

// MarshalText is String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Sign gives the module with a signature of key in place of the one it may have, which need not be good. A module without a manifest is not signed: what
// loads is named by it. The module itself is left as it is.
func Sign(module []byte, key ed25519.PrivateKey) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("sign: a key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	bare, err := Strip(module)
	if err != nil {
		return nil, err
	}
	if _, err := manifest.Of(bare); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	sum := sha512.Sum512(bare)
	signature, err := key.Sign(nil, sum[:], &ed25519.Options{Hash: crypto.SHA512, Context: Context})
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return wasm.AppendCustom(bare, SectionName, append(bytes.Clone(key.Public().(ed25519.PublicKey)), signature...)), nil
}

// Strip gives a copy of the module without signatures.
func Strip(module []byte) ([]byte, error) {
	bare, err := wasm.WithoutCustom(module, SectionName)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return bare, nil
}

// Verify looks at a module's signature. The key is the one that the signature names, when it is good; why says what is wrong with a broken one. A file
// that is no module is broken too.
func Verify(module []byte) (key ed25519.PublicKey, state State, why error) {
	var at wasm.Section
	found := false
	for s, err := range wasm.Sections(module) {
		switch {
		case err != nil:
			return nil, Broken, fmt.Errorf("sign: %w", err)
		case found && s.Name == SectionName:
			return nil, Broken, fmt.Errorf("sign: offset %d: a second signature", s.At)
		case found:
			return nil, Broken, fmt.Errorf("sign: offset %d: a section behind the signature, which it does not cover", s.At)
		case s.ID == 0 && s.Name == SectionName:
			at, found = s, true
		}
	}
	if !found {
		return nil, Unsigned, nil
	}
	if len(at.Body) != bodyBytes {
		return nil, Broken, fmt.Errorf("sign: offset %d: a signature of %d bytes, want %d", at.At, len(at.Body), bodyBytes)
	}
	// The signature cannot cover its own section: only one way to write that is taken, or a signed module would have several forms.
	if !bytes.Equal(module[at.At:at.End], wasm.AppendCustom(nil, SectionName, at.Body)) {
		return nil, Broken, fmt.Errorf("sign: offset %d: the signature's section is not written in the fewest bytes", at.At)
	}
	public := ed25519.PublicKey(bytes.Clone(at.Body[:ed25519.PublicKeySize]))
	sum := sha512.Sum512(module[:at.At])
	if err := ed25519.VerifyWithOptions(public, sum[:], at.Body[ed25519.PublicKeySize:], &ed25519.Options{Hash: crypto.SHA512, Context: Context}); err != nil {
		return nil, Broken, errors.New("sign: the signature is not that of these bytes: the module was changed after it was signed, or damaged")
	}
	return public, Good, nil
}
