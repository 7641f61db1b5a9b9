package fix

import (
	"runtime"
	"time"

	qf "github.com/quickfixgo/quickfix"
)

// politeStores make stores that yield. While the library's writer is not at its channel, its session tries again and again without a pause; asking the
// store for its age is the one thing that it does each time round. On a busy machine the writer would wait for the session's time slice to end, at
// each message.
type politeStores struct{ qf.MessageStoreFactory }

// Create makes the store of a session.
func (f politeStores) Create(id qf.SessionID) (qf.MessageStore, error) {
	s, err := f.MessageStoreFactory.Create(id)
	if err != nil {
		return nil, err
	}
	return politeStore{s}, nil
}

type politeStore struct{ qf.MessageStore }

// CreationTime is the store's age.
func (s politeStore) CreationTime() time.Time {
	runtime.Gosched()
	return s.MessageStore.CreationTime()
}
