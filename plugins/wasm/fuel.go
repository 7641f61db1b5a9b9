package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Instrument rewrites a module so that the time of a call has a bound: a mutable global, exported as FuelName, goes down wherever a module can spend time,
// and below zero the module traps.
//
//	type section      + (i32) -> (i32), if the module has bulk instructions
//	function section  + charge, the last function: no index changes
//	table section     no table grows beyond MostElements
//	global section    + (mut i64) InitialFuel, the last global
//	export section    + FuelName
//	code section      at each function's entry, behind each loop header, after each ChargeBytes of code that has neither: take(cost)
//	                  before bulk instructions: call charge, which takes 1 + length/64 and gives the length back
//
//	take(n): global.get fuel  i64.const n  i64.sub  global.set fuel  global.get fuel  i64.const 0  i64.lt_s  if  unreachable  end
//
// The inserted block is closed, so no branch depth changes; it needs no local. A loop header costs 1, an entry 1 and one more for each 16 locals, whose
// frame is larger, code without either 1 for each ChargeBytes (way). Everything else is copied as it is: the output must still be validated.
const (
	FuelName    = "tw_fuel"
	InitialFuel = 40_000_000 // for start functions: some 0.1 s
	ChargeBytes = 256        // of code that is gone through in one go
	MarkName    = "tw_mark"  // of modules that InstrumentMarked made

	// What wazero would take and a host does not survive, or not in time:
	MostFunctions = 50_000
	MostLocals    = 4_096     // of a function
	MostBody      = 512 << 10 // bytes of a function
	MostElements  = 1 << 16   // of a table

	// What the compiler takes time and memory for by more than the code's length:
	mostDepth   = 5_000      // blocks within each other, of which it takes the square: 0.5 s
	mostWeight  = 8_000_000  // blocks times locals of a function, some 0.1 µs each
	mostWeights = 64_000_000 // of all functions together
	mostTargets = 100_000    // of all branch tables together, some 30 µs and 2.5 KB each
)

// Sections that are rewritten, and their order in a module.
const (
	typeID      = 1
	importID    = 2
	functionID  = 3
	tableID     = 4
	memoryID    = 5
	globalID    = 6
	exportID    = 7
	startID     = 8
	elementID   = 9
	codeID      = 10
	dataID      = 11
	dataCountID = 12
)

var order = [...]int{typeID: 1, importID: 2, functionID: 3, tableID: 4, memoryID: 5, globalID: 6, exportID: 7, startID: 8, elementID: 9, dataCountID: 10, codeID: 11, dataID: 12}

const (
	valueI32 = 0x7f
	valueI64 = 0x7e
	funcType = 0x60
	constEnd = 0x0b
)

// Instrument gives the rewritten module. What it refuses has an error with the offset; what it accepts may still be invalid elsewhere.
func Instrument(module []byte) ([]byte, error) { return rewrite(module, false) }

// InstrumentMarked is Instrument for people who look for a fault: a second global, exported as MarkName, holds the offset in the module of the latest instruction
// that could trap, loop or call. Fuel is what it is without, calls take longer.
func InstrumentMarked(module []byte) ([]byte, error) { return rewrite(module, true) }

func rewrite(module []byte, marked bool) ([]byte, error) {
	in := instrument{marked: marked}
	if err := in.read(module); err != nil {
		return nil, err
	}
	return in.write()
}

// instrument is a module on its way through.
type instrument struct {
	sections [dataCountID + 1]*Section // known ones, by id
	customs  []customAt

	types       uint32
	imported    uint32 // functions
	functions   uint32 // defined
	globals     uint32 // imported and defined
	chargeUsed  bool
	weights     uint64 // of all functions, as mostWeights counts
	targets     uint64
	fuelIdx     uint32
	marked      bool   // InstrumentMarked
	code        []byte // the code section's bodies, rewritten
	tables      []byte // the table section, rewritten
	loopCharge  []byte
	chargeIndex uint32
}

type customAt struct {
	after int // place in order
	bytes []byte
}

func (in *instrument) read(module []byte) error {
	last := 0
	for s, err := range Sections(module) {
		if err != nil {
			return err
		}
		if s.ID == customID {
			if s.Name == "name" {
				if err := bodyOf(&s).names(); err != nil {
					return err
				}
			}
			in.customs = append(in.customs, customAt{last, module[s.At:s.End]})
			continue
		}
		if int(s.ID) >= len(order) {
			return fmt.Errorf("offset %d: section %d is not known", s.At, s.ID)
		}
		if order[s.ID] <= last {
			return fmt.Errorf("offset %d: section %d is out of order or there twice", s.At, s.ID)
		}
		last = order[s.ID]
		in.sections[s.ID] = &s
	}
	if err := in.bounds(); err != nil {
		return err
	}
	for _, read := range []struct {
		id   byte
		what func(*reader) error
	}{
		{typeID, func(r *reader) (err error) { in.types, err = r.u32(); return }},
		{importID, in.readImports},
		{functionID, func(r *reader) (err error) { in.functions, err = r.u32(); return }},
		{tableID, in.readTables},
		{globalID, in.readGlobals},
		{exportID, in.readExports},
	} {
		if s := in.sections[read.id]; s != nil {
			if err := read.what(bodyOf(s)); err != nil {
				return err
			}
		}
	}
	if in.functions > MostFunctions {
		return fmt.Errorf("offset %d: %d functions, but at most %d", in.sections[functionID].At, in.functions, MostFunctions)
	}
	in.fuelIdx = in.globals
	in.chargeIndex = in.imported + in.functions
	in.loopCharge = in.appendTake(nil, func(b []byte) []byte { return append(b, 0x42, 1) }) // i64.const 1
	if s := in.sections[codeID]; s != nil {
		return in.readCode(bodyOf(s))
	}
	if in.functions > 0 {
		return fmt.Errorf("offset %d: functions without code", in.sections[functionID].At)
	}
	return nil
}

func bodyOf(s *Section) *reader { return &reader{b: s.Body, base: s.End - len(s.Body)} }

func (in *instrument) readImports(r *reader) error {
	imports, err := readImports(r)
	for _, i := range imports {
		switch i.Kind {
		case KindFunction:
			in.imported++
		case KindGlobal:
			in.globals++
		}
	}
	return err
}

func (in *instrument) readGlobals(r *reader) error {
	n, err := r.u32()
	in.globals += n
	return err
}

func (in *instrument) readExports(r *reader) error {
	exports, err := readExports(r)
	for _, e := range exports {
		if e.Name == FuelName || in.marked && e.Name == MarkName {
			return fmt.Errorf("offset %d: the export %s is the host's", e.At, e.Name)
		}
		if e.Kind == KindGlobal && e.Index >= in.globals {
			return fmt.Errorf("offset %d: global %d, but it has %d", e.At, e.Index, in.globals)
		}
	}
	return err
}

// readTables copies tables, each with a maximum of at most MostElements.
func (in *instrument) readTables(r *reader) error {
	n, err := r.u32()
	if err != nil {
		return err
	}
	if n > mostTables {
		return r.fail(fmt.Sprintf("%d tables, but at most %d", n, mostTables))
	}
	in.tables = binary.AppendUvarint(nil, uint64(n))
	for range n {
		at := r.at
		elem, err1 := r.byte()
		flags, err2 := r.byte()
		least, err3 := r.u32()
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		most := uint32(MostElements)
		if elem != funcRef && elem != externRef {
			return r.failAt(at, "a table of a sort that is not known")
		}
		if flags == 1 {
			m, err := r.u32()
			if err != nil {
				return err
			}
			if m < least {
				return r.failAt(at, "a table's maximum is below its minimum")
			}
			most = min(m, most)
		} else if flags != 0 {
			return r.failAt(at, "a table of a sort that is not known")
		}
		if least > most {
			return r.failAt(at, fmt.Sprintf("a table of %d elements, but at most %d", least, MostElements))
		}
		in.tables = append(in.tables, elem, 1)
		in.tables = binary.AppendUvarint(in.tables, uint64(least))
		in.tables = binary.AppendUvarint(in.tables, uint64(most))
	}
	return r.end()
}

func (in *instrument) readCode(r *reader) error {
	n, err := r.u32()
	switch {
	case err != nil:
		return err
	case n != in.functions:
		return r.fail(fmt.Sprintf("%d bodies for %d functions", n, in.functions))
	}
	in.code = make([]byte, 0, len(r.b)+len(r.b)/4)
	var body []byte
	for range n {
		size, err := r.u32()
		if err != nil {
			return err
		}
		if size > MostBody {
			return r.fail(fmt.Sprintf("a function of %d bytes, but at most %d", size, MostBody))
		}
		b, err := r.bytes(size)
		if err != nil {
			return err
		}
		if body, err = in.appendBody(body[:0], &reader{b: b, base: r.base + r.at - len(b)}); err != nil {
			return err
		}
		in.code = binary.AppendUvarint(in.code, uint64(len(body)))
		in.code = append(in.code, body...)
	}
	return r.end()
}

// appendBody appends a function's locals and instructions with charges between them.
func (in *instrument) appendBody(out []byte, r *reader) ([]byte, error) {
	groups, err := r.u32()
	if err != nil {
		return nil, err
	}
	locals := uint64(0)
	for range groups {
		n, err1 := r.u32()
		err2 := r.valueType()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if locals += uint64(n); locals > MostLocals {
			return nil, r.fail(fmt.Sprintf("a function of more than %d locals", MostLocals))
		}
	}
	out = append(out, r.b[:r.at]...)
	out = in.appendMark(out, r.base+r.at)
	out = in.appendTake(out, func(b []byte) []byte { return appendI64(append(b, 0x42), 1+int64(locals/16)) })

	blocks, depth, way := uint64(1), 1, way{labels: []label{{}}}
	for depth > 0 {
		from := r.at
		op, err := r.instruction()
		if err != nil {
			return nil, err
		}
		if way.step(r, op, r.at-from) {
			blocks++
			out = append(out, in.loopCharge...)
		}
		if in.marked && mayTrap(op) {
			out = in.appendMark(out, r.base+from)
		}
		var behind []byte
		if err := in.own(r, op, from); err != nil {
			return nil, err
		}
		switch op {
		case opBlock, opIf:
			depth, blocks = depth+1, blocks+1
		case opLoop:
			depth, blocks = depth+1, blocks+1
			behind = in.loopCharge
			if in.marked {
				behind = append(in.appendMark(nil, r.base+from), in.loopCharge...)
			}
		case opEnd:
			depth--
		case opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableGrow, opTableFill:
			in.chargeUsed = true
			out = binary.AppendUvarint(append(out, 0x10), uint64(in.chargeIndex)) // call charge
		}
		if depth > mostDepth {
			return nil, r.failAt(from, fmt.Sprintf("more than %d blocks within each other", mostDepth))
		}
		out = append(append(out, r.b[from:r.at]...), behind...)
	}
	weight := blocks * (locals + 1)
	in.weights, in.targets = in.weights+weight, in.targets+uint64(r.targets)
	switch {
	case weight > mostWeight || in.weights > mostWeights:
		return nil, r.fail(fmt.Sprintf("%d blocks and %d locals: a function may have %d, all of them together %d of the one times the other", blocks, locals, mostWeight, mostWeights))
	case in.targets > mostTargets:
		return nil, r.fail(fmt.Sprintf("%d branches in tables, but at most %d", in.targets, mostTargets))
	}
	return out, r.end()
}

// own sees that an instruction names a global or a function of the module's own: those that are added stand behind them, and a module that named the next number
// would be valid with them there. It could give itself fuel.
func (in *instrument) own(r *reader, op, from int) error {
	switch {
	case (op == opGlobalGet || op == opGlobalSet) && r.number >= in.globals:
		return r.failAt(from, fmt.Sprintf("global %d, but it has %d", r.number, in.globals))
	case (op == opCall || op == opRefFunc) && r.number >= in.chargeIndex:
		return r.failAt(from, fmt.Sprintf("function %d, but it has %d", r.number, in.chargeIndex))
	}
	return nil
}

// appendTake appends the instructions that take the i64 which cost pushes.
func (in *instrument) appendTake(b []byte, cost func([]byte) []byte) []byte {
	fuel := binary.AppendUvarint(nil, uint64(in.fuelIdx))
	b = append(append(b, 0x23), fuel...) // global.get
	b = cost(b)
	b = append(b, 0x7d)                                  // i64.sub
	b = append(append(b, 0x24), fuel...)                 // global.set
	b = append(append(b, 0x23), fuel...)                 // global.get
	return append(b, 0x42, 0, 0x53, 0x04, 0x40, 0, 0x0b) // i64.const 0, i64.lt_s, if, unreachable, end
}

