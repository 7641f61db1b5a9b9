package metrics

// meanings are sentences for families that are worth one; the others' help names their counter. docs/metrics.md has them
// all, which a test keeps so.
var meanings = map[string]string{
	"lane_messages_total":            "Venue messages that were decoded, whatever became of them.",
	"lane_rows_total":                "Messages that became rows.",
	"lane_refused_total":             "Messages that a packet promised and the parser could not take.",
	"lane_passes_total":              "Turns of the lane's loop.",
	"lane_gaps_total":                "Gap records published.",
	"lane_unrouted_total":            "Packets of no channel of the feed.",
	"lane_bad_ts_recv_total":         "Packets whose time of arrival lay before the one before.",
	"lane_latency_seconds":           "Time between two stages of a packet's way through the lane.",
	"lane_latency_backwards_total":   "Spans that ended before they began: the clocks of their two stamps do not agree.",
	"channel_messages_total":         "Messages delivered in the venue's order.",
	"channel_gaps_total":             "Holes in the numbers that were noticed.",
	"channel_filled_total":           "Holes that the other line filled.",
	"channel_lost_total":             "Stretches of numbers that were given up.",
	"channel_lost_messages_total":    "Messages that never came.",
	"channel_hold_full_total":        "Holes given up because a bound of holding was reached.",
	"channel_sessions_total":         "Sessions of the venue begun.",
	"channel_skew_seconds":           "Time between a packet's arrival on one line and on the other. The sum is estimated from the buckets.",
	"line_packets_total":             "Packets of the channel's session on the line, heartbeats included.",
	"line_won_total":                 "Packets that brought something new: this line was first.",
	"line_duplicates_total":          "Packets that brought nothing new: the other line was first, or a repeat.",
	"line_foreign_total":             "Packets of another session, dropped.",
	"line_malformed_total":           "Packets whose counts or lengths lie.",
	"line_last_timestamp_seconds":    "Lane's time of the line's last packet, since the Unix epoch; 0: none yet.",
	"udp_packets_total":              "UDP payloads that the sockets handed out.",
	"udp_kernel_drops_total":         "Datagrams that the kernel dropped because a socket's buffer was full.",
	"udp_truncated_total":            "Datagrams longer than is believed, dropped.",
	"afxdp_packets_total":            "UDP payloads that the AF_XDP sockets handed out.",
	"afxdp_hardware_total":           "Packets with the NIC's own stamp.",
	"afxdp_distrust_total":           "NIC's stamps that were not taken, since its clock cannot be trusted.",
	"afxdp_queue_rx_dropped_total":   "Frames that the kernel dropped because they did not fit a chunk, or found none.",
	"afxdp_queue_rx_ring_full_total": "Frames that found the receive ring full.",
	"afxdp_queue_fill_empty_total":   "Frames that found no chunk to be put into.",
	"book_unknown_total":             "Rows that name an order that does not rest, by kind.",
	"book_orders":                    "Resting orders.",
	"book_max_orders":                "Most orders that ever rested at once.",
	"book_bytes":                     "Memory that the books have touched.",
	"itch_messages_by_type_total":    "ITCH messages, by their letter.",
	"store_rows_total":               "Rows taken into the store.",
	"store_evicted_rows_total":       "Rows that left memory because of its bound.",
	"store_lost_records_total":       "Records that the store missed because a ring overtook it.",
	"sql_connections":                "Open SQL connections.",
	"sql_statements_total":           "SQL statements answered.",
	"sql_errors_total":               "SQL statements answered with an error.",
	"sql_refused_total":              "SQL connections refused.",
	"capture_taken_total":            "Packets copied for a capture.",
}

func helpOf(family, pattern string) string {
	if m, ok := meanings[family[len(prefix):]]; ok {
		return m
	}
	return "What the process's counter file has as " + pattern + "."
}
