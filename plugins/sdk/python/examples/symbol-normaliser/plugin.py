# Writes symbols one way, whichever way venues do: capital letters, and one dot where there is a space, slash, hyphen, underscore or dot, none at the ends.
# "brk/b", "BRK B" and " BRK-B " are BRK.B. One of which nothing is left, or that has
# other bytes than printable ASCII, is none: it is emptied, and the instrument keeps the symbol that it has.
import re
import tickwire

parts = re.compile(r"[ /\-_.]+")
other = re.compile(r"[^!-~]")


def normal(symbol):
    s = parts.sub(".", symbol).strip(".")
    return "" if other.search(s) else s.upper()


@tickwire.transform
def normalise(n, c, params):
    for i in range(n):
        c.symbol[i] = normal(c.symbol[i])
