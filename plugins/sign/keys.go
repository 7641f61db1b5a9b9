package sign

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Keys in files are PEM: private ones PKCS #8, public ones PKIX, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them. In a
// configuration a public key is one word: ed25519: and its 32 bytes in base64.
const (
	pemPrivate = "PRIVATE KEY"
	pemPublic  = "PUBLIC KEY"
	wordPrefix = "ed25519:"

	mostKeyFile = 64 << 10 // bytes of a file that may be a key
)

// NewKey makes a key pair of the system's random numbers.
func NewKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return key, nil
}

// Public is the key that others may know.
func Public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// Word is a public key as a configuration names it.
func Word(key ed25519.PublicKey) string { return wordPrefix + base64.StdEncoding.EncodeToString(key) }

// WriteKey writes a private key to path, for its owner only, and the public one to path.pub. It overwrites neither: a lost key signs nothing any more.
func WriteKey(path string, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	if _, err := os.Lstat(path + ".pub"); err == nil {
		return fmt.Errorf("sign: %s.pub is there already; it is not overwritten", path)
	}
	if err := writeNew(path, 0o600, pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der})); err != nil {
		return err
	}
	if err := writeNew(path+".pub", 0o644, pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: public})); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func writeNew(path string, mode os.FileMode, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("sign: %s is there already; it is not overwritten", path)
	} else if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sign: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// ReadKey reads a private key. One that others than its owner may read or write is refused: it is theirs too.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	defer f.Close()
	info, err := f.Stat() // of what is open, not of what the name is by then
	switch {
	case err != nil:
		return nil, fmt.Errorf("sign: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("sign: %s is no file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("sign: %s may be used by others than its owner (mode %04o): chmod 600 it, or make a new one if it has been read", path, info.Mode().Perm())
	}
	der, err := readPEM(f, path, pemPrivate)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if key, ok := parsed.(ed25519.PrivateKey); ok && err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("sign: %s holds no ed25519 key", path)
}

// ReadPublic reads a public key: a word ed25519:…, or the path of a PEM file.
func ReadPublic(text string) (ed25519.PublicKey, error) {
	if word, ok := strings.CutPrefix(text, wordPrefix); ok {
		key, err := base64.StdEncoding.Strict().DecodeString(word)
		if err != nil || len(key) != ed25519.PublicKeySize || strings.ContainsAny(word, "\r\n") { // which the decoder passes over
			return nil, fmt.Errorf("sign: %q is no public key: want ed25519: and 32 bytes in base64", text)
		}
		return key, nil
	}
	f, err := os.Open(text)
	if err != nil {
		return nil, fmt.Errorf("sign: %q is no key such as ed25519:… and no file of one: %w", text, err)
	}
	defer f.Close()
	der, err := readPEM(f, text, pemPublic)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if key, ok := parsed.(ed25519.PublicKey); ok && err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("sign: %s holds no ed25519 key", text)
}

// readPEM reads one block of a type. Its errors do not show what the file holds.
func readPEM(r io.Reader, path, kind string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, mostKeyFile))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, fmt.Errorf("sign: %s is no PEM file", path)
	case block.Type != kind && block.Type == pemPrivate:
		return nil, fmt.Errorf("sign: %s is a private key where a public one is wanted: name the .pub file", path)
	case block.Type != kind && block.Type == pemPublic:
		return nil, fmt.Errorf("sign: %s is a public key: only a private one signs", path)
	case block.Type != kind:
		return nil, fmt.Errorf("sign: %s holds %q, want %q", path, block.Type, kind)
	}
	return block.Bytes, nil
}
