// Package control is the door for commands to a running process: HTTP and JSON on a Unix socket.
//
//	tickwire capture, …           <run_dir>/<process>.sock (0660, the instance's group)
//	  Client.Do ───────────────────────► Server ──Handle──► func(*http.Request) (any, error)      off the lanes
//	  Client.Attach ═══ stays open ════► Server ──HandleStream──► func(*Stream) error             until either end is gone
//
// Who may open the socket may command the process: nothing else is asked. Who did is logged, by the kernel's word
// (SO_PEERCRED). Requests are bounded in size, time and number; a handler that panics answers 500 and harms nothing else.
// What outlives a request hangs on a stream, whose context ends when the other end is gone, however it went.
package control
