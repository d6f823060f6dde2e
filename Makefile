# Everything runs from `.venv`; the two commands a newcomer needs are `make quickstart` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# A single BLAS thread per process: XLA has its own pool, and label workers are one thread each.
export OMP_NUM_THREADS ?= 1
# Test processes side by side; each needs one or two GB. One file stays in one process, whose fixtures are compiled once.
TEST_PROCESSES ?= 2

.PHONY: quickstart test test-slow lint clean

quickstart: $(VENV)/.package
	$(BIN)/jaxft run experiments/quickstart/quickstart.yaml

test: $(VENV)/.dev lint
	$(BIN)/python -m pytest -m "not slow" -n $(TEST_PROCESSES) --dist loadfile

test-slow: $(VENV)/.dev
	$(PIP) install -e ".[slow]"
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.package: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e ".[report]"
	touch $@

# nequix is the peer that the network is compared with; its own requirements would pull gigabytes of CUDA.
$(VENV)/.dev: pyproject.toml $(VENV)/.package
	$(PIP) install -e ".[dev,report]"
	$(PIP) install --no-deps nequix==0.4.5 equinox wadler-lindig jraph
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
