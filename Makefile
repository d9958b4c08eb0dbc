.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
TEST_HOME := $(CURDIR)/.vp-test
ARGS ?=

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/installed: requirements.txt requirements-embedded.txt
	@echo "Installing Python packages into $(VENV) (about 400 MB to download the first time) …"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt -r requirements-embedded.txt
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@touch $@

setup: $(VENV)/installed ## Create the environment and install the platform

demo: $(VENV)/installed ## A simulated call you can watch, then the admin (ARGS=--once ends after the call)
	@$(PY) manage.py demo $(ARGS)

run: $(VENV)/installed ## Start everything on the embedded profile
	@$(PY) manage.py dev $(ARGS)

test: $(VENV)/installed-dev ## Run the tests on a PostgreSQL and Valkey of their own
	@VP_HOME=$(TEST_HOME) VP_POSTGRES_FSYNC=off $(PY) manage.py dev --only postgres,valkey -- $(PY) -m pytest -q -n auto --maxprocesses 4 --dist worksteal -m "not slow and not contract and not livekit" $(ARGS)

test-slow: $(VENV)/installed-dev ## Run the tests that speak and think for real
	@VP_HOME=$(TEST_HOME) VP_POSTGRES_FSYNC=off $(PY) manage.py dev --only postgres,valkey,brain,speech -- $(PY) -m pytest -q -rR -m slow --reruns 1 $(ARGS)

test-contract: $(VENV)/installed-dev ## Send the API what its OpenAPI document allows, and what not
	@VP_HOME=$(TEST_HOME) VP_POSTGRES_FSYNC=off $(PY) manage.py dev --only postgres,valkey -- $(PY) -m pytest -q -m contract $(ARGS)

livekit-server: $(VENV)/installed ## Find the LiveKit server, or build it with Go
	@$(PY) -m voiceplatform.embedded.livekit

livekit-client: $(VENV)/installed ## Fetch LiveKit's program for browsers with npm: talking, listening in and taking over need it
	@$(PY) -m voiceplatform.embedded.livekit.fetch_client

test-livekit: $(VENV)/installed-dev livekit-server ## Run the tests on a real LiveKit server with the simulated carrier
	@VP_HOME=$(TEST_HOME) VP_POSTGRES_FSYNC=off VP_REQUIRE_LIVEKIT=1 VP_TIMERS_PERCENT=20 $(PY) manage.py dev --only postgres,valkey -- $(PY) -m pytest -q -rR -m livekit $(ARGS)

bench: $(VENV)/installed-dev ## Measure, e.g. make bench ARGS="session_cpu" or ARGS="conversation --runs 2"
	@VP_HOME=$(CURDIR)/.vp-bench $(PY) manage.py dev --only postgres,valkey,brain,speech -- $(PY) -m benchmarks.$(or $(ARGS),session_cpu)

mutate: $(VENV)/installed-dev ## Take out each tenant filter, scope and key check; a test has to notice (ARGS="--only calls/api --jobs 2")
	@VP_HOME=$(TEST_HOME) VP_POSTGRES_FSYNC=off DJANGO_SETTINGS_MODULE=voiceplatform.settings.test $(PY) manage.py dev --only postgres,valkey -- $(PY) -m tests.mutations $(ARGS)

lint: $(VENV)/installed-dev ## Format check, lint, types, import walls, migrations
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports
	@VP_HOME=$(TEST_HOME) VP_POSTGRES_FSYNC=off $(PY) manage.py dev --only postgres,valkey -- sh -c '$(VENV)/bin/mypy . && $(PY) manage.py makemigrations --check --dry-run && $(PY) manage.py check'

format: $(VENV)/installed-dev ## Format the code
	@$(VENV)/bin/ruff check --fix --quiet . ; $(VENV)/bin/ruff format .

schema: $(VENV)/installed-dev ## Write the API's OpenAPI document, docs/openapi.yaml
	@VP_HOME=$(TEST_HOME) VP_POSTGRES_FSYNC=off $(PY) manage.py dev --only postgres,valkey -- $(PY) manage.py spectacular --fail-on-warn --file docs/openapi.yaml

lock: $(VENV)/installed-dev ## Pin requirements*.in with hashes
	@for name in requirements requirements-embedded requirements-dev; do \
	  $(VENV)/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate $$name.in -o $$name.txt; done

.PHONY: help setup demo run test test-slow test-contract livekit-server livekit-client test-livekit bench mutate lint format schema lock
