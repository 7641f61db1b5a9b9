package rxbench

import "github.com/tickwire/tickwire/bench/machine"

// Machine is what was measured on, the driver included.
type Machine struct {
	machine.Machine
	Driver string `json:"driver"`
	Mode   string `json:"mode"`
}

func look() Machine { return Machine{Machine: machine.Look(), Driver: "veth", Mode: "copy"} }
