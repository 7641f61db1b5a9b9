package ringbuf

import (
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// Helpers that put records of several types into one payload and find them again. All may be called on the hot path.

// RType is the record type in the slot, tick.RType….
func (e *EventSlot) RType() uint8 { return e.Header().RType }

// Header is the header that every record begins with. It points into e.
func (e *EventSlot) Header() *tick.Header { return (*tick.Header)(unsafe.Pointer(e)) }

// PutStatus makes e hold s.
func (e *EventSlot) PutStatus(s *tick.Status) {
	*e = EventSlot{}
	*(*tick.Status)(unsafe.Pointer(e)) = *s
}

// PutImbalance makes e hold i.
func (e *EventSlot) PutImbalance(i *tick.Imbalance) {
	*e = EventSlot{}
	*(*tick.Imbalance)(unsafe.Pointer(e)) = *i
}

// PutStatistics makes e hold s.
func (e *EventSlot) PutStatistics(s *tick.Statistics) {
	*e = EventSlot{}
	*(*tick.Statistics)(unsafe.Pointer(e)) = *s
}

// PutGap makes e hold g.
func (e *EventSlot) PutGap(g *tick.Gap) {
	*e = EventSlot{}
	*(*tick.Gap)(unsafe.Pointer(e)) = *g
}

// Status is the record in e, nil when it is of another type. It points into e, as do the following.
func (e *EventSlot) Status() *tick.Status {
	if e.RType() != tick.RTypeStatus {
		return nil
	}
	return (*tick.Status)(unsafe.Pointer(e))
}

// Imbalance is the record in e, nil when it is of another type.
func (e *EventSlot) Imbalance() *tick.Imbalance {
	if e.RType() != tick.RTypeImbalance {
		return nil
	}
	return (*tick.Imbalance)(unsafe.Pointer(e))
}

// Statistics is the record in e, nil when it is of another type.
func (e *EventSlot) Statistics() *tick.Statistics {
	if e.RType() != tick.RTypeStatistics {
		return nil
	}
	return (*tick.Statistics)(unsafe.Pointer(e))
}

// Gap is the record in e, nil when it is of another type.
func (e *EventSlot) Gap() *tick.Gap {
	if e.RType() != tick.RTypeGap {
		return nil
	}
	return (*tick.Gap)(unsafe.Pointer(e))
}

// PutStatusMbo lays a status record into the place of an order event, as the mbo ring carries it: 40 bytes, zeros after.
func PutStatusMbo(dst *tick.Mbo, s *tick.Status) {
	*dst = tick.Mbo{}
	*(*tick.Status)(unsafe.Pointer(dst)) = *s
}

// PutGapMbo lays a gap record into the place of an order event.
func PutGapMbo(dst *tick.Mbo, g *tick.Gap) { *(*tick.Gap)(unsafe.Pointer(dst)) = *g }

// StatusOfMbo is the status record that lies in the place of an order event, nil when another one does. It points into m.
func StatusOfMbo(m *tick.Mbo) *tick.Status {
	if m.RType != tick.RTypeStatus {
		return nil
	}
	return (*tick.Status)(unsafe.Pointer(m))
}

// GapOfMbo is the gap record that lies in the place of an order event, nil when another one does. It points into m.
func GapOfMbo(m *tick.Mbo) *tick.Gap {
	if m.RType != tick.RTypeGap {
		return nil
	}
	return (*tick.Gap)(unsafe.Pointer(m))
}

// tsRecvOf finds the receive time in a payload by its record type, and takes the event's time where there is none.
func tsRecvOf(payload unsafe.Pointer) uint64 {
	switch h := (*tick.Header)(payload); h.RType {
	case tick.RTypeMbo:
		return (*tick.Mbo)(payload).TsRecv
	case tick.RTypeTrade, tick.RTypeMbp1, tick.RTypeMbp10:
		return (*tick.Trade)(payload).TsRecv
	case tick.RTypeStatus, tick.RTypeImbalance, tick.RTypeStatistics:
		return (*tick.Status)(payload).TsRecv
	case tick.RTypeCmbp1:
		return (*tick.Cmbp1)(payload).TsRecv
	case tick.RTypeGap:
		return (*tick.Gap)(payload).TsRecv
	default:
		return h.TsEvent
	}
}
