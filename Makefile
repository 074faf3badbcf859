# make reproduce   the main job: environment, data, studies, tables and figures   (QUICK=1: in 3 minutes; ALL=1: every study, in hours)
# make test        every check that CI runs: lint, types, layers, tests
# make bench       ratios of speed in one run
# make clean       remove what was built; the data cache stays

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
QNN    := $(BIN)/qnn
STAMP  := $(VENV)/.installed
QUICK  ?=
ALL    ?=

.PHONY: reproduce test lint bench clean

reproduce: $(STAMP)
	$(QNN) reproduce $(if $(QUICK),--quick) $(if $(ALL),--all)

test: $(STAMP) lint
	$(BIN)/python -m pytest -m "not slow and not cluster and not network" -n 2 --benchmark-skip
	$(BIN)/python -m pytest tests/bench -m "not slow" -p no:xdist

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
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache
