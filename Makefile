# `make` alone prints this help.
SHELL := /bin/sh
PY := .venv/bin/python
CLUSTER ?= dev
# Compiled modules are kept: every process of the tests would compile all of them.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(PY) -m pytest -q --continue-on-collection-errors

CHECKS := formatted lint types imports declared definitions reference synced unit

.PHONY: help setup check $(CHECKS) format programs integration chart cluster test demo demo-monitoring demo-down up down bench chaos proof generate verify golden lock

help: ## this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## development environment: .venv, and the servers that tests start
	@sh tools/setup.sh

demo: setup ## the main jobs on a real cluster: documents, orders, a dead letter; comments on a site; prints what was verified
	@$(PY) -m tools.demo up --cluster $(CLUSTER)

demo-monitoring: setup ## its second act alone: MonitoringProcesses against a stand-in site and a stand-in model
	@$(PY) -m tools.demo monitoring --cluster $(CLUSTER)

demo-down: setup ## removes all of it
	@$(PY) -m tools.demo down --cluster $(CLUSTER)

test: setup ## every tier to its end: check, integration, chart, cluster; the last lines list what was slow and what failed
	@$(PY) -m tools.tiers test $(CHECKS) programs integration chart cluster

check: setup ## format, lint, types, import contracts, generated files, unit tests: under a minute, no network
	@$(PY) -m tools.tiers check $(CHECKS)

formatted:
	@$(PY) -m ruff format --check -q . || { echo "run: make format"; exit 1; }

lint:
	@$(PY) -m ruff check -q .

types:
	@$(PY) -m mypy --no-error-summary

imports:
	@.venv/bin/lint-imports --no-logo >/dev/null || .venv/bin/lint-imports --no-logo

declared:
	@.venv/bin/deptry ledger operator jobimages >/dev/null 2>&1 || .venv/bin/deptry ledger operator jobimages

definitions:
	@$(PY) -m rowlock_operator.api.generate --check

reference:
	@$(PY) -m rowlock_operator.api.reference --check

synced:
	@sh charts/sync_crds.sh --check

format: setup ## formats the Python code
	@$(PY) -m ruff format -q .
	@$(PY) -m ruff check -q --fix .

# Each tier collects the folders that have tests of it, and no others: tests/unit/tools/test_tiers.py compares.
unit: setup
	@$(PYTEST) -m "not integration and not cluster" -n 2 tests/unit tests/chaos tests/provider

programs: setup
	@$(PY) -m tools.cluster programs

integration: setup ## real PostgreSQL, Redis, PgBouncer, kube-apiserver on loopback
	@$(PYTEST) -m integration -n 4 --dist loadfile --no-loadscope-reorder tests/integration tests/chaos tests/unit/tilt

chart: setup ## renderings, schema and lint of the chart
	@$(PYTEST) -m "not cluster" -n 2 --dist loadfile tests/chart

cluster: setup ## the real cluster (root, or Docker): provider, demo, faults
	@$(PYTEST) -m cluster -n 2 --dist loadfile --no-loadscope-reorder tests/cluster tests/provider tests/chart tests/integration/cli

bench: setup ## measures everything, about 12 minutes on a quiet machine: tests/bench/results/summary.json, docs/measurements.md
	@$(PY) -m tests.bench

chaos: setup ## kills everything at random under 10,500 runs: prints seed and verdict, result in docs/measurements.md
	@$(PY) -m tests.chaos --runs 10500 --write

proof: setup ## the long form of the proofs, about two hours: tests/proof/results/*.json
	@$(PY) -m tests.proof

generate: setup ## what the kinds are, into crds/, the chart and docs/reference/
	@$(PY) -m rowlock_operator.api.generate
	@$(PY) -m rowlock_operator.api.reference
	@sh charts/sync_crds.sh

golden: setup ## rewrites the golden files; read the difference before you commit it
	@ROWLOCK_GOLDEN=write $(PYTEST) -m "not cluster" tests/unit/operator tests/chart/test_golden.py

verify: setup ## regenerates everything and fails where the tree differs
	@$(MAKE) --no-print-directory format generate
	@git diff --exit-code
	@$(MAKE) --no-print-directory check

lock: setup ## pins the Python packages anew
	@sh tools/lock.sh

up: setup ## a cluster of your own (kind where Docker works, else the host cluster)
	@$(PY) -m tools.cluster up --name $(CLUSTER)

down: setup ## ends it
	@$(PY) -m tools.cluster down --name $(CLUSTER)
