package plugins

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/tickwire/tickwire/plugins/sign"
)

// Folders that a policy grants (sign.Grant), as WASI's files. What is not below one of them cannot be named: os.Root opens a path step by step, and refuses the one
// that leaves it, by ".." or by a symbolic link, whatever is renamed meanwhile. Only plain files and folders are opened: a pipe could wait for ever.
//
//	guest's path ─► descriptor of a granted folder + rest ─► os.Root ─► file
//
// A disk may take any time, so on a lane files are to be had only while the instance starts, which no lane waits for.
const (
	mostFiles     = 64        // open at once by an instance, the granted folders among them
	mostEntries   = 1 << 14   // of a folder that is listed
	mostListed    = 1 << 16   // of all that are listed at once by an instance
	mostPath      = 4096      // bytes
	fileFuel      = 4096      // of a call that asks the kernel: some microseconds
	stepFuel      = 1024      // of each further folder in a path, which is opened by itself
	fileFuelBytes = 16        // and one more for so many bytes
	firstFile     = 3         // behind standard input and outputs
	direntBytes   = 24        // of an entry, its name behind it
	statBytes     = 64        // of a filestat
	allRights     = 1<<30 - 1 // fd_fdstat_get's: what a descriptor may do is checked call by call
)

// Flags of path_open and of descriptors.
const (
	openCreate    = 1
	openDirectory = 2
	openExclusive = 4
	openTruncate  = 8

	fdAppend      = 1
	rightWrite    = 1 << 6
	followSymlink = 1
)

// Kinds of file.
const (
	fileOther   = 0
	fileFolder  = 3
	filePlain   = 4
	fileSymlink = 7
)

// file is what a descriptor stands for.
type file struct {
	root    *os.Root      // of a folder, nil: a plain file
	at      string        // of a granted folder: what the guest calls it. "": one below it
	write   bool          // it may be changed, and what is below it
	appends bool          // fdAppend
	f       *os.File      // of a plain file
	entries []fs.DirEntry // of a folder that is being listed
}

func (f *file) close() error {
	if f.root != nil {
		return f.root.Close()
	}
	return f.f.Close()
}

// grant opens what the policy grants.
func (i *Instance) grant(g *sign.Granted) error {
	for _, d := range g.Dirs {
		root, err := os.OpenRoot(d.Path)
		if err != nil {
			return fmt.Errorf("folder %s, which the policy grants: %w", d.At, err)
		}
		i.files = append(i.files, &file{root: root, at: d.At, write: d.Write})
	}
	return nil
}

// closeFiles closes all that is open.
func (i *Instance) closeFiles() error {
	var errs []error
	for _, f := range i.files {
		if f != nil {
			errs = append(errs, f.close())
		}
	}
	i.files = nil
	return errors.Join(errs...)
}

// file of a descriptor, nil: it stands for none.
func (i *Instance) file(fd uint64) *file {
	if k := int(uint32(fd)) - firstFile; k >= 0 && k < len(i.files) {
		return i.files[k]
	}
	return nil
}

// enter gives a file a descriptor, the least that is free. false: there is none.
func (i *Instance) enter(f *file) (fd uint32, ok bool) {
	for k, have := range i.files {
		if have == nil {
			i.files[k] = f
			return uint32(k + firstFile), true
		}
	}
	if len(i.files) >= mostFiles {
		return 0, false
	}
	i.files = append(i.files, f)
	return uint32(len(i.files) - 1 + firstFile), true
}

// mayWait says that a call may ask a disk.
func (i *Instance) mayWait() bool { return !i.env.Lane || !i.started }

