package manifest

import (
	"errors"
	"fmt"
)

// columnsOf checks names of columns of a batch. Further ones may be custom columns of plugins before this one in the chain: others tells of them.
func columnsOf(key string, names []string, fits func(Column) bool, others bool) error {
	seen := map[string]bool{}
	for _, name := range names {
		c, ok := ColumnNamed(name)
		switch {
		case seen[name]:
			return fmt.Errorf("%s: %s twice", key, name)
		case ok && !fits(c):
			return fmt.Errorf("%s: column %s cannot be there", key, name)
		case !ok && (!others || !unitName.MatchString(name)):
			return fmt.Errorf("%s: no column %q", key, name)
		}
		seen[name] = true
	}
	return nil
}

func (u *Unit) check() error {
	named := u.Kind != Transform && u.Kind != Validator
	switch {
	case named && !unitName.MatchString(u.Name):
		return fmt.Errorf("name %q: want a-z, then a-z, 0-9 and _, 63 at most", u.Name)
	case !named && u.Name != "":
		return errors.New("has no name: there is one a module")
	}
	reads := func() error {
		return columnsOf("reads", u.Reads, func(c Column) bool { return !c.Hidden }, u.Kind != Partition)
	}
	switch u.Kind {
	case Transform:
		if err := columnsOf("writes", u.Writes, func(c Column) bool { return c.Writable }, false); err != nil {
			return err
		}
		if len(u.Writes)+len(u.Custom) == 0 {
			return errors.New("writes and custom: there is none, so it changes nothing")
		}
		if err := u.customs(); err != nil {
			return err
		}
		return errors.Join(reads(), u.reasons())
	case Validator:
		if len(u.Writes) > 0 {
			return errors.New("writes: a validator writes its verdicts, nothing else")
		}
		return errors.Join(reads(), u.reasons())
	case Function, Aggregate:
		if len(u.Args) > MostArgs {
			return fmt.Errorf("args: %d, but at most %d", len(u.Args), MostArgs)
		}
		if u.Returns == 0 {
			return errors.New("returns is missing")
		}
		if u.Kind == Aggregate && (u.StateBytes < 1 || u.StateBytes > 4096) {
			return fmt.Errorf("state_bytes %d is not within 1 and 4096", u.StateBytes)
		}
	case Parser:
		if len(u.Writes) == 0 {
			return errors.New("writes: there is none, so it makes no rows")
		}
		return columnsOf("writes", u.Writes, func(c Column) bool { return c.Parsed }, false)
	case Serializer:
		return reads()
	case Partition:
		if len(u.Reads) == 0 {
			return errors.New("reads: there is none, so all keys are the same")
		}
		return reads()
	case TypeKind:
		if w := u.Base; w != I64 && w != U64 && w != F64 && w != Str {
			return fmt.Errorf("base %s is none of i64, u64, f64, str", w)
		}
	case Codec, Index:
		if u.Type == 0 || u.Type == Str && u.Kind == Codec {
			return errors.New("type is missing, or is str")
		}
		if u.Kind == Index && len(u.Strategies) == 0 {
			return errors.New("strategies: there is none to advise")
		}
	default:
		return fmt.Errorf("kind %q is not known; this tickwire has %v", u.Kind, Kinds)
	}
	return nil
}

func (u *Unit) customs() error {
	if len(u.Custom) > MostCustom {
		return fmt.Errorf("custom: %d columns, but at most %d", len(u.Custom), MostCustom)
	}
	seen := map[string]bool{}
	for _, c := range u.Custom {
		_, taken := ColumnNamed(c.Name)
		switch {
		case !unitName.MatchString(c.Name) || seen[c.Name]:
			return fmt.Errorf("custom: name %q: want a-z, then a-z, 0-9 and _, each once", c.Name)
		case taken:
			return fmt.Errorf("custom: %s is a column of every row", c.Name)
		case c.Type != I64 && c.Type != F64 && c.Type != Price && c.Type != Time:
			return fmt.Errorf("custom: %s is %s, none of i64, f64, price, time", c.Name, c.Type)
		}
		seen[c.Name] = true
	}
	return nil
}

func (u *Unit) reasons() error {
	if len(u.Reasons) > 255 {
		return fmt.Errorf("reasons: %d, but at most 255", len(u.Reasons))
	}
	for i, r := range u.Reasons {
		if r == "" || len(r) > 200 {
			return fmt.Errorf("reasons[%d]: want 1 to 200 bytes", i)
		}
	}
	return nil
}
