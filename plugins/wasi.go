package plugins

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/tetratelabs/wazero"
)

// The runtimes of some languages need WASI to start. These functions are what they get: a clock that stands still, seeded random numbers, output to the log; no
// arguments and no network, and no code here that could give any. Files and environment are what the policy grants: none, if it does not (wasifiles.go).
const wasiModuleName = "wasi_snapshot_preview1"

// Errors of WASI.
const (
	wasiOK          = 0
	wasiAcces       = 2
	wasiBadF        = 8
	wasiExist       = 20
	wasiInval       = 28
	wasiIO          = 29
	wasiIsDir       = 31
	wasiLoop        = 32
	wasiMFile       = 33
	wasiNameTooLong = 37
	wasiNoEnt       = 44
	wasiNoSpc       = 51
	wasiNoSys       = 52
	wasiNotDir      = 54
	wasiNotEmpty    = 55
	wasiNotSup      = 58
	wasiOverflow    = 61
	wasiIsPipe      = 70
	wasiNotCapable  = 76
)

// wasiFunctions are all of preview 1, with their signatures.
var wasiFunctions = map[string]string{
	"args_get": "ii:i", "args_sizes_get": "ii:i", "environ_get": "ii:i", "environ_sizes_get": "ii:i",
	"clock_res_get": "ii:i", "clock_time_get": "ili:i",
	"fd_advise": "illi:i", "fd_allocate": "ill:i", "fd_close": "i:i", "fd_datasync": "i:i", "fd_fdstat_get": "ii:i", "fd_fdstat_set_flags": "ii:i",
	"fd_fdstat_set_rights": "ill:i", "fd_filestat_get": "ii:i", "fd_filestat_set_size": "il:i", "fd_filestat_set_times": "illi:i", "fd_pread": "iiili:i",
	"fd_prestat_get": "ii:i", "fd_prestat_dir_name": "iii:i", "fd_pwrite": "iiili:i", "fd_read": "iiii:i", "fd_readdir": "iiili:i", "fd_renumber": "ii:i",
	"fd_seek": "ilii:i", "fd_sync": "i:i", "fd_tell": "ii:i", "fd_write": "iiii:i",
	"path_create_directory": "iii:i", "path_filestat_get": "iiiii:i", "path_filestat_set_times": "iiiilli:i", "path_link": "iiiiiii:i", "path_open": "iiiiillii:i",
	"path_readlink": "iiiiii:i", "path_remove_directory": "iii:i", "path_rename": "iiiiii:i", "path_symlink": "iiiii:i", "path_unlink_file": "iii:i",
	"poll_oneoff": "iiii:i", "proc_exit": "i:", "proc_raise": "i:i", "sched_yield": ":i", "random_get": "ii:i",
	"sock_accept": "iii:i", "sock_recv": "iiiiii:i", "sock_send": "iiiii:i", "sock_shutdown": "ii:i",
}

var wasiGiven = map[string]func(*Instance, []uint64){
	"args_get": wasiArgs, "sched_yield": wasiNothing,
	"args_sizes_get": wasiArgsSizes, "environ_sizes_get": wasiEnvironSizes, "environ_get": wasiEnviron,
	"clock_res_get":  func(i *Instance, s []uint64) { binary.LittleEndian.PutUint64(i.guest(s[1], 8), 1); s[0] = wasiOK },
	"clock_time_get": func(i *Instance, s []uint64) { i.putTime(s[2]); s[0] = wasiOK },
	"fd_fdstat_get":  wasiFdstat,
	"fd_write":       wasiWrite,
	"fd_read":        wasiRead,
	"fd_seek":        wasiSeek,
	"fd_close":       wasiClose, "fd_fdstat_set_flags": wasiSetFlags, "fd_prestat_get": wasiPrestat, "fd_prestat_dir_name": wasiPrestatName,
	"fd_pread": wasiFilePread, "fd_pwrite": wasiFilePwrite, "fd_tell": wasiFileTell, "fd_filestat_get": wasiStat, "fd_filestat_set_size": wasiFileSize,
	"fd_sync": wasiFileSync, "fd_datasync": wasiFileSync, "fd_readdir": wasiReaddir,
	"path_open": onPath(2, false, wasiPathOpen), "path_filestat_get": wasiPathStat, "path_readlink": wasiReadlink,
	"path_create_directory": wasiMkdir, "path_remove_directory": wasiRmdir, "path_unlink_file": wasiUnlink, "path_rename": wasiRename,
	"poll_oneoff": wasiPoll,
	"random_get":  wasiRandom,
	"proc_exit":   func(_ *Instance, s []uint64) { panic(fmt.Errorf("it called exit(%d)", int32(s[0]))) },
}

func wasiInto(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(wasiModuleName)
	for name, signature := range wasiFunctions {
		call := wasiGiven[name]
		if call == nil {
			refusal := uint64(wasiNoSys)
			switch name[:3] {
			case "fd_":
				refusal = wasiBadF
			case "pat", "soc": // links, times, sockets: nobody is granted those
				refusal = wasiNotCapable
			}
			call = func(_ *Instance, s []uint64) { s[0] = refusal }
		}
		exportTo(b, name, signature, func(i *Instance, s []uint64) { i.charge(importFuel); call(i, s) })
	}
	_, err := b.Instantiate(ctx)
	return err
}

// wasiNothing succeeds. Functions without parameters have room for their result.
func wasiNothing(_ *Instance, s []uint64) { s[0] = wasiOK }

// Arguments: a command's, others have none.
func wasiArgsSizes(i *Instance, s []uint64) { i.putSizes(s, i.plugin.args) }
func wasiArgs(i *Instance, s []uint64)      { i.putTexts(s, i.plugin.args) }

