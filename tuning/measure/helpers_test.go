package measure

import (
	"strconv"
	"unsafe"
)

func ptr[T any](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }
