"""Pages made from the registries: one a solver, one a family, the suites, and the public names.

Nobody writes these pages, so no solver and no formulation can be forgotten. What a registry cannot know, when
to use what, stands in `docs/when.toml`.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from qubopress import problems, results, solvers, suites
from qubopress.problems.datasets.dataset import DATASETS
from qubopress.problems.networks.zoo import NETWORKS, REAL
from qubopress.problems.tasks.kinds import kind_of
from qubopress.results.markdown import markdown_table
from qubopress.results.scoring import scores
from qubopress.suites.cli.app import app

__all__ = ["DOCS", "PACKAGES", "WHEN", "families", "pages", "policy", "sections"]

DOCS = Path(__file__).resolve().parent.parent
RESULTS = DOCS.parent / "results" / "data"

PACKAGES = {"problems": problems, "solvers": solvers, "suites": suites, "results": results}

WHEN: dict[str, dict[str, str]] = tomllib.loads((DOCS / "when.toml").read_text(encoding="utf-8"))

SHAPES = {
    problems.Rounding: "a layer: neurons that share one Gram matrix, a level for each weight",
    problems.Qubo: "xᵀQx over bits, nothing else",
    problems.Capacity: "a Qubo of which exactly K ones, or costs of at most K, are kept",
    problems.BlackBox: "a loss that must be asked for, bits in and number out, and is counted",
}

HEADINGS = ("Parameters", "Attributes", "Returns", "Raises", "References")


def pages() -> dict[str, str]:
    """Markdown of every generated page, by its path below `docs`."""
    made = {"solvers/index.md": _solver_index(), "problems/index.md": _family_index(), "suites.md": _suites()}
    made |= {f"solvers/{name}.md": _solver(solvers.get(name)) for name in solvers.names()}
    made |= {f"problems/{family}.md": _family(family) for family in families()}
    made |= {f"reference/{name}.md": _reference(name) for name in PACKAGES}
    made["reference/commands.md"] = _commands()
    return made


def families() -> list[str]:
    """Families of the registered formulations, in alphabetical order."""
    return sorted({problems.get(name).family for name in problems.names()})


def policy() -> str:
    """The scoring policy as a list, in the words of the file that scores."""
    return "\n".join(f"- {_prose(point)}" for point in scores.POLICY)


def sections(docstring: str) -> dict[str, str]:
    """A docstring's prose under "" and each of its headed parts under its heading."""
    parts = re.split(rf"^({'|'.join(HEADINGS)}):\n", docstring, flags=re.MULTILINE)
    named = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {"": parts[0].strip(), **{name: inspect.cleandoc(text) for name, text in named.items()}}


# ---- solvers


def _solver_index() -> str:
    blocks = [
        "# Solvers",
        "A solver declares the shapes of instance that it searches itself. The others it reaches through an "
        "adapter, which the record names: a layer neuron by neuron, a capacity through the field search.",
    ]
    for shape, meaning in SHAPES.items():
        found = [entry for entry in map(solvers.get, solvers.names()) if shape in entry.accepts]
        rows = [(f"[{one.name}]({one.name}.md)", _cell(one.summary), _cell(one.reference)) for one in found]
        blocks += [f"## {shape.__name__}", f"{meaning[0].upper()}{meaning[1:]}."]
        blocks += [_table(("solver", "what it does", "source"), rows)]
    return "\n\n".join(blocks)


def _solver(entry: solvers.Entry) -> str:
    said = sections(inspect.getdoc(entry.search) or "")
    title, method = _opening(entry.search)
    blocks = [f"# {entry.name}", title, "## Method"]
    blocks += [_prose(text) for text in (method, said[""]) if text]
    blocks += ["## When to use it", WHEN["solvers"].get(entry.name, "Nobody has said yet.")]
    blocks += ["## Facts", _table(("fact", "value"), _facts(entry))]
    blocks += ["## Parameters", _parameters(entry, said.get("Parameters", ""))]
    blocks += list(_stored(entry.name))
    return "\n\n".join(blocks)


def _facts(entry: solvers.Entry) -> list[tuple[str, str]]:
    cut = "yes" if entry.anytime else "no: its schedule depends on the budget"
    most = {"variables": entry.max_variables, "couplings": entry.max_couplings}
    limit = " or ".join(f"{number:,} {what}" for what, number in most.items() if number is not None)
    inside = [name for name, suite in _loaded() if entry.name in {one.name for one in suite.solvers}]
    return [
        ("accepts", ", ".join(f"`{shape.__name__}`" for shape in entry.accepts)),
        ("source", _cell(entry.reference) or "none"),
        ("proves optima", "yes" if entry.exact else "no"),
        ("a trace may be cut at a shorter budget", cut),
        ("declines beyond", limit or "none"),
        ("file", f"`{_file(entry.search)}`"),
        ("in the suites", ", ".join(f"`{name}`" for name in inside) or "none"),
    ]


