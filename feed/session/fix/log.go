package fix

import (
	"fmt"
	"log/slog"
	"strings"

	qf "github.com/quickfixgo/quickfix"
)

// logFactory gives the library a log that tells what happens, never a message: a Logon has the password.
type logFactory struct{ to *slog.Logger }

func (f logFactory) Create() (qf.Log, error)                       { return libraryLog(f), nil }
func (f logFactory) CreateSessionLog(qf.SessionID) (qf.Log, error) { return libraryLog(f), nil }

const beginMark = "8=FIX"

type libraryLog struct{ to *slog.Logger }

func (libraryLog) OnIncoming([]byte)      {}
func (libraryLog) OnOutgoing([]byte)      {}
func (l libraryLog) OnEvent(event string) { l.say(event) }
func (l libraryLog) OnEventf(format string, args ...any) {
	l.say(fmt.Sprintf(format, args...))
}

func (l libraryLog) say(event string) {
	if at := strings.Index(event, beginMark); at >= 0 { // some events quote messages
		event = event[:at] + "…"
	}
	l.to.Debug("fix: " + event)
}
