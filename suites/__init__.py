"""Problems × solvers × seeds × budgets: suites, the harness that runs them, and the command line."""

from .compress import compress
from .harness import Progress, Run, run
from .suite import Suite, load, suite_names
from .verify import Falsehood, verify

__all__ = ["Falsehood", "Progress", "Run", "Suite", "compress", "load", "run", "suite_names", "verify"]
