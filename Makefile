# Works with GNU make 3.81, which macOS ships.
PYTHON := .venv/bin/python

# Real bars beside the checkout make the desk trade on them; empty means a random walk.
PRICES ?= $(wildcard ../shared/data/bars)
SPEED ?=
# Checks load the settings; this home keeps them away from the desk's own database and secrets.
CHECK := TRADEGUARD_MODE=embedded TRADEGUARD_HOME=$(CURDIR)/.venv/check-home

.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev test lint lock clean

help:
	@echo 'make run     start everything; PORT, TRADEGUARD_HOME, PRICES, SPEED may be set'
	@echo 'make test    all tests on SQLite, those with a database on PostgreSQL; real Redis and Chromium'
	@echo 'make lint    style, types, layers, templates, migrations, API description, settings'
	@echo 'make lock    pin the requirements anew (UPGRADE=1 takes the newest versions)'
	@echo 'make setup   only make .venv and install what TradeGuard runs on'
	@echo 'make clean   remove .venv and caches; the desk in var/ stays'

run: setup
	@exec $(PYTHON) manage.py serve \
		$(if $(PRICES),--prices '$(PRICES)') $(if $(SPEED),--speed '$(SPEED)')

setup:
	@bin/setup requirements.txt

setup-dev:
	@bin/setup requirements-dev.txt

test: setup-dev
	@$(PYTHON) -m tradeguard.tests.chromium
	$(PYTHON) -m pytest
	TEST_DATABASE=postgresql FUZZ_EXAMPLES=3 $(PYTHON) -m pytest -m 'not browser'

lint: setup-dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(CHECK) $(PYTHON) -m mypy .
	.venv/bin/lint-imports --no-cache
	.venv/bin/djlint templates --lint --quiet
	$(CHECK) $(PYTHON) manage.py makemigrations --check --dry-run
	$(CHECK) $(PYTHON) manage.py spectacular --validate --fail-on-warn --file /dev/null
	bin/check-deploy

lock: setup-dev
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt

LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate $(if $(UPGRADE),--upgrade)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
