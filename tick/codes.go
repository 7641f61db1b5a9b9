package tick

// Status actions and reasons, statistics types: code values of DBN sections 4.10 and 4.13.
const (
	StatusNone            uint16 = 0
	StatusPreOpen         uint16 = 1
	StatusQuoting         uint16 = 3
	StatusCross           uint16 = 4
	StatusPriceIndication uint16 = 6
	StatusTrading         uint16 = 7
	StatusHalt            uint16 = 8
	StatusPause           uint16 = 9
	StatusSuspend         uint16 = 10
	StatusPreClose        uint16 = 11
	StatusClose           uint16 = 12
	StatusPostClose       uint16 = 13
	StatusSSRChange       uint16 = 14
	StatusNotAvail        uint16 = 15
)

// TradingState says that a status with this action tells the instrument's trading state. The others stand beside it and leave it as it was: no action (a
// venue's "no change", or an event such as implied matching), a new price indication, a restriction of short sales.
func TradingState(action uint16) bool {
	switch action {
	case StatusNone, StatusPriceIndication, StatusSSRChange:
		return false
	}
	return true
}

const (
	ReasonNone                 uint16 = 0
	ReasonScheduled            uint16 = 1
	ReasonSurveillance         uint16 = 2
	ReasonMarketEvent          uint16 = 3
	ReasonRegulatory           uint16 = 10
	ReasonAdministrative       uint16 = 11
	ReasonNonCompliance        uint16 = 12
	ReasonFilingsNotCurrent    uint16 = 13
	ReasonSECSuspension        uint16 = 14
	ReasonNewIssue             uint16 = 15
	ReasonIssueAvailable       uint16 = 16
	ReasonIssuesReviewed       uint16 = 17
	ReasonFilingReqsSatisfied  uint16 = 18
	ReasonNewsPending          uint16 = 30
	ReasonNewsReleased         uint16 = 31
	ReasonNewsAndResumption    uint16 = 32
	ReasonNewsNotForthcoming   uint16 = 33
	ReasonLULDPause            uint16 = 50
	ReasonOperational          uint16 = 60
	ReasonInformationRequested uint16 = 70
	ReasonETF                  uint16 = 90
	ReasonCorporateAction      uint16 = 100
	ReasonNewOffering          uint16 = 110
	ReasonMarketWideLevel1     uint16 = 120
	ReasonMarketWideLevel2     uint16 = 121
	ReasonMarketWideLevel3     uint16 = 122
	ReasonMarketWideCarryOver  uint16 = 123
	ReasonMarketWideResumption uint16 = 124
	ReasonQuotationNotAvail    uint16 = 130
)

const (
	StatOpeningPrice    uint16 = 1
	StatClosePrice      uint16 = 11
	StatUncrossingPrice uint16 = 16
	StatBreakerLevel1   uint16 = 21 // market-wide circuit breaker, index value
	StatBreakerLevel2   uint16 = 22
	StatBreakerLevel3   uint16 = 23
	StatCollarReference uint16 = 24
	StatCollarUpper     uint16 = 25
	StatCollarLower     uint16 = 26
)

// UndefQuantity is a statistics quantity that is not set.
const UndefQuantity = int64(^uint64(0) >> 1)
