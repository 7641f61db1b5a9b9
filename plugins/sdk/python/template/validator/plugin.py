# Flags rows whose price is not above zero.
import tickwire

NOT_ABOVE_ZERO = 0  # index into the manifest's reasons


@tickwire.validator
def positive(n, c, params):
    for i, px in enumerate(c.price):
        if px <= 0:
            c.row_ctl[i] = tickwire.FLAG
            c.reason[i] = NOT_ABOVE_ZERO