// errno is an error as WASI has it. What os.Root refuses has no number: it leaves the folder.
func errno(err error) uint64 {
	switch {
	case err == nil:
		return wasiOK
	case errors.Is(err, fs.ErrNotExist):
		return wasiNoEnt
	case errors.Is(err, fs.ErrExist):
		return wasiExist
	case errors.Is(err, fs.ErrPermission):
		return wasiAcces
	}
	var no syscall.Errno
	if !errors.As(err, &no) {
		return wasiNotCapable
	}
	for _, e := range [...]struct {
		here syscall.Errno
		wasi uint64
	}{
		{syscall.EISDIR, wasiIsDir}, {syscall.ENOTDIR, wasiNotDir}, {syscall.ELOOP, wasiLoop}, {syscall.ENOTEMPTY, wasiNotEmpty}, {syscall.EINVAL, wasiInval},
		{syscall.ENAMETOOLONG, wasiNameTooLong}, {syscall.ENOSPC, wasiNoSpc}, {syscall.EDQUOT, wasiNoSpc}, {syscall.EFBIG, wasiNoSpc}, {syscall.EROFS, wasiNotCapable},
		{syscall.EXDEV, wasiNotCapable}, {syscall.EMFILE, wasiMFile}, {syscall.ENFILE, wasiMFile},
	} {
		if no == e.here {
			return e.wasi
		}
	}
	return wasiIO
}

// onFile makes a function of WASI of one on an open file or folder.
func onFile(call func(i *Instance, f *file, s []uint64) uint64) func(*Instance, []uint64) {
	return func(i *Instance, s []uint64) {
		switch f := i.file(s[0]); {
		case f == nil:
			s[0] = wasiBadF
		case !i.mayWait():
			s[0] = wasiNotCapable
		default:
			i.charge(fileFuel)
			s[0] = call(i, f, s)
		}
	}
}

// onPath makes one of one on a path in a folder: the path's address and length are the arguments at and at+1.
func onPath(at int, change bool, call func(i *Instance, f *file, name string, s []uint64) uint64) func(*Instance, []uint64) {
	onFolder := onFile(func(i *Instance, f *file, s []uint64) uint64 {
		if f.root == nil {
			return wasiNotDir
		}
		if change && !f.write {
			return wasiNotCapable
		}
		name, no := i.path(s[at], s[at+1])
		if no != wasiOK {
			return no
		}
		return call(i, f, name, s)
	})
	return func(i *Instance, s []uint64) {
		if len(i.files) == 0 { // nothing is granted
			s[0] = wasiNotCapable
			return
		}
		onFolder(i, s)
	}
}

// path is a guest's. It is not looked at further: os.Root does.
func (i *Instance) path(at, n uint64) (string, uint64) {
	if uint32(n) > mostPath {
		return "", wasiNameTooLong
	}
	name := string(i.guest(at, n))
	i.charge(stepFuel * int64(strings.Count(name, "/")))
	switch {
	case name == "":
		return "", wasiNoEnt
	case strings.ContainsRune(name, 0):
		return "", wasiInval
	}
	return name, wasiOK
}

// wasiPathOpen opens a plain file or a folder below a folder.
func wasiPathOpen(i *Instance, dir *file, name string, s []uint64) uint64 {
	follow, how, write, flags := s[1]&followSymlink != 0, uint32(s[4]), s[5]&rightWrite != 0, uint32(s[7])
	changes := how&(openCreate|openTruncate) != 0 || flags&fdAppend != 0
	st, err := lookAt(dir.root, name, follow)
	switch {
	case err != nil && !(errors.Is(err, fs.ErrNotExist) && how&openCreate != 0):
		return errno(err)
	case err != nil:
	case how&openExclusive != 0 && how&openCreate != 0:
		return wasiExist
	case st.Mode()&fs.ModeSymlink != 0:
		return wasiLoop
	case st.IsDir():
		if changes {
			return wasiIsDir
		}
		return i.openFolder(dir, name, s[8])
	case !st.Mode().IsRegular():
		return wasiNotCapable
	}
	switch {
	case how&openDirectory != 0:
		return wasiNotDir
	case (write || changes) && !dir.write:
		return wasiNotCapable
	}
	flag := syscall.O_NONBLOCK // should it be a pipe by now
	if write || changes {
		flag |= os.O_RDWR
	}
	for _, f := range [...]struct {
		set  bool
		flag int
	}{{how&openCreate != 0, os.O_CREATE}, {how&openExclusive != 0, os.O_EXCL}, {how&openTruncate != 0, os.O_TRUNC}, {flags&fdAppend != 0, os.O_APPEND}} {
		if f.set {
			flag |= f.flag
		}
	}
	f, err := dir.root.OpenFile(name, flag, 0o644)
	if err != nil {
		return errno(err)
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		_ = f.Close()
		return wasiNotCapable
	}
	return i.opened(&file{f: f, write: write || changes, appends: flags&fdAppend != 0}, s[8])
}

func (i *Instance) openFolder(dir *file, name string, to uint64) uint64 {
	root, err := dir.root.OpenRoot(name)
	if err != nil {
		return errno(err)
	}
	return i.opened(&file{root: root, write: dir.write}, to)
}

// opened writes the descriptor of what was opened.
func (i *Instance) opened(f *file, to uint64) uint64 {
	fd, ok := i.enter(f)
	if !ok {
		_ = f.close()
		return wasiMFile
	}
	binary.LittleEndian.PutUint32(i.guest(to, 4), fd)
	return wasiOK
}

// lookAt is what stands at a path.
func lookAt(root *os.Root, name string, follow bool) (fs.FileInfo, error) {
	if follow {
		return root.Stat(name)
	}
	return root.Lstat(name)
}

// wasiFilestat writes what is known of a file.
func (i *Instance) filestat(st fs.FileInfo, to uint64) uint64 {
	b := i.guest(to, statBytes)
	clear(b)
	b[16] = kindOf(st.Mode())
	put := binary.LittleEndian.PutUint64
	put(b[24:], 1)
	put(b[32:], uint64(st.Size()))
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		put(b, uint64(sys.Dev))
		put(b[8:], sys.Ino)
		put(b[24:], uint64(sys.Nlink))
	}
	for at := 40; at < statBytes; at += 8 {
		put(b[at:], uint64(st.ModTime().UnixNano()))
	}
	return wasiOK
}

func kindOf(mode fs.FileMode) byte {
	switch {
	case mode.IsDir():
		return fileFolder
	case mode.IsRegular():
		return filePlain
	case mode&fs.ModeSymlink != 0:
		return fileSymlink
	}
	return fileOther
}

func (f *file) stat() (fs.FileInfo, error) {
	if f.root != nil {
		return f.root.Stat(".")
	}
	return f.f.Stat()
}

// vectors calls fn with the buffers that a guest names, until one is not filled or fn fails, and writes how many bytes that were.
func (i *Instance) vectors(at, count, to uint64, fn func(b []byte) (int, error)) uint64 {
	i.charge(int64(uint32(count)))
	total := uint32(0)
	for k := range uint64(uint32(count)) {
		v := i.guest(uint64(uint32(at))+8*k, 8)
		b := i.guest(uint64(binary.LittleEndian.Uint32(v)), uint64(binary.LittleEndian.Uint32(v[4:])))
		if len(b) == 0 {
			continue
		}
		i.charge(fileFuel + int64(len(b))/fileFuelBytes)
		n, err := fn(b)
		total += uint32(n)
		if err != nil && err != io.EOF && total == 0 {
			return errno(err)
		}
		if err != nil || n < len(b) {
			break
		}
	}
	binary.LittleEndian.PutUint32(i.guest(to, 4), total)
	return wasiOK
}

// plain makes a function of WASI of one on a plain file.
func plain(write bool, call func(i *Instance, f *file, s []uint64) uint64) func(*Instance, []uint64) {
	return onFile(func(i *Instance, f *file, s []uint64) uint64 {
		switch {
		case f.f == nil:
			return wasiIsDir
		case write && !f.write:
			return wasiNotCapable
		}
		return call(i, f, s)
	})
}

