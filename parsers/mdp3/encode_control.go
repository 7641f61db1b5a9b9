package mdp3

// AppendHeartbeat is template 12, AdminHeartbeat.
func (v Encoder) AppendHeartbeat(dst []byte) []byte {
	dst, at := v.begin(dst, 12, 0)
	return end(dst, at)
}

// AppendLogin is template 15, AdminLogin: the replay service's confirmation.
func (v Encoder) AppendLogin(dst []byte, heartBtInt int8) []byte {
	dst, at := v.begin(dst, 15, 1)
	dst[at+10] = byte(heartBtInt)
	return end(dst, at)
}

// AppendLogout is template 16, AdminLogout. Of reason only the first 180 bytes are sent.
func (v Encoder) AppendLogout(dst []byte, reason string) []byte {
	dst, at := v.begin(dst, 16, 180)
	text(dst, at+10, 180, reason[:min(len(reason), 180)])
	return end(dst, at)
}

// AppendChannelReset is template 4, ChannelReset: all books of the channel are void.
func (v Encoder) AppendChannelReset(dst []byte, transact uint64, indicator byte, channel int16) []byte {
	dst, at := v.begin(dst, 4, 9)
	u64at(dst, at+10, transact)
	dst[at+18] = indicator
	dst = groupHead(dst, 2, 1)
	return end(enc.AppendUint16(dst, uint16(channel)), at)
}

// WireStatus is template 30.
type WireStatus struct {
	TransactTime uint64
	Group, Asset string // at most 6 characters
	Security     int32  // WireNoInt: the whole group, or asset
	TradeDate    uint16
	Indicator    byte
	Trading      uint8 // SecurityTradingStatus
	Reason       uint8 // HaltReason
	Event        uint8 // SecurityTradingEvent
}

// AppendStatus is template 30, SecurityStatus.
func (v Encoder) AppendStatus(dst []byte, s *WireStatus) []byte {
	dst, at := v.begin(dst, 30, 30)
	b := dst[at+10:]
	u64at(b, 0, s.TransactTime)
	text(b, 8, 6, s.Group)
	text(b, 14, 6, s.Asset)
	u32at(b, 20, uint32(s.Security))
	u16at(b, 24, s.TradeDate)
	b[26], b[27], b[28], b[29] = s.Indicator, s.Trading, s.Reason, s.Event
	return end(dst, at)
}
