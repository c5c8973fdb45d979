"""The frame of every page: its templates, style sheet and script, and the data of its figures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from . import number_texts
from .figures import Figure
from .meanings import MEANINGS

__all__ = ["page", "render", "script_json"]

HERE = Path(__file__).parent


def page(template: str, *, title: str, figures: Sequence[Figure] = (), **values: Any) -> str:
    """A whole page from a template that extends the frame, with plotly.js inside where figures are drawn."""
    drawn = [_axes(one) for one in figures]
    return render(
        template,
        title=title,
        style=_file("style.css"),
        script=_file("script.js"),
        plotly=Markup(get_plotlyjs()) if drawn else "",  # noqa: S704 - not a stranger's
        figures=Markup(script_json(drawn)),  # noqa: S704 - cannot end its element
        **values,
    )


def _axes(figure: Figure) -> dict[str, Any]:
    """What the script draws, and what it draws instead over the solvers' own work."""
    drawn: dict[str, Any] = {"data": figure.data, "layout": figure.layout}
    return drawn if figure.over_work is None else drawn | {"work": figure.over_work}


def render(template: str, **values: Any) -> Markup:
    """A template with its values escaped, save those that a template made."""
    return Markup(_TEMPLATES.get_template(template).render(values))  # noqa: S704 - escaped by the template


def script_json(value: Any) -> str:
    """Strict JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _file(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - our own


def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {name: getattr(number_texts, name) for name in number_texts.__all__ if name.islower()}
    made.globals |= {"meanings": MEANINGS, "DASH": number_texts.DASH, "rough": number_texts.rough}
    made.tests |= {"finite": math.isfinite, "infinite": math.isinf}
    return made


_TEMPLATES = _templates()
