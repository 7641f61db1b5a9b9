package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// temporaryOf is what a file is called until it is whole. No daemon reads that ending.
func temporaryOf(name string) string { return name + ".ticktune-new" }

// replace makes a file of the machine whole in one step: after a crash it is the old one or the new one.
func (m *machine) replace(name, text string, mode os.FileMode) error {
	full := m.dir(name)
	if info, err := os.Lstat(full); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no ordinary file", name)
		}
		mode = info.Mode().Perm()
	}
	temporary := m.dir(temporaryOf(name))
	_ = os.Remove(temporary) // of a run that was killed: it may have any mode
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = m.o.fault("rename", nil)
	}
	if err == nil {
		err = os.Rename(temporary, full)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDir(filepath.Dir(full))
}