// putTime writes the batch's time. Go's runtime takes 0 for a broken clock.
func (i *Instance) putTime(at uint64) {
	binary.LittleEndian.PutUint64(i.guest(at, 8), max(i.Now, 1))
}

// wasiFdstat says that standard input and outputs are terminals, and what else a descriptor is.
func wasiFdstat(i *Instance, s []uint64) {
	f := i.file(s[0])
	if uint32(s[0]) >= firstFile && f == nil {
		s[0] = wasiBadF
		return
	}
	b := i.guest(s[1], 24)
	clear(b)
	switch {
	case f == nil:
		b[0] = 2 // character device
	case f.root != nil:
		b[0] = fileFolder
	default:
		b[0] = filePlain
	}
	if f != nil {
		rights := uint64(allRights)
		if !f.write {
			rights &^= rightWrite
		}
		if f.appends {
			b[2] = fdAppend
		}
		binary.LittleEndian.PutUint64(b[8:], rights)
		binary.LittleEndian.PutUint64(b[16:], rights)
	}
	s[0] = wasiOK
}

// wasiStat says that standard input and outputs are terminals too, and what is known of a file.
func wasiStat(i *Instance, s []uint64) {
	if uint32(s[0]) >= firstFile {
		wasiFileStat(i, s)
		return
	}
	b := i.guest(s[1], statBytes)
	clear(b)
	b[16] = 2 // character device
	s[0] = wasiOK
}

// wasiSeek moves within a file. Standard input and outputs are pipes.
func wasiSeek(i *Instance, s []uint64) {
	if uint32(s[0]) < firstFile {
		s[0] = wasiIsPipe
		return
	}
	wasiFileSeek(i, s)
}

// wasiWrite writes standard output and error to the log, and to files.
func wasiWrite(i *Instance, s []uint64) {
	switch fd := uint32(s[0]); {
	case fd == 0:
		s[0] = wasiBadF
		return
	case fd >= firstFile:
		wasiFileWrite(i, s)
		return
	}
	i.charge(int64(uint32(s[2])))
	level := slog.LevelInfo
	if uint32(s[0]) == 2 {
		level = slog.LevelWarn
	}
	total := uint32(0)
	for k := range uint64(uint32(s[2])) {
		v := i.guest(uint64(uint32(s[1]))+8*k, 8)
		n := binary.LittleEndian.Uint32(v[4:])
		text := i.guest(uint64(binary.LittleEndian.Uint32(v)), uint64(n))
		if i.command != nil && uint32(s[0]) == 1 {
			i.chargeBytes(n)
			i.command.write(text)
		} else {
			i.output(level, text)
		}
		total += n
	}
	binary.LittleEndian.PutUint32(i.guest(s[3], 4), total)
	s[0] = wasiOK
}

// output collects what is written until a line is whole, or as long as one may be.
func (i *Instance) output(level slog.Level, text []byte) {
	i.charge(int64(len(text) / 64))
	for len(text) > 0 {
		n := min(len(text), mostText-len(i.line))
		end := bytes.IndexByte(text[:n], '\n')
		if end >= 0 {
			n = end + 1
		}
		i.line = append(i.line, text[:n]...)
		text = text[n:]
		if end >= 0 || len(i.line) == mostText {
			i.charge(importFuel)
			i.flush(level)
		}
	}
}

// flush writes a line that was begun.
func (i *Instance) flush(level slog.Level) {
	if len(bytes.TrimSpace(i.line)) > 0 {
		i.write(level, i.line)
	}
	i.line = i.line[:0]
}

// wasiRead finds standard input at its end, but for a command, and reads files.
func wasiRead(i *Instance, s []uint64) {
	switch fd := uint32(s[0]); {
	case fd >= firstFile:
		wasiFileRead(i, s)
		return
	case fd != 0:
		s[0] = wasiBadF
		return
	}
	total := i.guest(s[3], 4)
	clear(total)
	if i.command != nil && uint32(s[2]) > 0 {
		v := i.guest(s[1], 8) // one of several buffers is enough: a read may be short
		n := i.command.read(i.guest(uint64(binary.LittleEndian.Uint32(v)), uint64(binary.LittleEndian.Uint32(v[4:]))))
		i.chargeBytes(uint32(n))
		binary.LittleEndian.PutUint32(total, uint32(n))
	}
	s[0] = wasiOK
}

// wasiPoll finds all that is waited for due.
func wasiPoll(i *Instance, s []uint64) {
	n := uint64(uint32(s[2]))
	if n == 0 || n > 64 {
		s[0] = wasiInval
		return
	}
	i.charge(int64(n))
	in, out := i.guest(s[0], 48*n), i.guest(s[1], 32*n)
	for k := range n {
		userdata, kind := binary.LittleEndian.Uint64(in[48*k:]), in[48*k+8]
		event := out[32*k : 32*k+32]
		clear(event)
		binary.LittleEndian.PutUint64(event, userdata)
		event[10] = kind
	}
	binary.LittleEndian.PutUint32(i.guest(s[3], 4), uint32(n))
	s[0] = wasiOK
}

// wasiRandom gives the same numbers to each instance.
func wasiRandom(i *Instance, s []uint64) {
	i.charge(int64(uint32(s[1]) / 8))
	if i.random == nil {
		i.random = rand.New(rand.NewPCG(0x74696b77, 0x697265))
	}
	b := i.guest(s[0], s[1])
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, i.random.Uint64())
		b = b[8:]
	}
	for k := range b {
		b[k] = byte(i.random.Uint32())
	}
	s[0] = wasiOK
}