var (
	wasiFileRead  = plain(false, func(i *Instance, f *file, s []uint64) uint64 { return i.vectors(s[1], s[2], s[3], f.f.Read) })
	wasiFilePread = plain(false, func(i *Instance, f *file, s []uint64) uint64 {
		at := int64(s[3])
		if at < 0 {
			return wasiInval
		}
		return i.vectors(s[1], s[2], s[4], func(b []byte) (int, error) {
			n, err := f.f.ReadAt(b, at)
			at += int64(n)
			return n, err
		})
	})
	wasiFileWrite  = plain(true, func(i *Instance, f *file, s []uint64) uint64 { return i.vectors(s[1], s[2], s[3], f.f.Write) })
	wasiFilePwrite = plain(true, func(i *Instance, f *file, s []uint64) uint64 {
		at := int64(s[3])
		if at < 0 || f.appends {
			return wasiInval
		}
		return i.vectors(s[1], s[2], s[4], func(b []byte) (int, error) {
			n, err := f.f.WriteAt(b, at)
			at += int64(n)
			return n, err
		})
	})
	wasiFileSeek = plain(false, func(i *Instance, f *file, s []uint64) uint64 { return i.seek(f, int64(s[1]), int(uint32(s[2])), s[3]) })
	wasiFileTell = plain(false, func(i *Instance, f *file, s []uint64) uint64 { return i.seek(f, 0, io.SeekCurrent, s[1]) })
	wasiFileSize = plain(true, func(_ *Instance, f *file, s []uint64) uint64 {
		if int64(s[1]) < 0 {
			return wasiInval
		}
		return errno(f.f.Truncate(int64(s[1])))
	})
	wasiFileSync = plain(true, func(_ *Instance, f *file, _ []uint64) uint64 { return errno(f.f.Sync()) })
	wasiFileStat = onFile(func(i *Instance, f *file, s []uint64) uint64 {
		st, err := f.stat()
		if err != nil {
			return errno(err)
		}
		return i.filestat(st, s[1])
	})
	wasiReaddir = onFile(func(i *Instance, f *file, s []uint64) uint64 {
		if f.root == nil {
			return wasiNotDir
		}
		return i.list(f, s[1], s[2], s[3], s[4])
	})
	wasiPathStat = onPath(2, false, func(i *Instance, f *file, name string, s []uint64) uint64 {
		st, err := lookAt(f.root, name, s[1]&followSymlink != 0)
		if err != nil {
			return errno(err)
		}
		return i.filestat(st, s[4])
	})
	wasiReadlink = onPath(1, false, func(i *Instance, f *file, name string, s []uint64) uint64 {
		text, err := f.root.Readlink(name)
		if err != nil {
			return errno(err)
		}
		binary.LittleEndian.PutUint32(i.guest(s[5], 4), uint32(copy(i.guest(s[3], s[4]), text)))
		return wasiOK
	})
	wasiMkdir  = onPath(1, true, func(_ *Instance, f *file, name string, _ []uint64) uint64 { return errno(f.root.Mkdir(name, 0o755)) })
	wasiRmdir  = onPath(1, true, func(_ *Instance, f *file, name string, _ []uint64) uint64 { return remove(f.root, name, true) })
	wasiUnlink = onPath(1, true, func(_ *Instance, f *file, name string, _ []uint64) uint64 { return remove(f.root, name, false) })
	wasiRename = onPath(1, true, func(i *Instance, f *file, name string, s []uint64) uint64 {
		to, no := i.path(s[4], s[5])
		switch {
		case no != wasiOK:
			return no
		case i.file(s[3]) != f: // not between two folders that are granted apart
			return wasiNotCapable
		}
		return errno(f.root.Rename(name, to))
	})
)

func (i *Instance) seek(f *file, by int64, from int, to uint64) uint64 {
	if from > io.SeekEnd {
		return wasiInval
	}
	at, err := f.f.Seek(by, from)
	if err != nil {
		return errno(err)
	}
	binary.LittleEndian.PutUint64(i.guest(to, 8), uint64(at))
	return wasiOK
}

func remove(root *os.Root, name string, folder bool) uint64 {
	st, err := root.Lstat(name)
	switch {
	case err != nil:
		return errno(err)
	case folder && !st.IsDir():
		return wasiNotDir
	case !folder && st.IsDir():
		return wasiIsDir
	}
	return errno(root.Remove(name))
}

// listed is how many entries of folders are held: the host's memory, not the guest's.
func (i *Instance) listed() (n int) {
	for _, f := range i.files {
		if f != nil {
			n += len(f.entries)
		}
	}
	return n
}

