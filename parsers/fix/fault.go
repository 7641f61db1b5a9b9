package fix

import "strconv"

// Reason is a SessionRejectReason (373).
type Reason int

// Reasons of 373 that a codec can find.
const (
	ReasonTagNumber    Reason = 0
	ReasonRequired     Reason = 1
	ReasonNotOfType    Reason = 2
	ReasonUndefined    Reason = 3
	ReasonNoValue      Reason = 4
	ReasonValue        Reason = 5
	ReasonFormat       Reason = 6
	ReasonMsgType      Reason = 11
	ReasonTwice        Reason = 13
	ReasonOrder        Reason = 14
	ReasonGroupOrder   Reason = 15
	ReasonNumInGroup   Reason = 16
	ReasonValueHasSOH  Reason = 17
	ReasonGarbled      Reason = -1 // not for a Reject: such a message is ignored
	reasonNone         Reason = -2
	reasonOther        Reason = 99
	lastReasonOf42            = 11
	textOfUnknownFault        = "other fault"
)

var reasonTexts = map[Reason]string{
	ReasonTagNumber:   "invalid tag number",
	ReasonRequired:    "required tag missing",
	ReasonNotOfType:   "tag not defined for this message type",
	ReasonUndefined:   "undefined tag",
	ReasonNoValue:     "tag specified without a value",
	ReasonValue:       "value is incorrect (out of range) for this tag",
	ReasonFormat:      "incorrect data format for value",
	ReasonMsgType:     "invalid MsgType",
	ReasonTwice:       "tag appears more than once",
	ReasonOrder:       "tag specified out of required order",
	ReasonGroupOrder:  "repeating group fields out of order",
	ReasonNumInGroup:  "incorrect NumInGroup count for repeating group",
	ReasonValueHasSOH: "non-data value includes field delimiter (SOH character)",
	ReasonGarbled:     "garbled: not a sequence of tag=value that begins with 8, 9, 35 and ends with 10",
}

// Fault is what is wrong with a message, and at which field.
type Fault struct {
	Reason Reason
	Tag    uint32 // 371, 0: no field in particular
}

// Text is what field 58 of a Reject says.
func (f *Fault) Text() string {
	if t, ok := reasonTexts[f.Reason]; ok {
		return t
	}
	return textOfUnknownFault
}

// Code is field 373 for a version's BeginString; ok is false where that version has none for it: the Reject goes without.
func (f *Fault) Code(beginString string) (code int, ok bool) {
	if f.Reason < 0 || beginString == "FIX.4.2" && f.Reason > lastReasonOf42 {
		return 0, false
	}
	return int(f.Reason), true
}

func (f *Fault) Error() string {
	s := "fix: "
	if f.Tag != 0 {
		s += "tag " + strconv.FormatUint(uint64(f.Tag), 10) + ": "
	}
	return s + f.Text()
}
