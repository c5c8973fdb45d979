"""asv_site: let the site that `asv publish` wrote open without a network.

asv's page loads jQuery, flot and Bootstrap from other hosts and shows nothing where it cannot reach them.
Where this machine has Debian's copies, they go beside the page in their place. `make asv-publish` does it by
`qubopress asv-site FOLDER`.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ...problems import InputError

__all__ = ["PACKAGES", "localise"]

LIBRARY = Path("/usr/share/javascript")

COPIES = {
    "jquery-3.3.1.min.js": "jquery/jquery.min.js",
    "jquery.flot.min.js": "jquery-flot/jquery.flot.min.js",
    "jquery.flot.time.min.js": "jquery-flot/jquery.flot.time.min.js",
    "jquery.flot.selection.min.js": "jquery-flot/jquery.flot.selection.min.js",
    "jquery.flot.categories.min.js": "jquery-flot/jquery.flot.categories.min.js",
    "stupidtable.min.js": "jquery-stupidtable/stupidtable.min.js",
    "md5.min.js": "blueimp-md5/md5.min.js",
    "bootstrap.min.js": "bootstrap/js/bootstrap.min.js",
    "bootstrap.min.css": "bootstrap/css/bootstrap.min.css",
}
"""By the name that asv's page asks for."""

SPARED = ("jquery.flot.orderBars.js",)
"""Not in Debian; it only sets bars of a parameter that is no number side by side."""

LABELS = re.compile(r'<script\b[^>]*src="jquery\.flot\.axislabels\.js"[^>]*></script>')
"""asv's own plugin for the names of axes; flot 4, Debian's, has that and would write each name twice."""

LEGEND = "<style>.legendLayer .background { fill: #fff; fill-opacity: 0.85; }</style>"
"""What flot 4 leaves to the page, and asv's was written for flot 0.8; without it the legend is black."""

PACKAGES = "libjs-jquery libjs-jquery-flot libjs-jquery-stupidtable libjs-bootstrap node-blueimp-md5"

TAG = re.compile(r'<(?:script|link)\b[^>]*(?:src|href)="https://[^"]*/([^"/]+)"[^>]*>(?:</script>)?')


def localise(site: Path, *, library: Path = LIBRARY) -> bool:
    """Copy scripts and styles into a site and point its page at them; False where the machine lacks one.

    Raises:
        InputError: there is no site, or its page asks for a file that is not known here.
    """
    page = site / "index.html"
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are no text"
        raise InputError(f"{page} must be a site of asv, got {reason}; run `asv publish`") from None
    wanted = [name for name in TAG.findall(text) if name not in SPARED]
    for name in wanted:
        if name not in COPIES:
            raise InputError(f"{page} must ask for scripts that are known, got {name}; add it to COPIES")
    if not all((library / COPIES[name]).is_file() for name in wanted):
        return False
    for name in wanted:
        shutil.copyfile(library / COPIES[name], site / name)
    page.write_text(LABELS.sub(LEGEND, TAG.sub(_tag, text)), encoding="utf-8")
    return True


def _tag(found: re.Match[str]) -> str:
    name = found[1]
    if name in SPARED:
        return ""
    style = f'<link rel="stylesheet" href="{name}">'
    return style if name.endswith(".css") else f'<script src="{name}"></script>'
