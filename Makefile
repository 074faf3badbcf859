# make reproduce   the main job: environment, data, studies, tables and figures   (QUICK=1: in 3 minutes; ALL=1: every study, in hours)
# make test        every check that CI runs: lint, types, layers, tests
# make test-lowest  the tests with the lowest versions that pyproject.toml allows, from nothing
# make bench       ratios of speed in one run
# make clean       remove what was built; the data cache stays

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
QNN    := $(BIN)/qnn
EXTRAS ?= dev
STAMP  := $(VENV)/.installed-$(EXTRAS)
LOWEST ?= .venv-lowest
TORCH  ?= 2.13.0
QUICK  ?=
ALL    ?=
# What may be skipped, as parts of reasons: EXPECTED_SKIPS=CUDA,pdflatex; any other skip fails. Unset: every skip is only shown.
EXPECTED_SKIPS ?=

.PHONY: reproduce test test-lowest lint bench clean

TESTS := -m "not slow and not network" $(if $(EXPECTED_SKIPS),--expected-skips=$(EXPECTED_SKIPS))

reproduce: $(STAMP)
	$(QNN) reproduce $(if $(QUICK),--quick) $(if $(ALL),--all)

test: $(STAMP) lint
	$(BIN)/python -m pytest $(TESTS) -n 2 --ignore=tests/bench
	$(BIN)/python -m pytest $(TESTS) tests/bench -p no:xdist

# pip knows no lowest versions, so uv chooses them. pip brings torch: the CPU build here; TORCH=2.8.0 tries the lowest, several GB from PyPI.
test-lowest:
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv "torch==$(TORCH)"
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e '.[dev]' "torch==$(TORCH)"
	$(LOWEST)/bin/python -m pytest $(TESTS) -n 2 --ignore=tests/bench

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(QNN) bench

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, however: " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache
