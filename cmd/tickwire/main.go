// Command tickwire is the feed handler, the tick store and their tools in one binary. `tickwire --help` lists what it
// does; the README shows the main job.
package main

import (
	"os"
	_ "time/tzdata" // trading days are reckoned in the venue's zone, on machines without zone files too
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
