# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# The local environment in one word each. Everything here is a plain command that you may type yourself:
# `ansible-playbook provision.yml -e db=mydb` is the collection's own interface.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

# The options of the targets below: make provision db=mydb port=6432 args=--check
db ?=
labels ?=
port ?=
purge ?=
role ?=
follow ?=
from ?=
to ?=
pr ?=
project ?=
state ?=
region ?=
args ?=

# Python may keep what it compiles: it is a good part of a short run.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# A value travels as it was typed, never expanded by make, as JSON in single quotes: a bad name reaches the validation whole.
quote = '$(subst ','\'',$(1))'
json = "$(subst ",\",$(subst \,\\,$(value $(1))))"
given = $(filter command environment,$(origin $(1)))
extra = $(if $(call given,$(1)),-e $(call quote,{"$(1)": $(call json,$(1))}))
# The port that the environment was set up with stays, unless another is given.
environment := $(or $(XDG_STATE_HOME),$(HOME)/.local/state)/infinite.databases/local
recorded_port = $(shell sed -n 's/^database_port: *//p' '$(environment)/connection.yml' 2>/dev/null)
chosen_port = $(or $(value port),$(recorded_port))
need_db = $(if $(call given,db),,$(error Which database? make $@ db=NAME))
need_some = $(if $(call given,db)$(call given,labels),,$(error Which databases? make $@ db=NAME, or several db=A,B, or labels=KEY=VALUE))
some = $(call extra,db) $(call extra,labels)

.PHONY: help setup up provision list info url env connect logs stop start restart rotate import export preview
.PHONY: destroy undestroy purge expire metrics drift image down clean
.PHONY: test test-unit test-collection test-molecule test-faults lint docs changelog bench
.DEFAULT_GOAL := help

help: ## Show this
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r target text; do \
	    printf '  make %-30s %s\n' "$$target" "$$text"; done

setup: ## Install Ansible and its libraries (into ~/.cache), link the collection
	@scripts/setup

.venv/.ready: requirements.txt
	@scripts/setup

.venv/.dev: requirements.txt requirements-dev.txt
	@scripts/setup dev

up: .venv/.ready ## Run the local nodes and bootstrap them
	@ansible-playbook local_up.yml site.yml $(if $(chosen_port),-e $(call quote,environment_port=$(chosen_port))) $(args)

provision: .venv/.ready ## db=NAME: make a database; without db, those of the inventory (labels=KEY=VALUE)
	@if [[ ! ' $(args) ' =~ ' '(--check|-C)' ' ]] && ! scripts/environment-ready $(call quote,$(value port)); then \
	    echo "The local environment is not running: setting it up (minutes the first time, seconds later)"; \
	    $(MAKE) up args=; \
	fi
	@ansible-playbook provision.yml $(call extra,db) $(call extra,labels) $(args)

plain = ANSIBLE_STDOUT_CALLBACK=infinite.databases.plain ansible-playbook

list: .venv/.ready ## List the databases and how many prepared volumes wait (labels=KEY=VALUE: those)
	@$(plain) list.yml $(some) $(args)

info: .venv/.ready ## db=NAME: everything about it
	$(need_db)@$(plain) info.yml $(call extra,db) $(args)

# Nothing but the URL on stdout, so that it can stand in $(make -s url db=mydb).
url: .venv/.ready ## db=NAME: print the database's URL
	$(need_db)@$(plain) url.yml $(call extra,db) $(call extra,role) $(args)

env: .venv/.ready ## db=NAME: print KEY=value lines for a .env file
	$(need_db)@$(plain) env.yml $(call extra,db) $(call extra,role) $(args)

# The password travels in psql's environment: arguments are shown to everybody.
connect: .venv/.ready ## db=NAME: psql as the owner (role=ro: as another role)
	$(need_db)@lines=$$($(plain) env.yml $(call extra,db) $(call extra,role)); \
	    while IFS= read -r line; do export "$$line"; done <<< "$$lines"; exec psql $(args)

logs: .venv/.ready ## db=NAME: the end of its server's log (follow=true: and what comes)
	$(need_db)@$(plain) logs.yml $(call extra,db) $(call extra,follow) $(args)

stop start restart undestroy purge: .venv/.ready
	$(need_some)@$(plain) $@.yml $(some) $(args)
stop: ## db=NAME: refuse clients, keep everything
start: ## db=NAME: run it again
restart: ## db=NAME: restart its server
undestroy: ## db=NAME: bring a destroyed database back
purge: ## db=NAME: destroy and erase it, for ever

rotate: .venv/.ready ## db=NAME: a new password; the old one works for a day (role=ro: of another role)
	$(need_some)@$(plain) rotate.yml $(some) $(call extra,role) $(args)

import: .venv/.ready ## db=NAME from=OTHER: copy another database's data into it (or SOURCE_URL=... in the environment)
	$(need_db)@$(plain) import.yml $(call extra,db) $(call extra,from) $(args)

export: .venv/.ready ## db=NAME to=OTHER: the other way (or TARGET_URL=...)
	$(need_db)@$(plain) export.yml $(call extra,db) $(call extra,to) $(args)

preview: .venv/.ready ## pr=123: a database for a pull request (project=, from=; state=absent erases it)
	@$(plain) preview.yml $(call extra,pr) $(call extra,project) $(call extra,from) $(call extra,state) $(args)

metrics: .venv/.ready ## Figures of all databases, for Prometheus
	@$(plain) metrics.yml $(args)

expire: .venv/.ready ## Destroy what is past its ttl, erase what is past the retention time
	@$(plain) expire.yml $(args)

destroy: .venv/.ready ## db=NAME: stop a database, keep its data (purge=true: erase it)
	$(need_some)@ansible-playbook destroy.yml $(some) $(call extra,purge) $(args)

drift: .venv/.ready ## Find jobs and names that somebody else changed, and put them right (args=--check: only tell)
	@$(plain) drift.yml $(args)

image: .venv/.ready ## region=REGION: bake an image for EC2 with Packer (docs/packer.md)
	@packer/build -only=amazon-ebs.image $(if $(call given,region),-var region=$(call quote,$(value region))) $(args)

down: .venv/.ready ## Remove the local nodes and all databases on them
	@ansible-playbook local_down.yml $(args)

clean: ## Undo setup: links, virtual environments, cached binaries and images
	@scripts/clean

lint: .venv/.dev ## ruff, mypy, ansible-lint
	@pytest tests/lint

test-unit: .venv/.dev ## Unit tests (no network)
	@pytest tests/unit

test-collection: .venv/.dev ## What is shipped: tarball, ansible-test, changelog, licences
	@pytest tests/collection --deselect tests/collection/test_execution_environment.py::test_provision

test-molecule: .venv/.dev ## Molecule: a scenario for each role, and whole environments
	@pytest tests/molecule

test-faults: .venv/.dev ## Kill, cut off and mislay what an environment on a node of its own consists of: nothing is lost
	@INFINITE_TEST_ENVIRONMENT=faults INFINITE_TEST_NODE=infinite-faults-1 pytest tests/faults $(args)

# Of Molecule the whole environments: the roles are in them.
test: .venv/.dev ## All tests but the roles' own and most of the faults: lint, unit, docs, collection, integration, AWX, clients, molecule
	@scripts/environment-ready || $(MAKE) up args=
	@pytest -m 'not role' tests/lint tests/unit tests/docs tests/collection tests/integration tests/awx tests/clients tests/molecule
	@$(MAKE) --no-print-directory test-faults args='-m quick'

docs: .venv/.ready ## These pages as HTML, in .cache/docs/html
	@scripts/docs

changelog: ## Write changelogs/fragments into CHANGELOG.md, as the version of galaxy.yml
	@tools=$$(scripts/tools tools); PATH=$$tools/bin:$$PATH antsibull-changelog release --update-existing --reload-plugins --refresh-fragments

bench: .venv/.dev ## Measure what docs/performance.md promises
	@python -m benchmarks $(args)
