package rxbench

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

const sysEnter = "raw_syscalls/sys_enter" // the tracepoint that each system call passes

// runtimes is a filter for calls that are not the Go runtime's. It has goroutines take turns some hundred times a second, whatever they
// do: by a signal and its return, and by waking, waiting for and yielding to threads. To receive none of these is of use.
var runtimes = func() string {
	var b strings.Builder
	for i, id := range []int{
		unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK, unix.SYS_FUTEX, unix.SYS_TGKILL, unix.SYS_GETPID, unix.SYS_SCHED_YIELD, unix.SYS_NANOSLEEP, unix.SYS_MADVISE,
	} {
		if i > 0 {
			b.WriteString(" && ")
		}
		fmt.Fprintf(&b, "id != %d", id)
	}
	return b.String()
}()
