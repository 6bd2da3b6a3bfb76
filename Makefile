# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# The local environment in one word each. Everything here is a plain command that you may type yourself: `idb provision mydb`, and below
# that `ansible-playbook playbooks/provision.yml -e db=mydb`, which is the collection's own interface.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

# Python may keep what it compiles: it is a good part of a short run.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# make VERB KEY=VALUE... args="OPTIONS" is `idb VERB KEY=VALUE... -- OPTIONS`. A value travels as it was typed, never expanded by make, in
# single quotes: a bad name reaches the validation whole. args are words of the shell, with quotes of their own.
quote = '$(subst ','\'',$(1))'
given = $(foreach key,$(.VARIABLES),$(if $(filter command,$(origin $(key))),$(key)))
typed = $(foreach key,$(filter-out args $(1),$(given)),$(call quote,$(key)=$(value $(key))))
# A verb is a playbook that talks to an environment, not to its hosts; and connect, which wants a terminal.
verbs = connect $(filter-out launch local_up local_down site teardown,$(basename $(notdir $(wildcard playbooks/*.yml))))

# The port that the environment was set up with stays, unless another is given.
environment := $(or $(XDG_STATE_HOME),$(HOME)/.local/state)/infinite.databases/local
recorded_port = $(shell sed -n 's/^database_port: *//p' '$(environment)/connection.yml' 2>/dev/null)
chosen_port = $(or $(value port),$(recorded_port))
up = ansible-playbook playbooks/local_up.yml site.yml $(if $(chosen_port),-e $(call quote,environment_port=$(chosen_port)))

.PHONY: help setup up ready image down clean $(verbs)
.PHONY: test test-all test-integration test-unit test-collection test-molecule test-faults lint docs changelog bench
.DEFAULT_GOAL := help

help: ## Show this
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r target text; do \
	    printf '  make %-18s %s\n' "$$target" "$$text"; done
	@printf '\nmake VERB db=NAME KEY=VALUE... args="OPTIONS" is the same as `idb VERB db=NAME KEY=VALUE... -- OPTIONS`:\n\n'
	@bin/idb --help

setup: ## Install Ansible and its libraries (into ~/.cache), link the collection
	@scripts/setup

# To standard error, because standard output may be a dump.
.venv/.ready: requirements.txt
	@scripts/setup >&2

.venv/.dev: requirements.txt tests/requirements.txt
	@scripts/setup dev

up: .venv/.ready ## Run the local nodes and bootstrap them
	@$(up) $(call keys,port) $(args)

# Nothing but the answer on stdout, so that it can stand in $(make -s url db=mydb).
$(verbs): .venv/.ready
	@bin/idb $@ $(call typed,$(if $(filter provision,$@),port)) $(if $(value args),-- $(value args))

provision: ready
ready: .venv/.ready
	@$(if $(filter --check -C,$(value args)),,scripts/environment-ready $(call quote,$(value port)) || { \
	    echo "The local environment is not running: setting it up (minutes the first time, seconds later)"; $(up); })

image: .venv/.ready ## region=REGION: bake an image for EC2 with Packer (docs/packer.md)
	@packer/build -only=amazon-ebs.image $(if $(filter region,$(given)),-var region=$(call quote,$(value region))) $(args)

down: .venv/.ready ## Remove the local nodes and all databases on them
	@ansible-playbook playbooks/local_down.yml $(foreach word,$(call typed),-e $(word)) $(value args)

clean: ## Undo setup: links, virtual environments, cached binaries and images
	@scripts/clean

lint: .venv/.dev ## ruff, mypy, ansible-lint
	@pytest tests/lint

test-unit: .venv/.dev ## Unit tests and documents (no network)
	@pytest tests/unit tests/docs

test-collection: .venv/.dev ## What is shipped: tarball, ansible-test, changelog, licences
	@pytest tests/collection --deselect tests/collection/test_execution_environment.py::test_provision

test-integration: .venv/.dev ## Environments, AWX's jobs and clients, on nodes of the tests' own
	@pytest $(side_by_side) -m 'not slow' tests/integration tests/awx tests/clients

test-molecule: .venv/.dev ## Molecule: a scenario for each role, and whole environments (scenario=NAME: that one)
	@pytest tests/molecule $(if $(scenario),-k 'test_scenario[$(scenario)]')

test-faults: .venv/.dev ## Kill, cut off and mislay what an environment on a node of its own consists of: nothing is lost
	@INFINITE_TEST_ENVIRONMENT=faults pytest tests/faults $(if $(quick),-m quick) $(args)

# Side by side runs what has another environment or none (tests/conftest.py); the faults measure time and run alone.
suite = tests/lint tests/unit tests/docs tests/collection tests/integration tests/awx tests/clients tests/molecule
side_by_side = --numprocesses=3 --dist=loadgroup --no-loadscope-reorder --durations=40

test: .venv/.dev ## Every kind of test; of each kind what is quick
	@pytest $(side_by_side) -m 'not slow' $(suite)
	@$(MAKE) test-faults quick=yes

test-all: .venv/.dev ## All tests: also all faults, each role alone, each client
	@pytest $(side_by_side) $(suite)
	@$(MAKE) test-faults

docs: .venv/.ready ## These pages as HTML, in .cache/docs/html
	@scripts/docs

changelog: ## Write changelogs/fragments into CHANGELOG.md, as the version of galaxy.yml
	@tools=$$(scripts/tools tools); PATH=$$tools/bin:$$PATH antsibull-changelog release --update-existing --reload-plugins --refresh-fragments

bench: .venv/.dev ## Measure what docs/performance.md promises
	@python -m benchmarks $(args)
