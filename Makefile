# On a fresh machine: Python 3.11 or newer and make, and nothing else. `make help` lists the commands.

VENV := .venv
# The first of these that is new enough; `make PYTHON=/path/to/python3` decides otherwise.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INPUTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check bench coverage lock clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(VENV)/.perdure ## show what persistent connections save (KEEP=1 stays up)
	@$(VENV)/bin/perdure demo $(if $(filter-out 0,$(KEEP)),--keep)

test: $(VENV)/.perdure-test ## run every test, against the real peers that can be had
	@scripts/test

check: $(VENV)/.perdure-test ## lint, format, types and the rules of the house
	@scripts/check

bench: $(VENV)/.perdure-bench ## measure perdure beside its peers
	@scripts/bench

coverage: $(VENV)/.perdure-test ## branch coverage of core by its own tests, then of everything
	@scripts/coverage

lock: ## resolve the newest versions into constraints.txt
	@PYTHON=$(PYTHON) scripts/lock

clean: ## remove what these commands made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov dist build out

# A stamp file stands for an installed environment, so that the second run starts at once.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed; found: $$(python3 --version 2>&1)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

$(VENV)/.perdure: $(VENV)/bin/python $(INPUTS)
	@echo "installing perdure into $(VENV)"
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.perdure-test: $(VENV)/bin/python $(INPUTS)
	@echo "installing perdure and what its tests need into $(VENV)"
	@$(INSTALL) -e '.[test]'
	@touch $@ $(VENV)/.perdure

$(VENV)/.perdure-bench: $(VENV)/bin/python $(INPUTS)
	@echo "installing perdure and the peers it is measured beside into $(VENV)"
	@$(INSTALL) -e '.[test,bench,lab]'
	@touch $@ $(VENV)/.perdure $(VENV)/.perdure-test
