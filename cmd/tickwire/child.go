package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// spawnAndWait starts a process that the kernel ends when this one is gone, says how starting went, then how it ended.
// The kernel looks at the thread that started the process, so that thread stays until the end.
func spawnAndWait(c *exec.Cmd, started, ended chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true} // Setpgid: Control-C comes to us alone
	err := c.Start()
	started <- err
	if err == nil {
		ended <- c.Wait()
	}
}
