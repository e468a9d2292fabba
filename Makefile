# What one types to work on Sabir or to try it. Everything sets itself up; nothing is written outside this folder.
# (As root, a missing python3-venv is installed with apt-get.)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
SOURCES := pyproject.toml setup.py $(shell find src -type f -not -path '*/__pycache__/*' -not -path '*.egg-info/*')
# Tests and checks read the sources; the installed, compiled Sabir is what `run` and `bench` use.
FROM_SOURCE := PYTHONPATH=src
PATIENTLY := $(BIN)/python tools/patience.py

.DEFAULT_GOAL := help
.PHONY: help venv run test check fix fuzz bench docs citations clean FORCE

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

venv: $(STAMPS)/sabir ## create .venv with everything, and Sabir compiled

run: venv ## see it: a server, an XMPP client and an IRC client in one room
	$(BIN)/sabir demo

test: $(STAMPS)/libraries ## run the tests, from the sources
	$(FROM_SOURCE) $(BIN)/python -m pytest $(ARGS)

check: $(STAMPS)/libraries ## format, lint, types, imports, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(FROM_SOURCE) $(BIN)/mypy
	$(FROM_SOURCE) $(BIN)/lint-imports
	$(FROM_SOURCE) $(BIN)/python -m tools.spec_table --check
	$(FROM_SOURCE) $(BIN)/python -m tools.reference_pages --check
	$(FROM_SOURCE) $(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

fix: $(STAMPS)/libraries ## repair what a tool can repair
	$(BIN)/ruff check --fix --show-fixes .
	$(BIN)/ruff format .
	$(FROM_SOURCE) $(BIN)/python -m tools.spec_table
	$(FROM_SOURCE) $(BIN)/python -m tools.reference_pages

fuzz: $(STAMPS)/libraries ## try the decoders with 658,000 mutated stanzas
	$(FROM_SOURCE) $(BIN)/python -m pytest tests/fuzz --mutations 658000 $(ARGS)

bench: venv ## measure Sabir beside other servers; ARGS="--quick" for a short run
	$(BIN)/python -m bench $(ARGS)

docs: $(STAMPS)/libraries ## build the documentation into docs/_build/html
	$(FROM_SOURCE) $(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

citations: $(STAMPS)/libraries ## compare the specifications cited in the code, listed in spec.toml and tested
	@$(FROM_SOURCE) $(BIN)/python -m tools.citations

clean: ## remove what was built, the virtual environment included
	rm -rf $(VENV) build docs/_build src/*.egg-info

$(BIN)/python:
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh $(VENV)

$(STAMPS)/libraries: requirements.lock | $(BIN)/python
	@mkdir -p $(STAMPS)
	@$(PATIENTLY) "Fetching the libraries." \
	  $(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	@touch $@

# The list of sources, and what is compiled: when one changes the build starts afresh, or what is no longer built
# would still be installed.
$(STAMPS)/sources: FORCE | $(BIN)/python
	@mkdir -p $(STAMPS)
	@{ echo $(sort $(SOURCES)); cat setup.py; } > $@.new
	@cmp -s $@ $@.new && rm $@.new || { mv $@.new $@; rm -rf build; }

$(STAMPS)/sabir: $(STAMPS)/libraries $(STAMPS)/sources $(SOURCES)
	@$(PATIENTLY) "Compiling and installing Sabir; this takes a minute or two." \
	  $(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall .
	@cd $(VENV) && bin/python -c 'import sabir.cli'
	@$(BIN)/python -m tools.compiled
	@touch $@

FORCE:
