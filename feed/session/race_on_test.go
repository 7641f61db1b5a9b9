//go:build race

package session

// raceEnabled: the race detector makes everything some ten times slower.
const raceEnabled = true
