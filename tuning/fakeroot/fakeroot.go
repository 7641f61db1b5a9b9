// Package fakeroot makes trees of files that stand for machines, from small archives: tests of what reads /proc and /sys.
//
// An archive is text, in the manner of txtar:
//
//	# base: other.txtar                                     files of another archive of the same folder come first
//	-- sys/devices/system/cpu/online --                     a file, and its content up to the next head
//	0-15
//	-- sys/devices/system/cpu/cpu{0-15}/online --           sixteen files; {} in the content is the number
//	1
//	-- sys/class/net/eth2/device --                         a symbolic link
//	-> ../../../devices/pci0000:3a/0000:3b:00.0
//	-- !proc/swaps --                                       a file or folder of the base that is not there
//	-- dev/cpu_dma_latency hex --                           bytes
//	00943577
package fakeroot

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Write puts the machine of an archive of fsys into dir, which is the caller's.
func Write(dir string, fsys fs.FS, name string) error { return write(dir, fsys, name, 0) }

const (
	maxDepth = 8    // of archives on archives
	maxFiles = 4096 // of one head
)

var (
	head   = regexp.MustCompile(`^-- (!?)(\S+)( hex)? --$`)
	braces = regexp.MustCompile(`\{(\d+)-(\d+)\}`)
)

func write(dir string, fsys fs.FS, name string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: more than %d archives on each other", name, maxDepth)
	}
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	var path, content string
	var gone, bytes bool
	flush := func() error {
		if path == "" {
			return nil
		}
		return put(dir, path, content, gone, bytes)
	}
	for line := range strings.Lines(string(text)) {
		if m := head.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			if err := flush(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			path, content, gone, bytes = m[2], "", m[1] != "", m[3] != ""
			continue
		}
		if path != "" {
			content += line
		} else if base, ok := strings.CutPrefix(line, "# base: "); ok {
			if err := write(dir, fsys, strings.TrimSpace(base), depth+1); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func put(dir, path, content string, gone, bytes bool) error {
	if !filepath.IsLocal(path) {
		return fmt.Errorf("%s leaves the tree", path)
	}
	if m := braces.FindStringSubmatchIndex(path); m != nil {
		from, err1 := strconv.Atoi(path[m[2]:m[3]])
		to, err2 := strconv.Atoi(path[m[4]:m[5]])
		if err1 != nil || err2 != nil || to-from > maxFiles {
			return fmt.Errorf("%s: a range that cannot be", path)
		}
		for n := from; n <= to; n++ {
			digits := strconv.Itoa(n)
			if err := put(dir, path[:m[0]]+digits+path[m[1]:], strings.ReplaceAll(content, "{}", digits), gone, bytes); err != nil {
				return err
			}
		}
		return nil
	}
	full := filepath.Join(dir, path)
	if err := os.RemoveAll(full); err != nil || gone {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if to, ok := strings.CutPrefix(content, "-> "); ok {
		return os.Symlink(strings.TrimSpace(to), full)
	}
	data := []byte(content)
	if bytes {
		var err error
		if data, err = hex.DecodeString(strings.Join(strings.Fields(content), "")); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return os.WriteFile(full, data, 0o644)
}
