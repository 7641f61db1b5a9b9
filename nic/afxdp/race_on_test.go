//go:build race

package afxdp

// raceEnabled: the race detector makes everything some ten times slower.
const raceEnabled = true
