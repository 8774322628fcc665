# Bare `make` says what there is. Needs Python 3.11 or newer with pip; `make test` and `make bench` also need Node 20.
# How they are used is in CONTRIBUTING.md.

FIND_PYTHON = for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done
PYTHON ?= $(shell $(FIND_PYTHON))
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet install
ARGS =
QUICK = not browser and not cli and not postgres and not slow
PARALLEL = --numprocesses auto --dist worksteal
# What only the real CLI reaches: the demo, trying the CLI out, asking for the plan, processes that end.
REAL = tests/cli/test_demonstration.py tests/end_to_end/test_probe.py tests/end_to_end/test_plan.py \
	tests/end_to_end/test_recycling.py tests/end_to_end/test_refused_parameters.py
CLI = 2.1.197
SAMPLES = 9
ONLY =
LATEST =
MINUTES = 10

.DEFAULT_GOAL := help
.PHONY: help run login demo quick test coverage matrix pins fuzz attack soak cluster check format docs pictures bench clients \
	release clean cli

help: ## say what there is
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/installed cli ## serve the OpenAI API with your own Claude Code login (ARGS="--port 4000")
	@$(BIN)/claude-max-proxy serve $(ARGS)

login: .venv/installed cli ## log in the Claude Code CLI that the proxy uses (ARGS="BACKEND")
	@$(BIN)/claude-max-proxy login $(ARGS)

demo: .venv/installed cli ## show a chat through the real CLI, without an account
	@$(BIN)/claude-max-proxy demo $(ARGS)

quick: .venv/developing ## run the tests that need neither Node nor the real CLI (ARGS="-k pool")
	@$(BIN)/python -m pytest -q -m "$(QUICK)" $(PARALLEL) $(ARGS)

test: .venv/developing ## run the tests, with two versions of the real CLI (ARGS="-k fingerprint")
	@echo "The tests run the real Claude Code CLI, two versions of it, from .cache/cli:"
	@$(BIN)/python -m tests.installed_cli
	@$(BIN)/python -m pytest $(ARGS)

coverage: .venv/developing ## run the quick tests and a few with the real CLI, and say which lines and branches they leave out
	@$(BIN)/python -m tests.installed_cli
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -q -m "not browser and not cli and not slow" $(PARALLEL) $(ARGS)
	@$(BIN)/python -m coverage run -m pytest -q -k newest $(REAL)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report
	@$(BIN)/python -m scripts.pure_modules

matrix: .venv/developing ## every Python here, oldest and newest dependencies, the wheel (ARGS="wheel --python 3.13")
	@$(BIN)/python -m scripts.matrix $(ARGS)

pins: .venv/developing ## write constraints.txt again: the newest versions that our ranges allow
	@$(BIN)/python -m scripts.pins

fuzz: .venv/developing ## ask and configure the proxy in every way there is (MINUTES=10 for each)
	@nice -n 19 $(BIN)/python -m tests.fuzzing --minutes "$(MINUTES)" $(ARGS)

attack: .venv/developing ## attack a running proxy in every way there is (MINUTES=10, CLI=newest, ARGS=doors)
	@$(BIN)/python -m tests.attack --minutes "$(MINUTES)" --cli "$(CLI)" $(ARGS)

soak: MINUTES = 30
soak: .venv/developing ## mixed traffic with faults, every request accounted for (MINUTES=30, ARGS="--seed 7")
	@$(BIN)/python -m tests.attack.soak --minutes "$(MINUTES)" $(ARGS)

cluster: MINUTES = 2
cluster: .venv/developing ## three replicas behind HAProxy, with faults, every request accounted for (MINUTES=2)
	@$(BIN)/python -m tests.cluster --minutes "$(MINUTES)" $(ARGS)

check: .venv/developing ## check format, style, spelling, types and who imports whom
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/codespell
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/developing ## put the code into the one format
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

docs: .venv/developing ## write what comes from the code: proxy.toml and parts of docs/
	@$(BIN)/python -m tests.docs.generated

pictures: .venv/developing ## take the pictures in docs/pictures again, with the real CLI, a browser and no account
	@$(BIN)/python -m tests.docs.terminal_pictures >/dev/null
	@$(BIN)/python -m tests.docs.page_pictures

bench: .venv/developing ## compare with other proxies, side by side (ONLY=cluster, CLI=newest, SAMPLES=15)
	@$(BIN)/python -m benchmarks --only "$(ONLY)" --cli "$(CLI)" --samples "$(SAMPLES)"

clients: .venv/developing ## run real clients against the proxy (ARGS="openclaw aider", LATEST=1)
	@LATEST=$(LATEST) $(BIN)/python -m tests.clients $(ARGS)

release: .venv/developing ## date the changelog, build and check the packages, commit and tag them (v=1.2.0)
	@$(BIN)/python scripts/release.py "$(v)"

clean: ## remove everything that can be made again
	rm -rf .venv .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +

# The CLI that is on PATH is the user's choice; only without one, a copy is installed into .venv.
cli: .venv/installed
	@command -v claude >/dev/null || $(BIN)/python -c 'import claude_agent_sdk' 2>/dev/null || { \
	echo "no \`claude\` on PATH: installing the claude-agent-sdk package, which carries one (about 170 MB)"; \
	$(PIP) --editable '.[cli]'; }

.venv/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found on PATH" >&2; exit 1; }
	@echo "installing into .venv"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(PIP) --upgrade 'pip>=25.1'
	@$(PIP) --editable .
	@touch $@

.venv/developing: .venv/installed constraints.txt
	@echo "installing what tests and checks need into .venv"
	@$(PIP) --constraint constraints.txt --editable . --group dev
	@touch $@