// list writes entries of a folder, those from cookie on, as many as there is room for: the last one is cut, which tells the guest that there are more.
func (i *Instance) list(f *file, at, room, cookie, to uint64) uint64 {
	if cookie == 0 || f.entries == nil {
		dir, err := f.root.Open(".")
		if err != nil {
			return errno(err)
		}
		f.entries, err = dir.ReadDir(mostEntries + 1)
		_ = dir.Close()
		switch {
		case err != nil && err != io.EOF:
			return errno(err)
		case len(f.entries) > mostEntries || i.listed() > mostListed:
			f.entries = nil
			return wasiOverflow
		}
		i.charge(int64(len(f.entries)))
	}
	b := i.guest(at, room)
	i.charge(int64(len(b)) / fileFuelBytes)
	used := 0
	for k := cookie; k < uint64(len(f.entries)) && used < len(b); k++ {
		var head [direntBytes]byte
		e := f.entries[k]
		binary.LittleEndian.PutUint64(head[:], k+1)
		binary.LittleEndian.PutUint32(head[16:], uint32(len(e.Name())))
		head[20] = kindOf(e.Type())
		used += copy(b[used:], head[:])
		used += copy(b[used:], e.Name())
	}
	binary.LittleEndian.PutUint32(i.guest(to, 4), uint32(used))
	return wasiOK
}

// wasiPrestat tells of a granted folder, by which guests find what there is.
func wasiPrestat(i *Instance, s []uint64) {
	f := i.file(s[0])
	if f == nil || f.at == "" {
		s[0] = wasiBadF
		return
	}
	b := i.guest(s[1], 8)
	clear(b)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(f.at)))
	s[0] = wasiOK
}

func wasiPrestatName(i *Instance, s []uint64) {
	f := i.file(s[0])
	switch {
	case f == nil || f.at == "":
		s[0] = wasiBadF
	case int(uint32(s[2])) < len(f.at):
		s[0] = wasiNameTooLong
	default:
		copy(i.guest(s[1], s[2]), f.at)
		s[0] = wasiOK
	}
}

// wasiClose closes a file. Standard input and outputs stay.
func wasiClose(i *Instance, s []uint64) {
	fd := int(uint32(s[0]))
	if fd < firstFile {
		s[0] = wasiOK
		return
	}
	switch f := i.file(s[0]); {
	case f == nil:
		s[0] = wasiBadF
	case !i.mayWait(): // some file systems write on closing
		s[0] = wasiNotCapable
	default:
		i.charge(fileFuel)
		i.files[fd-firstFile] = nil
		s[0] = errno(f.close())
	}
}

// wasiSetFlags takes what is so already.
func wasiSetFlags(i *Instance, s []uint64) {
	f := i.file(s[0])
	switch {
	case f == nil && uint32(s[0]) >= firstFile:
		s[0] = wasiBadF
	case f != nil && f.appends != (s[1]&fdAppend != 0):
		s[0] = wasiNotSup
	default:
		s[0] = wasiOK
	}
}

// wasiEnvironSizes and wasiEnviron give the variables that the policy grants: NAME=value and a NUL each.
func wasiEnvironSizes(i *Instance, s []uint64) { i.putSizes(s, i.plugin.environ) }
func wasiEnviron(i *Instance, s []uint64)      { i.putTexts(s, i.plugin.environ) }

// putSizes says how many texts there are, and how many bytes they take.
func (i *Instance) putSizes(s []uint64, texts []string) {
	size := 0
	for _, e := range texts {
		size += len(e) + 1
	}
	binary.LittleEndian.PutUint32(i.guest(s[0], 4), uint32(len(texts)))
	binary.LittleEndian.PutUint32(i.guest(s[1], 4), uint32(size))
	s[0] = wasiOK
}

// putTexts writes their addresses and the texts, each with a NUL behind it.
func (i *Instance) putTexts(s []uint64, texts []string) {
	list, text := uint64(uint32(s[0])), uint64(uint32(s[1]))
	for _, e := range texts {
		i.chargeBytes(uint32(len(e)))
		binary.LittleEndian.PutUint32(i.guest(list, 4), uint32(text))
		b := i.guest(text, uint64(len(e)+1))
		b[copy(b, e)] = 0
		list, text = list+4, text+uint64(len(b))
	}
	s[0] = wasiOK
}
