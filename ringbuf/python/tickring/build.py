"""Builds the shared library of this package from the C header: python3 -m tickring.build [header's directory [output file]].

One call of the C compiler ($CC, else cc), a second or so. The header's directory is ringbuf/c of the tickwire tree, beside
this one, when none is given; the library lies beside this file, or where TICKRING_LIB says when it is loaded.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = os.path.join(HERE, "_tickring.so")


def build(header_dir=None, output=None):
    """Compiles; raises CalledProcessError or FileNotFoundError. Returns the library's path."""
    header_dir = header_dir or os.path.join(HERE, "..", "..", "c")
    output = output or LIBRARY
    partial = output + ".%d" % os.getpid()
    subprocess.run(
        [os.environ.get("CC", "cc"), "-std=gnu99", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
         "-I", header_dir, "-o", partial, os.path.join(HERE, "_tickring.c")],
        check=True,
    )  # fmt: skip
    os.replace(partial, output)  # whoever loads it meanwhile gets a whole one
    return output


if __name__ == "__main__":
    print(build(*sys.argv[1:3]))
