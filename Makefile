# Two commands matter: `make leaderboard` and `make test`. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
STORE ?= results.db

.PHONY: leaderboard test test-slow check format docs asv asv-publish gate gate-baseline peers frontier publish findings clean

leaderboard: .venv/installed
	$(BIN)/qubopress run smoke --store $(STORE)
	$(BIN)/qubopress report --store $(STORE) --out report.html

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Planted slowdowns are seen on a machine that does nothing else, so they run alone.
test-slow: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not network" --ignore tests/suites/regression
	$(BIN)/python -m pytest -m "slow and not network" tests/suites/regression

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

# The last N commits, HEAD first: one alone makes no curve. make asv N=20. With TAGS=1 HEAD and the last N tags.
N ?= 5
ifdef TAGS
REVISIONS = (git rev-parse HEAD; git tag --sort=-creatordate | head -n $(N) | xargs -rI% git rev-parse '%^{commit}')
else
REVISIONS = git rev-list --first-parent --max-count=$(N) HEAD
endif
asv: .venv/installed-dev
	$(BIN)/asv machine --yes
	$(REVISIONS) | $(BIN)/asv run --show-stderr HASHFILE:-

# asv's own numbers, and the scores of STORE where there is one, in results/asv/html.
asv-publish: .venv/installed-dev
	test ! -e $(STORE) || $(BIN)/qubopress export-asv --store $(STORE)
	$(BIN)/asv publish
	$(BIN)/qubopress asv-site results/asv/html

# What every commit must keep; CI runs it. Renew the baseline on a quiet machine: its times are judged by.
gate: .venv/installed
	$(BIN)/qubopress gate

gate-baseline: .venv/installed
	$(BIN)/qubopress gate --renew

# Our solvers beside other packages', and the largest instances that exact solvers prove. Quiet machine, please.
peers: .venv/installed-dev
	$(BIN)/qubopress experiment peers

# A broken-off run goes on where it stopped; a smaller one: make frontier SECONDS=10 OUT=frontier-10s
frontier: .venv/installed-dev
	$(BIN)/qubopress experiment exact-frontier --seconds $(or $(SECONDS),60) --out results/data/$(or $(OUT),frontier)

# The README's tables and results/data/leaderboard.html, from what is stored in results/data; first, where they
# are named, the cells of stores are published there: make publish ADD="a.db b.db"
publish: .venv/installed
	$(BIN)/qubopress publish $(addprefix --add ,$(ADD))

# What real packages do otherwise than one would guess: all scripts of findings/, or one: make findings NAME=...
# Each prints what it sees and a line; one that changed makes the end non-zero. Needs the network, not the package.
findings:
	@test -z "$(NAME)" || test -e "findings/$(NAME:.sh=).sh" || { echo "no findings/$(NAME:.sh=).sh; see findings/README.md" >&2; exit 2; }
	@worst=0; for script in findings/$(or $(NAME:.sh=),*).sh; do \
		bash $$script && code=0 || code=$$?; name=$$(basename $$script .sh); \
		case $$code in 0) said=held;; 2) said="cannot be shown here";; *) said=changed worst=1;; esac; \
		echo "$$said: $$name"; \
	done; exit $$worst

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
