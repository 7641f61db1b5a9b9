# Brings prices of a venue that quotes in another unit to the unit of everybody else: price × multiplier ÷ divisor, rounded half away from zero.
# What the venue said goes to the custom column raw_price. A price that would not fit stays as it is, and its row is flagged.
import tickwire

TOO_LARGE = 0


@tickwire.transform
def normalise(n, c, params):
    most = (2**63 - 1) // params.multiplier
    price, divisor = c.price, params.divisor
    for i, px in enumerate(price):
        c.raw_price[i] = px
        if px == tickwire.UNDEF_PRICE:
            continue
        if abs(px) > most:
            c.row_ctl[i] = tickwire.FLAG
            c.reason[i] = TOO_LARGE
            continue
        whole, rest = divmod(abs(px) * params.multiplier, divisor)
        whole += rest * 2 >= divisor
        price[i] = whole if px >= 0 else -whole