def _parameters(entry: solvers.Entry, text: str) -> str:
    if not entry.parameters:
        return "None."
    meaning = _entries(text)
    rows = [
        (
            f"`{one.name}`",
            one.kind.__name__,
            f"`{one.default!r}`",
            _allowed(one.allowed),
            meaning.get(name, ""),
        )
        for name, one in entry.parameters.items()
    ]
    return _table(("name", "type", "default", "allowed", "meaning"), rows)


def _allowed(allowed: Any) -> str:
    if isinstance(allowed, solvers.Range):
        return f"{allowed.low:,g} to {allowed.high:,g}" + (", by magnitude" if allowed.log else "")
    if isinstance(allowed, solvers.Choice):
        return ", ".join(f"`{value!r}`" for value in allowed.values)
    return "any"


def _stored(name: str) -> Iterator[str]:
    """What `results/data` holds of a solver."""
    rounding = pd.read_csv(RESULTS / "rounding" / "by-bits.csv")
    mine = rounding[rounding["solver"] == name].to_dict("records")
    if mine:
        yield "## Stored results"
        yield "Suite `rounding`: test accuracy in %, and the loss in units of round to nearest's."
        yield _table(("network", "bits", "accuracy", "float network", "loss"), map(_rounded, mine))
    frontier = pd.read_csv(RESULTS / "frontier" / "frontier.csv")
    proven = frontier[(frontier["solver"] == name) & (frontier["status"] == "OPTIMAL")]
    if len(proven):
        largest = proven.groupby("family", sort=False)["n"].max()
        yield "## Largest instances proven"
        yield "In a minute, one thread (`make frontier`):"
        yield _table(("instances", "bits"), [(str(kind), str(n)) for kind, n in largest.items()])


def _rounded(row: dict[Any, Any]) -> tuple[str, ...]:
    accuracies = [f"{100 * row[name]:.1f}" for name in ("metric", "float_metric")]
    return row["network"], str(row["bits"]), *accuracies, f"{row['ratio']:.2f}"


# ---- formulations


def _family_index() -> str:
    members = sorted(map(problems.get, problems.names()), key=lambda one: (one.family, one.name))
    rows = [(f"[{one.name}]({one.family}.md#{one.name})", one.family, _cell(one.summary)) for one in members]
    opening = "A formulation turns a network into instances, is sent the solutions, and returns the network."
    return "\n\n".join(["# Problems", opening, _table(("formulation", "family", "what it decides"), rows)])


def _family(family: str) -> str:
    members = [problems.get(name) for name in problems.names() if problems.get(name).family == family]
    blocks = [f"# {family}", WHEN["families"].get(family, "Nobody has said yet when to use it.")]
    told: set[str] = set()
    for one in members:
        title, common = _opening(one.generate)
        if common and title not in told:
            blocks += [f"## {title}", _prose(common)]
        told.add(title)
    for one in members:
        blocks += [f"## {one.name} {{ #{one.name} }}", *_formulation(one)]
    return "\n\n".join(blocks)


def _formulation(one: problems.Problem) -> Iterator[str]:
    said = sections(inspect.getdoc(one.generate) or "")
    meaning = _entries(said.get("Parameters", ""))
    inside = [name for name, suite in _loaded() if one.name in {spec.problem for spec in suite.instances}]
    yield _prose(said[""])
    rows = [(f"`{name}`", f"`{value!r}`", meaning.get(name, "")) for name, value in one.defaults.items()]
    yield _table(("parameter", "default", "meaning"), rows)
    if "References" in said:
        yield f"Source: {_prose(said['References'])}"
    if "Raises" in said:
        refused = "; ".join(text.rstrip(".") for text in _entries(said["Raises"]).values())
        yield f"Refused in one line: {refused}."
    names = ", ".join(f"`{name}`" for name in inside) or "none"
    yield f"File `{_file(one.generate)}`; version {one.version}; in the suites: {names}."


# ---- suites and names


