# `make run` tries the service out, `make test` checks everything; `make help` lists the rest.

PYTHON ?= python3
export PORT ?= 8009
SECONDS ?= 300
VENV := .venv
# Pythons that pyenv keeps are found too, not only those on the PATH.
PYENV := $(or $(PYENV_ROOT),$(shell pyenv root 2>/dev/null))
empty :=
export TOX_DISCOVER := $(subst $(empty) $(empty),:,$(wildcard $(PYENV)/versions/*/bin/python3.1[0-4]))
SOURCES := setup.py $(shell find rtwist twisted -name '*.py' -o -name '*.html')

.PHONY: help run test prepare soak day cluster bench bench-cluster capacity profile isolation fuzz lint types format clean

help:
	@echo "make run        install into $(VENV), start the service in development mode on port $(PORT)"
	@echo "make test       install what the tests need, then run everything (25 minutes or more)"
	@echo "make soak       100,000 connections of all kinds; must leave nothing behind"
	@echo "make day        a day of a shop platform at 5,000 events a second, and what the service used"
	@echo "make cluster    three nodes and a Node server, 2,000 clients, 1,000 events a second, and all that can happen to them"
	@echo "make bench      rtwist beside Node and python-socketio, into docs/benchmarks; QUICK=1 for 3 minutes, into .bench"
	@echo "make bench-cluster  two nodes over Redis beside two of Node, into docs/benchmarks; QUICK=1 for small, into .bench"
	@echo "make capacity   what a million connections need, from measured costs (docs/capacity.rst)"
	@echo "make profile    where the time of rtwist goes in each work of the benchmark, into docs/benchmarks"
	@echo "make isolation  users in any order for SECONDS=300; none may hear what is another's"
	@echo "make fuzz       hostile inputs for SECONDS=300, then a million packets through the JavaScript parsers"
	@echo "make lint       ruff     make types   mypy     make format   ruff format"
	@echo "make clean      remove what the above made"

run: $(VENV)/installed
	@exec $(VENV)/bin/twistd --nodaemon --pidfile= rtwist --dev

$(VENV)/installed: $(SOURCES)
	@echo "installing into $(VENV) (half a minute)"
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

test: prepare
	$(VENV)-test/bin/tox run-parallel --parallel 2 --parallel-live

prepare:
	@PYTHON="$(PYTHON)" VENV="$(VENV)-test" bash tests/prepare.sh

soak: prepare
	$(VENV)-test/bin/tox run -e soak

day: prepare
	$(VENV)-test/bin/tox run -e day

cluster: prepare
	$(VENV)-test/bin/tox run -e cluster

bench: prepare
	$(VENV)-test/bin/tox run -e bench -- $(if $(QUICK),--quick)

bench-cluster: prepare
	$(VENV)-test/bin/tox run -e bench-cluster -- $(if $(QUICK),--quick)

capacity: prepare
	$(VENV)-test/bin/tox run -e capacity

profile: prepare
	$(VENV)-test/bin/tox run -e profile

isolation: prepare
	$(VENV)-test/bin/tox run -e isolation -- --seconds $(SECONDS)

fuzz: prepare
	$(VENV)-test/bin/tox run -e fuzz -- --seconds $(SECONDS)

lint types: prepare
	$(VENV)-test/bin/tox run -e $@

format: prepare
	$(VENV)-test/bin/tox run -e format

clean:
	rm -rf $(VENV) $(VENV)-test .fuzz .tox .bench build *.egg-info tests/clients/node_modules bench/peers/node/node_modules