// appendMark appends the instructions that say where the module is.
func (in *instrument) appendMark(b []byte, at int) []byte {
	if !in.marked {
		return b
	}
	b = appendI64(append(b, 0x41), int64(int32(at))) // i32.const
	return binary.AppendUvarint(append(b, 0x24), uint64(in.fuelIdx)+1)
}

// write puts the module together.
func (in *instrument) write() ([]byte, error) {
	size := 1024 + len(in.code)
	for _, s := range in.sections {
		if s != nil {
			size += len(s.Body) + 8
		}
	}
	for _, c := range in.customs {
		size += len(c.bytes)
	}
	out := append(make([]byte, 0, size), header[:]...)
	byOrder := slices.Repeat([]byte{0}, len(order))
	for id, at := range order {
		byOrder[at] = byte(id)
	}
	customs := in.customs
	for at, id := range byOrder {
		if at > 0 {
			body, err := in.section(id)
			if err != nil {
				return nil, err
			}
			if body != nil {
				out = append(out, id)
				out = binary.AppendUvarint(out, uint64(len(body)))
				out = append(out, body...)
			}
		}
		for len(customs) > 0 && customs[0].after == at {
			out = append(out, customs[0].bytes...)
			customs = customs[1:]
		}
	}
	return out, nil
}

// section is the new body of a section, nil: there is none.
func (in *instrument) section(id byte) ([]byte, error) {
	var body []byte
	if s := in.sections[id]; s != nil {
		body = s.Body
	}
	switch id {
	case typeID:
		if in.chargeUsed {
			return appendItem(body, []byte{funcType, 1, valueI32, 1, valueI32})
		}
	case functionID:
		if in.chargeUsed {
			return appendItem(body, binary.AppendUvarint(nil, uint64(in.types)))
		}
	case tableID:
		if body != nil {
			return in.tables, nil
		}
	case globalID:
		body, err := appendItem(body, append(appendI64([]byte{valueI64, 1, 0x42}, InitialFuel), constEnd))
		if err != nil || !in.marked {
			return body, err
		}
		return appendItem(body, []byte{valueI32, 1, 0x41, 0, constEnd})
	case exportID:
		item := append([]byte{byte(len(FuelName))}, FuelName...)
		body, err := appendItem(body, binary.AppendUvarint(append(item, KindGlobal), uint64(in.fuelIdx)))
		if err != nil || !in.marked {
			return body, err
		}
		item = append([]byte{byte(len(MarkName))}, MarkName...)
		return appendItem(body, binary.AppendUvarint(append(item, KindGlobal), uint64(in.fuelIdx)+1))
	case codeID:
		if body == nil {
			return nil, nil
		}
		n := uint64(in.functions)
		if !in.chargeUsed {
			return append(binary.AppendUvarint(nil, n), in.code...), nil
		}
		charge := in.appendTake([]byte{0}, func(b []byte) []byte { // no locals
			return append(b, 0x20, 0, 0xad, 0x42, 6, 0x88, 0x42, 1, 0x7c) // local.get 0, i64.extend_i32_u, i64.const 6, i64.shr_u, i64.const 1, i64.add
		})
		charge = append(charge, 0x20, 0, constEnd) // local.get 0, end
		out := append(binary.AppendUvarint(nil, n+1), in.code...)
		return append(binary.AppendUvarint(out, uint64(len(charge))), charge...), nil
	}
	return body, nil
}

// appendItem adds an item to a section that is a vector; nil is an empty one.
func appendItem(section, item []byte) ([]byte, error) {
	n, at := uint32(0), 0
	if section != nil {
		if n, at = uvarint32(section); at == 0 {
			return nil, errors.New("a section without a count")
		}
	}
	out := binary.AppendUvarint(make([]byte, 0, len(section)+len(item)+5), uint64(n)+1)
	return append(append(out, section[at:]...), item...), nil
}

// appendI64 appends a signed LEB128.
func appendI64(b []byte, v int64) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
