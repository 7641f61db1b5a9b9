//go:build !race

package fix_test

const raceEnabled = false
