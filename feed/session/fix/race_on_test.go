//go:build race

package fix_test

const raceEnabled = true
