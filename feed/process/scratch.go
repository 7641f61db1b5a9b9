package process

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ClearDead removes the folders under parent whose names are prefix, a process number, and what may follow after a
// dash, of processes that are gone: what a killed one could not remove itself. Folders of the living stay, and those of
// other users, which are not ours to remove.
func ClearDead(parent, prefix string) {
	old, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return // the pattern: no prefix of ours has such characters
	}
	for _, dir := range old {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		pid, err := strconv.Atoi(number)
		if err == nil && pid > 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
}
