// Command ticktune makes a machine fit for a feed, and shows that it is: `ticktune --help` lists what it does.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
