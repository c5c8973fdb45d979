"""`python -m qubopress.suites.cli` is the command `qubopress`."""

from . import main

if __name__ == "__main__":
    main()
