// Package lint holds house rules as ordinary tests: each message says how to mend what it found.
package lint
