# The front door. Every target installs what it needs and is missing; a second run installs nothing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON := .venv/bin/python
SOURCES := $(shell find handler functions vm-scripts host.json CMakeLists.txt CMakePresets.json \
	tests/c tests/sim -type f -not -name '*.pyc' 2>/dev/null)
# What a package asks for and we do not use (see vm-scripts/locks/runner.in).
LEFT_OUT := matplotlib contourpy cycler fonttools kiwisolver pyparsing
SCRIPTS = $(shell grep -rlE '^\#!/bin/(ba)?sh|^\#!/usr/bin/env bash' tools vm-scripts .ci)

.PHONY: help setup build dist demo test train-test vm-test drill layers lint sanitize fuzz mutants bench soak size format lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .cache/debian-packages node_modules/.made .venv/.made ## install what build, tests and demo need

build: build/release/.built ## compile the handler and its tests

dist: dist/vm-scripts.sha256 ## make the function app root in dist/

demo: dist setup ## run the whole loop on this machine and print it as a story (KEEP=1: leave it on)
	@$(PYTHON) -m local demo $(if $(KEEP),--keep)

test: dist setup ## run all tests (ONLY="local vm": some); the last line counts them
	@$(PYTHON) tools/run_tests.py $(ONLY)

train-test: dist setup .cache/train/.made ## train for real with getitune: whole jobs, half an hour after the first install (7 GB)
	@nice -n 10 $(PYTHON) -m pytest tests/train

vm-test: dist setup .cache/debian-packages-vm ## boot real VMs under qemu and let each do a job (as root; ONLY="word" picks cases)
	@$(PYTHON) -m pytest tests/qemu -vv --durations=0 --durations-min=1 $(if $(ONLY),-k "$(ONLY)")

drill: dist setup .cache/debian-packages-drill ## kills, bursts, slowness: long drills of the whole (ONLY="kill burst": some; SEED=n repeats one)
	@$(PYTHON) -m tests.drill $(ONLY) $(if $(SEED),--seed $(SEED))

layers: setup ## check which room includes which
	@$(PYTHON) tools/layers.py

lint: setup .cache/debian-packages-check ## check C (format, clang-tidy, gcc -fanalyzer), Python and shell
	@tools/lint-c
	@.venv/bin/ruff check --quiet local tests tools vm-scripts
	@.venv/bin/ruff format --quiet --check local tests tools
	@shellcheck $(SCRIPTS)

sanitize: setup dist .cache/debian-packages-check ## C tests under address, undefined and thread sanitizers; the handler under valgrind
	@for kind in asan tsan; do \
		cmake --preset $$kind >build/configure-$$kind.log 2>&1 || { cat build/configure-$$kind.log; exit 1; }; \
		cmake --build --preset $$kind >build/build-$$kind.log 2>&1 || { cat build/build-$$kind.log; exit 1; }; \
		ctest --preset $$kind --output-on-failure --progress; \
	done
	@$(PYTHON) tools/valgrind_job.py

fuzz: setup .cache/debian-packages-check ## fuzz everything that comes from outside (SECONDS_EACH=60)
	@cmake --preset fuzz >build/configure-fuzz.log 2>&1 || { cat build/configure-fuzz.log; exit 1; }
	@cmake --build --preset fuzz >build/build-fuzz.log 2>&1 || { cat build/build-fuzz.log; exit 1; }
	@tools/fuzz $(or $(SECONDS_EACH),60)

bench: dist setup .cache/debian-packages-bench ## speed and memory beside a Go and a Node handler
	@$(PYTHON) tests/bench/bench.py

soak: dist setup ## hours of everything at once in minutes, with faults all the time (MINUTES=10)
	@MINUTES=$(or $(MINUTES),10) $(PYTHON) tests/bench/soak.py

size: dist setup ## lines, binary, memory and requests beside the kept ones (UPDATE_GOLDEN=1 keeps these)
	@$(PYTHON) tools/size.py

mutants: setup ## break the product on purpose; a named test must notice (ONLY="name name": some)
	@$(PYTHON) tools/mutants.py $(ONLY)

format: setup .cache/debian-packages-check ## put C and Python into shape
	@clang-format -i $$(find handler tests/c tests/fuzz tests/model tests/sim -name '*.[ch]')
	@.venv/bin/ruff format --quiet local tests tools

lock: setup ## renew the lock of the Python packages
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-annotate $(addprefix --no-emit-package ,$(LEFT_OUT)) \
		tools/requirements.in -o tools/requirements.txt

clean: ## remove what was built; installed packages stay
	rm -rf build dist

.cache/train/.made: vm-scripts/locks/getitune.txt vm-scripts/environment | dist/vm-scripts.sha256
	@echo "Seeing to getitune (7 GB once)"
	@rm -rf $(@D)/scripts && mkdir -p $(@D)/scripts
	@tar -xzf dist/vm-scripts.tar.gz -C $(@D)/scripts
	@UV_CACHE_DIR=$(CURDIR)/.cache/uv $(@D)/scripts/environment $(@D) getitune
	@touch $@

.cache/debian-packages-%: tools/debian-packages-%.txt
	@tools/apt-install $<
	@mkdir -p $(@D) && touch $@

.cache/debian-packages: tools/debian-packages.txt
	@tools/apt-install $<
	@mkdir -p $(@D) && touch $@

node_modules/.made: package-lock.json | .cache/debian-packages
	@echo 'Installing the Node packages'
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.venv/.made: tools/requirements.txt | .cache/debian-packages
	@echo 'Installing the Python packages'
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 is needed")'
	@python3 -m venv .venv
	@.venv/bin/python -m pip install -qq --require-hashes --no-deps -r $<
	@touch $@

build/release/.built: $(SOURCES) | .cache/debian-packages
	@mkdir -p build
	@cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build --preset release -- --quiet
	@touch $@

dist/vm-scripts.sha256: build/release/.built .venv/.made
	@rm -rf dist
	@cmake --install build/release --prefix dist >/dev/null
	@touch $@
