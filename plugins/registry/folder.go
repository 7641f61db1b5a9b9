package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// folder is a plugin's place in a folder, which several machines may share and a web server may show:
//
//	<root>/price-band/1.2.0/price-band.wasm   linked into place: it is never half there, and never another
//	<root>/price-band/index.json              written anew for each version, renamed into place
//	<root>/price-band/.lock                   flock of who publishes
type folder struct{ root, name string }

func (f folder) dir() string { return filepath.Join(f.root, f.name) }

func (f folder) path(version string) string {
	return filepath.Join(f.dir(), version, f.name+".wasm")
}

func (f folder) list(context.Context) ([]Entry, error) {
	x, err := f.index()
	if err != nil {
		return nil, err
	}
	return x.Versions, nil
}

func (f folder) index() (*index, error) {
	text, err := readBounded(filepath.Join(f.dir(), indexName), mostIndexBytes)
	if err != nil {
		return nil, err
	}
	return parseIndex(text, f.name)
}

func (f folder) fetch(_ context.Context, e Entry) ([]byte, string, error) {
	module, err := readBounded(f.path(e.Version), manifest.MostModuleBytes)
	return module, e.SHA256, err
}

func (f folder) needs(_ context.Context, e Entry) ([]manifest.Requirement, error) {
	return e.Requires, nil
}

func (f folder) publish(ctx context.Context, e Entry, module []byte) error {
	if err := os.MkdirAll(filepath.Dir(f.path(e.Version)), 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(f.dir(), ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	x, err := f.index()
	if errors.Is(err, ErrNotFound) {
		x = &index{Format: indexFormat, Name: f.name}
	} else if err != nil {
		return err
	}
	if had, ok := x.find(e.Version); ok && had.SHA256 != e.SHA256 {
		return ErrOtherBytes
	}
	switch had, err := readBounded(f.path(e.Version), manifest.MostModuleBytes); {
	case err == nil && !bytes.Equal(had, module):
		return ErrOtherBytes
	case errors.Is(err, ErrNotFound):
		if err := f.link(e.Version, module); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	if !x.add(e) {
		return nil
	}
	temp := filepath.Join(f.dir(), "."+indexName+".tmp")
	if err := writeSynced(temp, x.text()); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(f.dir(), indexName)); err != nil {
		return err
	}
	return errors.Join(syncDir(f.dir()), syncDir(f.root))
}

// link puts a module into its place in one step. A link does not replace what is there, which a rename would, if somebody has no lock.
func (f folder) link(version string, module []byte) error {
	path := f.path(version)
	temp := filepath.Join(filepath.Dir(path), "."+f.name+".tmp")
	if err := writeSynced(temp, module); err != nil {
		return err
	}
	err := os.Link(temp, path)
	if errors.Is(err, fs.ErrExist) {
		err = ErrOtherBytes
	}
	return errors.Join(err, os.Remove(temp), syncDir(filepath.Dir(path)))
}

// lock waits for the file's lock until ctx ends. Processes that end, however they do, free it.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("lock: %w", errors.Join(err, f.Close()))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another process is publishing this plugin: %w", errors.Join(ctx.Err(), f.Close()))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// readBounded reads a file of at most so many bytes. One that is not there is ErrNotFound.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %w", path, ErrNotFound)
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, most, path)
}

// readAll reads to the end, and refuses more than most bytes.
func readAll(r io.Reader, most int64, what string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	case int64(len(text)) > most:
		return nil, fmt.Errorf("%s has more than the %d bytes that it may have", what, most)
	}
	return text, nil
}

func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
