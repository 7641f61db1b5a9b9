# mid(bid, ask): the middle between two prices, rounded down.
import tickwire


@tickwire.function("mid")
def mid(n, c, params):
    for i, (bid, ask) in enumerate(zip(*c.args)):
        c.result[i] = (bid + ask) >> 1
