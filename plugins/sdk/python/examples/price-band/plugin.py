# Flags (or refuses) orders and trades whose price is further than band_bp basis points from the instrument's last trade. The trade itself is the last one from
# then on, so the band follows the market whatever was said of it. Before an instrument's first trade there is nothing to go by.
import tickwire

OUTSIDE = 0
K = tickwire.KIND
trades, orders = {K.EXEC, K.EXEC_AT, K.TRADE}, {K.ADD, K.REPLACE, K.MODIFY}
last_trade = {}  # by instrument


@tickwire.validator
def band(n, c, params):
    verdict = tickwire.REFUSE if params.refuse else tickwire.FLAG
    for i, (kind, instrument, px) in enumerate(zip(c.kind, c.instrument_id, c.price)):
        trade = kind in trades
        if instrument == 0 or px == tickwire.UNDEF_PRICE or not (trade or kind in orders):
            continue
        last = last_trade.get(instrument, 0)
        if last > 0 and abs(px - last) > last // 10000 * params.band_bp:
            c.row_ctl[i] = verdict
            c.reason[i] = OUTSIDE
        if trade:
            last_trade[instrument] = px