def _suites() -> str:
    blocks = ["# Suites", "A suite is a TOML file; [Files](files.md#suites) says what may stand in one."]
    for name, suite in _loaded():
        spent = f"{suite.budget.seconds:g} s a cell" if suite.budget.restarts is None else "fixed work"
        rows = [
            ("instances", str(len(suite.instances))),
            ("budget", spent),
            ("seeds", str(suite.seeds)),
            ("problems", _listed(spec.problem for spec in suite.instances)),
            ("networks", _listed(spec.network for spec in suite.instances if spec.network)),
            ("solvers", _listed(spec.name for spec in suite.solvers)),
        ]
        blocks += [f"## {name}", f"{_prose(suite.description)}.", _table(("fact", "value"), rows)]
    known = [(f"`{one.name}`", one.dataset, kind_of(one).metric) for one in NETWORKS.values()]
    blocks += ["## The networks", _table(("network", "data", "judged by"), known), _shipped()]
    images = [(f"`{name}`", one.what, one.source) for name, one in DATASETS.items()]
    return "\n\n".join([*blocks, "## The data sets", _table(("data", "images", "source"), images)])


def _shipped() -> str:
    """What is not ours of the networks."""
    named = ", ".join(f"`{one.name}` from `{one.package}`" for one in REAL)
    return (
        f"Trained by others, installed by the extra `real`: {named}. They are held to their "
        "own outputs, so the metric of the float network is 1. Their weights are under Apache-2.0 "
        "(sentence-transformers; Google, converted by ML Illustrated). The sentences are docstrings of "
        "scikit-learn (BSD-3-Clause), the crops photographs that ship with scikit-image and scikit-learn, "
        "whose folders say the licence of each."
    )


def _reference(package: str) -> str:
    module = PACKAGES[package]
    blocks = [f"# qubopress.{package}", _prose(inspect.getdoc(module) or "")]
    for name in module.__all__:
        place = f"qubopress.{package}.{name}"
        if place in sys.modules:  # a file that bears the name of what it holds
            place = f"{place}.{name}"
        blocks.append(f"::: {place}")
    return "\n\n".join(blocks)


def _commands() -> str:
    blocks = [
        "# The command line",
        "`qubopress COMMAND`; exit codes: 0 done, 1 found something wrong, 2 the call",
    ]
    blocks[-1] += " or its input is wrong, 3 nothing was measured or matched."
    for name, command in _leaves("", typer.main.get_command(app)):
        blocks += [f"## {name}", _prose(inspect.cleandoc(command.help or ""))]
        rows = [_option(one) for one in command.params]
        blocks += [_table(("argument", "default", "meaning"), rows)] if rows else []
    return "\n\n".join(blocks)


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Commands by their whole names; a group that has parameters of its own is one too."""
    inner = getattr(command, "commands", {})
    if name and (not inner or command.params):
        yield name, command
    for word, one in inner.items():
        yield from _leaves(f"{name} {word}".strip(), one)


def _option(one: Any) -> tuple[str, str, str]:
    spelled = one.opts[0] if one.param_type_name == "option" else one.metavar or one.name.upper()
    default = "" if str(one.default) in ("", "None", "False", "[]") else f"`{one.default}`"
    return f"`{spelled}`".replace("|", "\\|"), "required" if one.required else default, _cell(one.help or "")


# ---- text


def _opening(function: Callable[..., Any]) -> tuple[str, str]:
    """Title and further paragraphs of the docstring that opens the function's file."""
    text = inspect.getdoc(sys.modules[function.__module__]) or ""
    title, _, rest = text.partition("\n")
    title = title.partition(": ")[2].strip() or title
    return _prose(title[:1].upper() + title[1:]), rest.strip()


def _entries(text: str) -> dict[str, str]:
    """`name: meaning` entries, each continued on deeper lines, for the cells of a table."""
    found = re.findall(r"^(\w+): (.*(?:\n[ \t]+.*)*)", text, flags=re.MULTILINE)
    return {name: _cell(re.sub(r"\s*\n\s+", " ", meaning)) for name, meaning in found}


def _prose(text: str) -> str:
    """A docstring's text as Markdown: a formula's < opens no tag, and a page that it names is linked."""
    return re.sub(r"docs/(\w+)\.md", r"[\1](../\1.md)", re.sub(r"<(?=[\w/!])", "&lt;", text))


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return markdown_table([head, ["---"] * len(head), *rows])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


def _file(function: Callable[..., Any]) -> str:
    return "/".join(function.__module__.split(".")[1:]) + ".py"


def _loaded() -> list[tuple[str, suites.Suite]]:
    return [(name, _suite(name)) for name in suites.suite_names()]


def _suite(name: str) -> suites.Suite:
    if name not in _known:
        _known[name] = suites.load(name)
    return _known[name]


_known: dict[str, suites.Suite] = {}
