"""What mkdocs calls: the generated pages, their place in the menu, and the packages for the reference."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import pages  # a neighbour, which mkdocs does not put on the path

ROOT = pages.DOCS.parent

_made: dict[str, str] = {}


def on_startup(**_: Any) -> None:
    """Lay the four folders out as the package they are installed as, before mkdocstrings looks for it."""
    sources = ROOT / "build" / "qubopress-sources" / "qubopress"
    sources.mkdir(parents=True, exist_ok=True)
    for name in pages.PACKAGES:
        if not (sources / name).is_symlink():
            (sources / name).symlink_to(Path("..", "..", "..", name), target_is_directory=True)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the pages and list them in the menu."""
    _made.update(pages.pages())
    for section in config.nav or []:
        _fill(section)
    return config


def _fill(section: dict[str, Any]) -> None:
    """Give the menu's empty sections the generated pages of their folder, the index first."""
    for title, entries in section.items():
        if entries == []:
            paths = [path for path in _made if path.startswith(f"{title.lower()}/")]
            section[title] = sorted(paths, key=lambda path: (not path.endswith("/index.md"), path[:-3]))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those in the folder."""
    for path, text in _made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the scoring policy, in the words of the code, where a page asks for it."""
    return markdown.replace("<!-- scoring policy -->", pages.policy())
