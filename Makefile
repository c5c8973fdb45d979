# Two commands matter: `make leaderboard` and `make test`. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
STORE ?= results.db

.PHONY: leaderboard test test-slow check format docs asv asv-publish peers frontier publish clean

leaderboard: .venv/installed
	$(BIN)/qubopress run smoke --store $(STORE)
	$(BIN)/qubopress report --store $(STORE) --out report.html

test: .venv/installed-dev
	$(BIN)/python -m pytest

test-slow: .venv/installed-dev
	$(BIN)/python -m pytest -m "slow and not network"

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python .ci/types.py

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site in build/site; a warning is an error. The variable silences the theme's note on mkdocs 2.
docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

asv: .venv/installed-dev
	$(BIN)/asv machine --yes
	$(BIN)/asv run --show-stderr HEAD^!

asv-publish: .venv/installed-dev
	$(BIN)/asv publish

# Our solvers beside other packages', and the largest instances that exact solvers prove. Quiet machine, please.
peers: .venv/installed-dev
	$(BIN)/python -m qubopress.suites.peers

frontier: .venv/installed-dev
	$(BIN)/python -m qubopress.suites.frontier

# The README's tables, from the results that are stored in results/data.
publish: .venv/installed
	$(BIN)/python -m qubopress.suites.publish

clean:
	rm -rf .venv build dist *.egg-info results/asv

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "qubopress needs Python 3.11 or later; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing into .venv; a few minutes the first time"
	$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable ".[dev]"
	@touch $@
