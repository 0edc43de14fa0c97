# Two commands do all the set-up: `make run` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=

.PHONY: help run test bench fmt lint lock clean

help:  ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/local  ## Serve on the embedded database (settings: GAME_API_*)
	@GAME_API_LOG_FORMAT=$${GAME_API_LOG_FORMAT:-console} exec $(BIN)/game-api

test: $(VENV)/dev  ## Run the tests (ARGS="-k name" to choose)
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/dev  ## Measure, as ratios within one run
	$(BIN)/python -m pytest tests/benchmarks -s -o addopts= $(ARGS)

fmt: $(VENV)/dev  ## Format the code
	$(BIN)/black --quiet src tests

lint: $(VENV)/dev  ## Check format, style and types
	$(BIN)/black --quiet --check --diff src tests
	$(BIN)/flake8 src tests
	$(BIN)/mypy

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --prerelease if-necessary-or-explicit

lock: $(VENV)/dev  ## Pin every dependency anew, by version and hash
	echo setuptools | $(COMPILE) --upgrade - -o requirements/build.txt
	$(COMPILE) --upgrade pyproject.toml --extra local --extra dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra local -c requirements/dev.txt -o requirements/local.txt
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/base.txt

clean:  ## Remove the virtual environment and caches (the data in .data stays)
	rm -rf $(VENV) .mypy_cache .pytest_cache .hypothesis build src/*.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "game-api needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps make a second run quick: nothing is installed while the pins are the same.
$(VENV)/local $(VENV)/dev: $(VENV)/%: requirements/%.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing requirements/$*.txt into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements/build.txt -r requirements/$*.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@
