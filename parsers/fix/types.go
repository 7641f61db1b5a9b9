package fix

// Type is what a field's text may be (FIX, data types).
type Type uint8

// Types; the names of the versions differ, their text does not.
const (
	TypeUnknown Type = iota
	TypeInt
	TypeLength
	TypeSeqNum
	TypeNumInGroup
	TypeDayOfMonth
	TypeFloat // prices, quantities, amounts, percentages too
	TypeChar
	TypeBoolean
	TypeString // currencies, exchanges, countries, languages too
	TypeMultiple
	TypeMultipleChar
	TypeUTCTimestamp
	TypeUTCTime
	TypeDate
	TypeMonthYear
	TypeTZTime
	TypeTZTimestamp
	TypeData
)

func typeOf(name string) Type {
	switch name {
	case "INT":
		return TypeInt
	case "LENGTH":
		return TypeLength
	case "SEQNUM":
		return TypeSeqNum
	case "NUMINGROUP":
		return TypeNumInGroup
	case "DAYOFMONTH":
		return TypeDayOfMonth
	case "FLOAT", "PRICE", "QTY", "QUANTITY", "AMT", "PERCENTAGE", "PRICEOFFSET":
		return TypeFloat
	case "CHAR":
		return TypeChar
	case "BOOLEAN":
		return TypeBoolean
	case "STRING", "CURRENCY", "EXCHANGE", "COUNTRY", "LANGUAGE":
		return TypeString
	case "MULTIPLEVALUESTRING", "MULTIPLESTRINGVALUE":
		return TypeMultiple
	case "MULTIPLECHARVALUE":
		return TypeMultipleChar
	case "UTCTIMESTAMP":
		return TypeUTCTimestamp
	case "UTCTIMEONLY":
		return TypeUTCTime
	case "UTCDATEONLY", "UTCDATE", "LOCALMKTDATE", "DATE":
		return TypeDate
	case "MONTHYEAR":
		return TypeMonthYear
	case "TZTIMEONLY":
		return TypeTZTime
	case "TZTIMESTAMP":
		return TypeTZTimestamp
	case "DATA", "XMLDATA":
		return TypeData
	}
	return TypeUnknown
}

// fits says whether a value, which is not empty, has the form of the type.
func (t Type) fits(b []byte) bool {
	switch t {
	case TypeInt:
		_, ok := Int(b)
		return ok
	case TypeLength, TypeSeqNum, TypeNumInGroup:
		_, ok := Uint(b)
		return ok
	case TypeDayOfMonth:
		v, ok := Uint(b)
		return ok && v >= 1 && v <= 31
	case TypeFloat:
		return isDecimal(b)
	case TypeChar:
		return len(b) == 1
	case TypeBoolean:
		return len(b) == 1 && (b[0] == 'Y' || b[0] == 'N')
	case TypeUTCTimestamp:
		_, ok := Timestamp(b)
		return ok
	case TypeUTCTime:
		_, ok := TimeOfDay(b)
		return ok
	case TypeDate:
		_, ok := Date(b)
		return ok
	case TypeMonthYear:
		return isMonthYear(b)
	case TypeTZTime:
		return len(b) >= len("HH:MM") && b[2] == ':'
	case TypeTZTimestamp:
		return len(b) > len("YYYYMMDD-HH:MM") && b[8] == '-' && b[11] == ':'
	}
	return true
}

func isDecimal(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	points := 0
	for _, c := range b {
		if c == '.' {
			points++
		} else if c-'0' > 9 {
			return false
		}
	}
	return points <= 1 && len(b) > points
}

func isMonthYear(b []byte) bool {
	if len(b) != 6 && len(b) != 8 {
		return false
	}
	month, ok := Uint(b[4:6])
	if _, year := Uint(b[:4]); !year || !ok || month < 1 || month > 12 {
		return false
	}
	if len(b) == 8 && b[6] == 'w' {
		return b[7] >= '1' && b[7] <= '5'
	}
	if len(b) == 8 {
		day, ok := Uint(b[6:])
		return ok && day >= 1 && day <= 31
	}
	return true
}
