//go:build !amd64 || purego

package mdp3

import "github.com/tickwire/tickwire/tick"

// quick takes nothing: all messages go the way that is the definition.
func (d *Decoder) quick([]byte, *tick.Batch) int { return 0 }

const hasQuick = false

func (d *Decoder) fits(*tick.Batch) bool { return false }

type met struct{}
