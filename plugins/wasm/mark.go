package wasm

import "fmt"

// mayTrap says whether an instruction can trap, or calls what can.
func mayTrap(op int) bool {
	switch {
	case op == 0x00, op == 0x10, op == 0x11, op == 0x25, op == 0x26: // unreachable, calls, tables
	case op >= 0x28 && op <= 0x3e: // loads and stores
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82: // division
	case op >= 0xa8 && op <= 0xab, op >= 0xae && op <= 0xb1: // truncation
	case op >= opMemoryInit && op <= opTableFill:
	case op >= 0xfd00 && op <= 0xfd0b, op >= 0xfd54 && op <= 0xfd5d: // vectors to and from memory
	default:
		return false
	}
	return true
}

// InstructionAt names the instruction at an offset of a module, as far as it can trap, loop or call; "": the offset is of no such one.
func InstructionAt(module []byte, at int) string {
	if at < headerBytes || at >= len(module) {
		return ""
	}
	r := reader{b: module, at: at}
	op, err := r.instruction()
	switch {
	case err != nil:
		return ""
	case op == opLoop:
		return "loop"
	case !mayTrap(op):
		return "the beginning of a function"
	}
	if name, ok := trapNames[op]; ok {
		return name
	}
	switch {
	case op >= 0x28 && op <= 0x35:
		return "a load"
	case op >= 0x36 && op <= 0x3e:
		return "a store"
	case op < 0xb2:
		return "a conversion to an integer"
	case op >= 0xfd00:
		return "a load or store of a vector"
	}
	return fmt.Sprintf("an instruction on memory or a table (0x%x)", op)
}

var trapNames = map[int]string{
	0x00: "unreachable", 0x10: "call", 0x11: "call_indirect", 0x25: "table.get", 0x26: "table.set",
	0x28: "i32.load", 0x29: "i64.load", 0x2a: "f32.load", 0x2b: "f64.load", 0x2c: "i32.load8_s", 0x2d: "i32.load8_u", 0x2e: "i32.load16_s", 0x2f: "i32.load16_u",
	0x36: "i32.store", 0x37: "i64.store", 0x38: "f32.store", 0x39: "f64.store", 0x3a: "i32.store8", 0x3b: "i32.store16",
	0x6d: "i32.div_s", 0x6e: "i32.div_u", 0x6f: "i32.rem_s", 0x70: "i32.rem_u", 0x7f: "i64.div_s", 0x80: "i64.div_u", 0x81: "i64.rem_s", 0x82: "i64.rem_u",
	opMemoryInit: "memory.init", opMemoryCopy: "memory.copy", opMemoryFill: "memory.fill", opTableInit: "table.init", opTableCopy: "table.copy", opTableGrow: "table.grow",
	opTableFill: "table.fill",
}

// FunctionCount is how many functions a module has, imported ones too.
func FunctionCount(module []byte) (n int, err error) {
	imports, err := Imports(module)
	if err != nil {
		return 0, err
	}
	for _, i := range imports {
		if i.Kind == KindFunction {
			n++
		}
	}
	types, err := inSection(module, functionID, func(r *reader) ([]struct{}, error) {
		count, err := r.count()
		return make([]struct{}, count), err
	})
	return n + len(types), err
}
