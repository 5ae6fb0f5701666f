# Every target sets up what it needs: .venv is made from uv.lock the first time, and again when that changes.

SHELL := /bin/bash
BIN := .venv/bin
CODE := backend migration script test bench

.DEFAULT_GOAL := help
.PHONY: help install run test check fix bench migration clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: venv
venv:
	@script/bootstrap.sh

install: ## set up .venv (Python 3.12 or newer is found, uv is fetched when it is not here)
	@script/bootstrap.sh --force

run: venv ## start the server on http://127.0.0.1:8000
	@exec $(BIN)/python -m backend.main

test: venv ## run the tests (only some: make test t="test/api -k thread")
	@exec $(BIN)/python -m pytest -q -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder $(t)

check: venv ## format, lint, types, layers, migrations, dependency floors
	@script/check.sh

fix: venv ## format, and repair what the linter can
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format --quiet
	@$(BIN)/ruff check

bench: venv ## measure this machine against the figures that are promised
	@exec $(BIN)/python -m bench

migration: venv ## write a migration from the changed models: make migration m="add a column"
	@test -n "$(m)" || { echo 'What does it change? make migration m="add a column"' >&2; exit 2; }
	@script/migration.sh new "$(m)"

clean: ## remove what can be made again (.venv, caches); data/ stays
	@rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
