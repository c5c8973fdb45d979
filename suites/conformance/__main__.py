"""The process that checks, as `checking` starts it: `python -m` this, with FD NAME PLUGINS FIRST."""

import sys

from .checking import main

if __name__ == "__main__":
    main(sys.argv[1:])
