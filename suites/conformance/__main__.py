"""The process that checks: `python -m qubopress.suites.conformance FD NAME PLUGINS FIRST`, as `checking` starts it."""

import sys

from .checking import main

if __name__ == "__main__":
    main(sys.argv[1:])
