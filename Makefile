# What there is to run. Each target brings what it needs, as uv.lock has it; Python 3.11 or newer and make are enough.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

# What goes through HTTP, and the page; and what is said to DynamoDB.
ON_REAL_PARTS := $(wildcard $(addsuffix .py,$(addprefix tests/integration/test_,contract races_over_http leaks) \
  tests/e2e/test_flows tests/security/test_attacks $(addprefix tests/unit/test_,budget clients once verification)))
JOSE4J := $(HOME)/.m2/repository/org/bitbucket/b_c/jose4j/0.9.6/jose4j-0.9.6.jar

.PHONY: help demo venv test lint build test-parts bench fuzz audit docs lock clean

help:
	@awk '/^##@ / {print substr($$0, 5)} \
	  match($$0, /^[a-z-]+:.*## /) {name = $$1; sub(":", "", name); printf "  make %-11s %s\n", name, substr($$0, RLENGTH + 1)}' \
	  $(MAKEFILE_LIST)

##@ To try it and to run it
demo: .venv/demo  ## the whole flow on this machine, in a browser; Ctrl-C ends it; ARGS="--web-port 0" for options
	@exec $(BIN)/python -m local up --receipts encrypted $(ARGS)

venv: .venv/demo  ## only .venv, for the operator's tools: .venv/bin/python -m tools
	@echo "ready: .venv/bin/python -m tools"

build: .venv-sam/done  ## check the template and build the bundle into .aws-sam; ARCHITECTURE=arm64 for arm64
	@$(SAM) validate --lint
	@$(SAM) build --parameter-overrides Architecture=$(or $(ARCHITECTURE),x86_64)
	@echo "Next: .venv-sam/bin/sam deploy, without --guided, which would rewrite samconfig.toml."

##@ To change it
test: .venv/dev  ## all tests that need nothing but pip's packages and a Chromium
	@$(BIN)/python -m pytest $(ARGS)

lint: .venv/dev  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# The second run is on the bundle under Lambda's runtime and on DynamoDB Local.
test-parts: .venv/dev build .venv-runtime/done .venv-cloud/done node-parts $(JOSE4J)  ## what needs a foreign part: the bundle, a JDK, Go, Node.js, other browsers
	@$(WITH_PYTHON313) $(BIN)/python -m pytest tests/parts tests/sam $(ARGS)
	@$(WITH_PYTHON313) $(BIN)/python -m pytest --target real $(ON_REAL_PARTS) $(ARGS)

fuzz: .venv/dev .venv-fuzz/done  ## atheris on the readers, schemathesis on the API; SECONDS=60
	@$(BIN)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS))

audit: .venv/dev .venv-audit/done  ## templates, advisories, secrets in the history; writes an SBOM into .local
	@$(BIN)/python -m tests.security.audit

bench: .venv/dev build .venv-runtime/done node-parts  ## speed against goals, docs/performance.md; ROUNDS=25
	@$(WITH_PYTHON313) $(BIN)/python -m benchmarks $(if $(ROUNDS),--rounds $(ROUNDS))

docs: .venv/dev  ## docs/faults.md, and the figures of docs/scaling.md
	@$(BIN)/python -m tests.faults
	@$(BIN)/python -m benchmarks.scaling

lock: .venv/demo  ## lock the newest versions, with hashes
	@$(BIN)/uv lock --quiet --upgrade --default-index https://pypi.org/simple
	@$(BIN)/uv export --quiet --frozen --no-annotate --no-header --only-group layer \
	  --output-file layers/dependencies/requirements.txt >/dev/null

clean:  ## remove what was made
	@rm -rf .venv .venv-* .aws-sam .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name node_modules -prune -exec rm -rf {} +

# The bundle is compiled by Python 3.13, as on Lambda. Where only pyenv has one, this makes its python3.13 answer.
WITH_PYTHON313 = SAM_CLI_TELEMETRY=0 MAKEFLAGS=--no-print-directory \
  PYENV_VERSION=$${PYENV_VERSION:-$$(pyenv versions --bare 2>/dev/null | grep '^3\.13\.' | tail -n 1)}
SAM = $(WITH_PYTHON313) .venv-sam/bin/sam

# pip installs uv, and uv the rest: what uv.lock names, by hash. An index that pip is set to, such as a mirror, is uv's too.
define install  # GROUP, OPTIONS
@echo "installing what '$1' needs, once"
@export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(PYTHON) -m pip config get global.index-url 2>/dev/null)}}"; \
  $(BIN)/uv export --quiet --frozen --only-group $1 | $(BIN)/uv pip install --quiet --require-hashes --requirements - $2
@touch $@
endef

PIN_UV = import tomllib; \
  (uv,) = (each for each in tomllib.load(open("uv.lock", "rb"))["package"] if each["name"] == "uv"); \
  print("uv==" + uv["version"], *("--hash=" + wheel["hash"] for wheel in uv["wheels"]))

.venv/bin/uv: uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@# With the pip that is there; a virtual environment's own would take longer than all the rest.
	@$(PYTHON) -m venv --clear --without-pip .venv
	@pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	  $$pip --version >/dev/null 2>&1 || { $(PYTHON) -m venv --clear .venv && pip="$(BIN)/python -m pip"; }; \
	  $(BIN)/python -c '$(PIN_UV)' | $$pip install --quiet --quiet --disable-pip-version-check --no-deps \
	    --require-hashes --requirement /dev/stdin
	@touch $@

.venv/demo .venv/dev: .venv/%: .venv/bin/uv
	$(call install,$*,--python $(BIN)/python)

# Each in a virtual environment of its own, so that neither slows .venv nor ties its versions.
.venv-sam/done .venv-audit/done .venv-fuzz/done: .venv-%/done: .venv/bin/uv
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-$*
	$(call install,$*,--python .venv-$*/bin/python)

# A cloud on loopback; it wants Lambda's Python.
.venv-cloud/done: .venv/bin/uv
	@$(WITH_PYTHON313) $(BIN)/uv venv --quiet --clear --python $${LAMBDA_PYTHON:-python3.13} .venv-cloud
	$(call install,cloud,--python .venv-cloud/bin/python)

# Lambda's runtime client, for Lambda's Python.
.venv-runtime/done: .venv/bin/uv
	@rm -rf .venv-runtime
	$(call install,runtime,--python-version 3.13 --only-binary :all: --target .venv-runtime)

# npm's packages, wherever a lock of theirs lies.
.PHONY: node-parts
node-parts: $(patsubst %/package-lock.json,%/node_modules/done,$(shell git ls-files '*package-lock.json'))

$(JOSE4J):
	-@mvn --quiet --batch-mode dependency:get -Dartifact=org.bitbucket.b_c:jose4j:0.9.6

%/node_modules/done: %/package.json %/package-lock.json
	-@npm ci --silent --prefix $* && touch $@
