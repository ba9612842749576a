# What a developer runs. Every target does its own set-up; it needs Python 3.11 or newer and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help venv demo test lint lock clean

help:  ## what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: .venv/stamp  ## make .venv with everything that development needs

.venv/stamp: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "making .venv (once, a minute or two)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@touch $@

demo: venv  ## the whole flow on this machine, in a browser; Ctrl-C ends it
	@exec $(BIN)/python -m local up

test: venv  ## all tests that this machine has the parts for
	@$(BIN)/python -m pytest

lint: venv  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header

lock: venv  ## lock the newest versions, with hashes
	@$(LOCK) layers/dependencies/requirements.in -o layers/dependencies/requirements.txt
	@$(LOCK) --constraint layers/dependencies/requirements.txt requirements/dev.in -o requirements/dev.txt
	@$(LOCK) requirements/sam.in -o requirements/sam.txt

clean:  ## remove what was made
	@rm -rf .venv .venv-sam .aws-sam .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
