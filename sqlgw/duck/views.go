//go:build cgo

package duck

import (
	"fmt"
	"strings"

	"github.com/tickwire/tickwire/store"
)

// viewsOf are the names by which a table can be asked for: orders and public.orders, or tickwire.counters alone.
func viewsOf(t *store.Table) []string {
	source := "SELECT * FROM " + functionName(t) + "()"
	if strings.Contains(t.Name, ".") {
		return []string{"CREATE VIEW " + t.Name + " AS " + source}
	}
	return []string{
		fmt.Sprintf("CREATE VIEW %s AS %s", t.Name, source),
		fmt.Sprintf("CREATE VIEW public.%s AS %s", t.Name, source),
	}
}

func functionName(t *store.Table) string { return "tickwire_" + strings.ReplaceAll(t.Name, ".", "_") }

// bars are trades by the time they begin in. seq, not ts, says which trade was first: several share a time.
func bars(name string, ns int64) []string {
	query := fmt.Sprintf(`SELECT make_timestamptz(ts_ns // %[1]d * %[1]d // 1000) AS ts, ts_ns // %[1]d * %[1]d AS ts_ns, symbol, venue,
  arg_min(price, seq) AS open, max(price) AS high, min(price) AS low, arg_max(price, seq) AS close,
  sum(size)::BIGINT AS volume, (sum(price::DECIMAL(38,9) * size) / nullif(sum(size), 0))::DECIMAL(18,9) AS vwap, count(*) AS trades
FROM tickwire_trades() GROUP BY ts_ns // %[1]d, symbol, venue`, ns)
	return []string{"CREATE VIEW " + name + " AS " + query, "CREATE VIEW public." + name + " AS " + query}
}

// derived are the views over other tables.
var derived = func() (all []string) {
	for _, name := range []string{"market_data", "realtime_market_data"} {
		query := `SELECT ts AS timestamp, symbol, last_px AS price, last_sz AS volume, bid_px AS bid_price, ask_px AS ask_price,
  bid_sz AS bid_size, ask_sz AS ask_size, venue AS exchange_id, action AS message_type, sequence AS sequence_number FROM tickwire_ticks()`
		all = append(all, "CREATE VIEW "+name+" AS "+query, "CREATE VIEW public."+name+" AS "+query)
	}
	all = append(all, bars("bars_1s", 1e9)...)
	return append(all, bars("bars_1m", 60e9)...)
}()

// Needs says which of the store's tables a name in a statement reads.
func Needs(name string) []string {
	switch name {
	case "market_data", "realtime_market_data":
		return []string{"ticks"}
	case "bars_1s", "bars_1m":
		return []string{"trades"}
	}
	return []string{name}
}
