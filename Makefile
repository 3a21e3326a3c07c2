# The same targets for people and for CI. Everything lands in .venv; nothing else is touched.
PYTHON ?= python3
BIN := .venv/bin
# Twice the processors of the machine that CI has: a fifth of the tests' time is waiting.
JOBS ?= 4
# Three labs: two stories of storage nodes take as long as all else.
LAB_JOBS ?= 3
# Without compiled modules every process that a test starts would compile the runner again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all coverage nightly reliability lab lab-test lab-matrix wheel lint fix bench prediction docs lock system lab-system clean
.DEFAULT_GOAL := help

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'make: needs Python 3.11 or newer with venv: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: .venv/ready ## Break one node of a small fleet and watch it being healed: no root, no server, no key
	$(BIN)/runner demo $(ARGS)

test: .venv/ready ## Run all but the slow tests; what lacks a program is skipped with the reason
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m "not slow and not lab and not nightly" $(ARGS)

test-all: .venv/ready ## Run the slow tests too: whole demos, crashes, faults, scenarios of the roles
	$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

lab: .venv/ready ## Boot hosts with a real systemd and monitoring, and stay until Ctrl-C (Debian, as root)
	$(BIN)/python -m tests.lab up $(ARGS)

lab-test: .venv/ready ## Run the tests that break and heal the hosts of the lab (Debian, as root)
	$(BIN)/pytest -n $(LAB_JOBS) --dist loadfile --no-loadscope-reorder -m "lab and not nightly" $(or $(ARGS),tests/lab)

coverage: .venv/ready ## Measure which lines the tests run; var/coverage/index.html shows them
	@mkdir -p var/coverage
	$(BIN)/pytest -n $(JOBS) --dist worksteal --cov --cov-report=term --cov-report=html:var/coverage $(ARGS)

reliability: .venv/ready ## Inject every failure of docs/reliability.md, count, and write its table again
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m fault --reliability-page=docs/reliability.md $(ARGS)

nightly: .venv/ready ## Run what repeats and counts: the tests marked nightly, and `make reliability` (Debian, as root)
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m "nightly and not lab and not fault" $(ARGS)
	$(MAKE) reliability
	$(BIN)/pytest -n $(LAB_JOBS) --dist loadfile --no-loadscope-reorder -m "lab and nightly" tests/lab

lab-matrix: .venv/ready ## Run every drill on the hosts of a lab and report into var/drills (Debian, as root)
	$(BIN)/python -m tests.lab matrix --report var/drills $(ARGS)

wheel: .venv/ready ## Build the wheel into dist/, to install it elsewhere
	$(BIN)/python -m hatchling build --target wheel --directory dist

lint: .venv/ready ## Check style, types, YAML and playbooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint --offline

fix: .venv/ready ## Mend what lint can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready ## Measure: intake, and everything with a goal as a ratio to its control
	$(BIN)/python -m bench.intake
	$(BIN)/python -m bench

prediction: .venv/ready ## Backtest predictions over simulated nodes and write the figures down
	$(BIN)/python -m bench.predictions docs/prediction.md

docs: .venv/ready ## Write the generated pages again
	$(BIN)/python -m runner.cli.reference docs
	$(BIN)/python -m bench.year docs

lock: ## Resolve requirements.lock anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-annotate --all-extras --group dev pyproject.toml -o requirements.lock

system: ## Install the real parts that the tests run against (Debian, as root)
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive .ci/system .ci/packages

lab-system: ## Install what the lab needs (Debian, as root)
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive .ci/system .ci/lab-packages

clean: ## Remove what the targets made
	rm -rf .venv var dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible
