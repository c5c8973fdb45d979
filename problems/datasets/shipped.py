"""Files that ship inside installed packages, found without importing a package, which takes seconds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..errors import MissingDataError

__all__ = ["shipped"]

PROJECTS = {"sklearn": "scikit-learn", "skimage": "scikit-image"}
"""Names on PyPI that are others than that of the package; they come with qubopress itself."""


def shipped(place: str) -> Path:
    """The path of `package`, or of a file or folder in it, `package/inside`.

    Raises:
        MissingDataError: it is not there.
    """
    package, _, inside = place.partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None or not Path(spec.origin).parent.joinpath(inside).exists():
        project = PROJECTS.get(package, package.replace("_", "-"))
        cure = "install it again" if package in PROJECTS else "run: pip install 'qubopress[real]'"
        raise MissingDataError(f"the package {project} must be installed, got no {place}; {cure}")
    return Path(spec.origin).parent / inside
