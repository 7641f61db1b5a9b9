package fix

// Times as text: YYYYMMDD-HH:MM:SS with an optional point and 1 to 12 digits, of which those beyond ns are cut. UTC. Seconds may be 60.

const (
	nsPerSecond = 1_000_000_000
	nsPerDay    = 86_400 * nsPerSecond
)

// Timestamp reads UTCTIMESTAMP, ns since the Unix epoch, from 1970 to 2553. Hot path.
func Timestamp(b []byte) (ns uint64, ok bool) {
	if len(b) < len("YYYYMMDD-HH:MM:SS") || b[8] != '-' {
		return 0, false
	}
	day, ok := Date(b[:8])
	if !ok {
		return 0, false
	}
	time, ok := TimeOfDay(b[9:])
	return day + time, ok
}

// TimeOfDay reads UTCTIMEONLY, ns since midnight. Hot path.
func TimeOfDay(b []byte) (ns uint64, ok bool) {
	if len(b) < len("HH:MM:SS") || b[2] != ':' || b[5] != ':' {
		return 0, false
	}
	h, m, s := pair(b), pair(b[3:]), pair(b[6:])
	if h > 23 || m > 59 || s > 60 {
		return 0, false
	}
	ns = uint64(h*3600+m*60+s) * nsPerSecond
	if len(b) == len("HH:MM:SS") {
		return ns, true
	}
	fraction := b[len("HH:MM:SS"):]
	if fraction[0] != '.' || len(fraction) < 2 || len(fraction) > 1+12 {
		return 0, false
	}
	unit := uint64(nsPerSecond)
	for _, c := range fraction[1:] {
		if c -= '0'; c > 9 {
			return 0, false
		}
		unit /= 10
		ns += uint64(c) * unit
	}
	return ns, true
}

// Date reads YYYYMMDD, ns from the Unix epoch to its begin, from 1970 to 2553. Hot path.
func Date(b []byte) (ns uint64, ok bool) {
	if len(b) != 8 {
		return 0, false
	}
	hi, lo, month, day := pair(b), pair(b[2:]), pair(b[4:]), pair(b[6:])
	if hi > 99 || lo > 99 || month < 1 || month > 12 || day < 1 {
		return 0, false
	}
	year := hi*100 + lo
	leap := year%4 == 0 && (year%100 != 0 || year%400 == 0)
	last := daysOf[month-1]
	if leap && month == 2 {
		last = 29
	}
	if year < 1970 || year > 2553 || day > last {
		return 0, false
	}
	return dayNumber(year, month, day) * nsPerDay, true
}

var daysOf = [12]uint{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// dayNumber counts days from 1 January 1970 on. A year that begins in March has its leap day at its end.
func dayNumber(year, month, day uint) uint64 {
	if month <= 2 {
		year, month = year-1, month+12
	}
	days := 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1
	return uint64(days) - 719_468
}

// pair is two digits, above 99 if they are none.
func pair(b []byte) uint {
	hi, lo := uint(b[0]-'0'), uint(b[1]-'0')
	if hi > 9 || lo > 9 {
		return 255
	}
	return hi*10 + lo
}

// AppendTimestamp appends a time, ns since the Unix epoch, as UTCTIMESTAMP with so many digits behind the point (0, 3, 6, 9).
func AppendTimestamp(dst []byte, ns uint64, digits int) []byte {
	dst = AppendDate(dst, ns)
	return AppendTimeOfDay(append(dst, '-'), ns, digits)
}

// AppendDate appends the day of a time as YYYYMMDD.
func AppendDate(dst []byte, ns uint64) []byte {
	days := ns/nsPerDay + 719_468 // since 1 March of year 0
	era := days / 146_097
	of := days % 146_097
	year := (of - of/1460 + of/36_524 - of/146_096) / 365
	of -= 365*year + year/4 - year/100
	month := (5*of + 2) / 153
	day := of - (153*month+2)/5 + 1
	year += 400 * era
	if month += 3; month > 12 {
		month -= 12
		year++
	}
	dst = appendPair(appendPair(dst, year/100), year%100)
	return appendPair(appendPair(dst, month), day)
}

// AppendTimeOfDay appends the time of day of a time as UTCTIMEONLY.
func AppendTimeOfDay(dst []byte, ns uint64, digits int) []byte {
	ns %= nsPerDay
	s := ns / nsPerSecond
	dst = append(appendPair(dst, s/3600), ':')
	dst = append(appendPair(dst, s/60%60), ':')
	dst = appendPair(dst, s%60)
	if digits <= 0 {
		return dst
	}
	dst = append(dst, '.')
	fraction, unit := ns%nsPerSecond, uint64(nsPerSecond/10)
	for range min(digits, 9) {
		dst = append(dst, byte('0'+fraction/unit))
		fraction, unit = fraction%unit, max(unit/10, 1)
	}
	return dst
}

func appendPair(dst []byte, v uint64) []byte { return append(dst, byte('0'+v/10), byte('0'+v%10)) }
