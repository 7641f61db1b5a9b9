# Adds the spread of the best prices to each row. Prices are whole numbers in 1e-9.
import tickwire


@tickwire.transform
def spread(n, c, params):
    for i, (bid, ask) in enumerate(zip(c.bid_px, c.ask_px)):
        if bid != tickwire.UNDEF_PRICE and ask != tickwire.UNDEF_PRICE:
            c.spread[i] = ask - bid  # it is 0 otherwise
