# All checks. `make test` runs them all; every step is also a target, so a
# failed step can be repeated alone.
#
# All steps share one target folder and one profile (dev): a second profile
# would compile RocksDB again, which takes minutes. For the same reason no step
# sets RUSTFLAGS, which would run every build script again.

.NOTPARALLEL:
.DELETE_ON_ERROR:
SHELL := /bin/bash

CARGO ?= cargo
# Without modules: Debian packages the one library, in a folder for Go.
GO ?= GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= go

# RocksDB is a large C++ build. With a compiler cache it costs two minutes
# instead of eleven; compilers that the user has chosen are kept.
ifneq ($(shell command -v ccache),)
  ifeq ($(origin CC),default)
    export CC := ccache gcc
  endif
  ifeq ($(origin CXX),default)
    export CXX := ccache g++
  endif
endif

# How long each fuzz target runs.
FUZZ_SECONDS ?= 20

CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
TEMPORAL_VERSION := v1.5.1
WASM := wasm32-unknown-unknown
PURE := -p tlog -p ledger -p verifier-wasm
STEPS := fmt interop clippy wasm web unit openapi sdk-unit browser doc deny

.PHONY: help sdk sdk-temporal examples demo demo-steps setup test steps build dist reproducible bench bench-run bench-tessera bench-mcp bench-observe watchdogs prove fleet mcp soak fuzz samples screenshots pictures bench-attend hosts $(STEPS)

help:
	@echo 'make demo    a first look: a log, an agent and its evidence, until Ctrl-C'
	@echo 'make test    all checks: $(STEPS)'
	@echo 'make setup   install what building and testing need'
	@echo 'make web     the verifier page, into web/dist'
	@echo 'make dist    the page, and the digests that identify it'
	@echo 'make build   the programs dragons and dragonsd, in release'
	@echo 'make bench   figures of the real service and of the replay, in release'
	@echo 'make bench-run    figures of dragons run alone, in release'
	@echo 'make bench-tessera  figures of another log on this machine; it needs Go and a network'
	@echo 'make bench-attend figures of dragons attend and dragons hook, in release'
	@echo 'make hosts   the real Claude Code, Codex and Gemini CLI under our hooks, offline'
	@echo 'make bench-observe  figures of a flood of spans, in release'
	@echo 'make watchdogs    a real Prometheus with Alertmanager, and a real Temporal, beside a log; skips what is not installed'
	@echo 'make bench-mcp    what dragons mcp adds to a tool call, in release'
	@echo 'make prove   how well the replay and the report find the faults of a fleet, in release'
	@echo 'make ocsf    the events of a report, checked against the schemas of OCSF'
	@echo 'make pictures     the README'"'"'s pictures, the sample report of docs/day-30.md and its picture'
	@echo 'make fleet   figures of 10,000 agents that send heartbeats to one service, in release'
	@echo 'make mcp     real tool servers and the conformance suites, directly and behind dragons mcp'
	@echo 'make soak    a hundred times kill -9, every disk fault at every call, an hour of mixed load'
	@echo 'make sdk     the Python and Node packages: built, freshly installed, tested with every framework'
	@echo 'make examples    six agents of different kinds, each with its evidence verified'
	@echo 'make fuzz    each fuzz target for FUZZ_SECONDS ($(FUZZ_SECONDS)) seconds'

# In the profile of the checks: RocksDB, most of the build, takes equally long
# in any profile, and `make test` then finds it built.
demo:
	@bash xtask/setup.sh build
	@$(MAKE) --no-print-directory demo-steps

# One build for the programs and for the tool that builds the page, so that the
# compiler has other crates to work on while RocksDB compiles, and cargo shows
# what it is building.
demo-steps:
	@echo 'Building. The first build takes about 15 minutes on two cores; most of that is RocksDB.'
	@echo 'With a warm compiler cache it takes about 3 minutes.'
	$(CARGO) build --locked --bins -p cli -p dragonsd -p xtask --features xtask/web
	@$(MAKE) --no-print-directory web
	@bash demo/demo.sh

setup:
	@bash xtask/setup.sh

# A second make, because setup may just have installed the compiler cache.
test: setup
	@$(MAKE) --no-print-directory steps

steps: $(STEPS)

build: web
	$(CARGO) build --release --locked --bins

# Prints figures beside the limits of the machine and judges nothing: docs/performance.md. DRAGONS_BENCH_LEAVES is the
# length of the log at a start.
bench:
	$(CARGO) bench --locked -p tests --bench service
	$(CARGO) bench --locked -p tests --bench run
	$(CARGO) bench --locked -p proving --bench replay

# Another log on this machine, to compare with; it needs Go, and a network to fetch that log.
bench-tessera:
	bash tests/benches/tessera.sh

# What `dragons run` costs; `bench` prints it too.
bench-run:
	$(CARGO) bench --locked -p tests --bench run

# What `dragons attend` and `dragons hook` cost.
bench-attend:
	$(CARGO) bench --locked -p tests --bench attend

# The real Claude Code, Codex and Gemini CLI under our hooks, offline. They are fetched once (0.9 GB) and not part of `test`.
hosts:
	$(CARGO) build --locked --bins -p cli -p dragonsd
	@DRAGONS_BIN="$$($(CARGO) metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug" python3 tests/hosts/hosts.py

# What `dragons mcp` adds to a tool call.
bench-mcp:
	$(CARGO) bench --locked -p tests --bench mcp

# A month of a hundred agents with faults; `unit` holds eight shorter runs.
prove:
	$(CARGO) run --release --locked -p proving --bin prove
	$(CARGO) run --release --locked -p report --example day_30

# The servers and suites are fetched once, and skipped if they are not available; `unit` has a hand-written server.
mcp:
	$(CARGO) build --locked --bins -p cli -p dragonsd
	DRAGONS_PROGRAMS=$(or $(CARGO_TARGET_DIR),target)/debug bash tests/mcp/real.sh

# These take too long for every change: `unit` kills ten times, and tries some of the faults. The mixed load lasts an
# hour, or SOAK_SECONDS.
soak:
	DRAGONS_KILLS=100 $(CARGO) test --locked -p tests --test crash -- --nocapture
	DRAGONS_FAULTS=all $(CARGO) test --locked -p tests --test faults -- --nocapture
	$(CARGO) bench --locked -p tests --bench soak

# A flood of 20,000 spans a second for a minute; OBSERVE_SECONDS changes how long.
bench-observe:
	$(CARGO) bench --locked -p tests --bench observe

# This needs the Debian packages prometheus and prometheus-alertmanager, the server that `make sdk-temporal` builds, and
# a Python with temporalio, such as the one that `make sdk` makes. It names what is missing.
TEMPORAL_CLI ?= $(CURDIR)/sdk/.build/temporal
TEMPORAL_PYTHON ?= $(CURDIR)/sdk/.build/frameworks/bin/python
watchdogs:
	@if command -v prometheus >/dev/null && command -v prometheus-alertmanager >/dev/null; then \
	  $(CARGO) test --locked -p tests --features watchdogs --test watchdogs; \
	else \
	  echo 'SKIPPED: Prometheus: it needs the Debian packages prometheus and prometheus-alertmanager'; \
	fi
	@if [ -x '$(TEMPORAL_CLI)' ] && '$(TEMPORAL_PYTHON)' -c 'import temporalio' 2>/dev/null; then \
	  TEMPORAL_CLI='$(TEMPORAL_CLI)' TEMPORAL_PYTHON='$(TEMPORAL_PYTHON)' \
	    $(CARGO) test --locked -p tests --features temporal --test temporal; \
	else \
	  echo 'SKIPPED: Temporal: it needs make sdk-temporal, and a Python with temporalio that TEMPORAL_PYTHON names'; \
	fi

# FLEET_AGENTS, FLEET_ACTING (how many of them act) and FLEET_SECONDS change how many and for how long.
fleet:
	$(CARGO) bench --locked -p tests --bench fleet

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --locked --workspace --all-targets --features xtask/web,tests/browser -- -D warnings

# The unit tests, the black-box tests and the tidiness of the repository.
unit:
	$(CARGO) test --locked --workspace --no-fail-fast

# The service beside its own description, by a tester from PyPI; it says so if that cannot be installed.
openapi:
	CARGO='$(CARGO)' bash xtask/openapi.sh

# The Python and Node clients of an agent's socket, with only their standard libraries.
sdk-unit:
	PYTHONPATH=sdk/python/src python3 -m unittest discover -s sdk/python/tests
	npm run --silent --prefix sdk/typescript build
	cd sdk/typescript && node --test --test-reporter=spec tests/*.test.mjs

# The same as packages, with the frameworks that have an adapter, which come from PyPI and npm.
sdk:
	bash sdk/check.sh

# Those of `unit` and those with frameworks, which `make sdk` installs.
examples:
	$(CARGO) build --locked --bins -p cli -p dragonsd
	PATH="$$($(CARGO) metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug:$$PATH" bash examples/all.sh

# A development server for the tests of the Temporal adapter; a Go build of a few minutes.
sdk-temporal:
	GOBIN=$(CURDIR)/sdk/.build go install github.com/temporalio/cli/cmd/temporal@$(TEMPORAL_VERSION)

# The program that reads our logs with Go's packages. The black-box tests in
# `unit` run it against dragonsd; this tests the program itself.
interop:
	cd tests/interop && $(GO) vet . && $(GO) test .

# Compiles for the browser what a browser will run.
wasm:
	$(CARGO) build --locked --target $(WASM) $(PURE)

# The page with the verifier, which the service embeds and any host can serve.
web:
	$(CARGO) run --locked -p xtask --features web -- web

# The page and its digests, with which `dragons page check` compares.
dist: web
	cat web/dist/SHA256SUMS

# Builds two copies in two folders from nothing and compares their bytes. Compiling everything twice takes minutes.
reproducible:
	bash xtask/reproducible.sh

# The built page in a real browser, and its verifier beside the native one.
browser: web
	$(CARGO) test --locked -p tests --features browser --test wasm --test sealed
	node --test --test-reporter=spec tests/browser/*.test.mjs

# One picture of each state, for people to look at.
screenshots: web
	node tests/browser/screenshots.mjs tests/browser/screenshots

# The README's pictures, from a real demo, and those of the sample report.
pictures: web sample-report
	node tests/browser/pictures.mjs

# The sample report of docs/day-30.md and its picture: a fleet of the proving ground beside its watchdogs.
.PHONY: sample-report ocsf
sample-report:
	bash xtask/sample-report.sh

# Checks the events of the sample report against the schemas of OCSF 1.8, if PyPI's ocsf-json-schema is installed.
ocsf:
	bash xtask/ocsf.sh

# After a change of their generator.
samples:
	WRITE_SAMPLES=1 $(CARGO) test --locked -p tests --test samples

doc:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps

# Without the advisory database: the checks of a commit must not change with
# what others publish later. `cargo deny check advisories` uses it.
deny: | have-cargo-deny
	$(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources

# Not part of `test`: how much it finds depends on how long it runs.
fuzz: | have-cargo-fuzz
	bash fuzz/run.sh $(FUZZ_SECONDS)

# Without optimisation: these tools compile in a third of the time, and their
# work takes seconds either way.
.PHONY: have-cargo-deny have-cargo-fuzz
have-cargo-deny:
	@command -v cargo-deny >/dev/null || \
	  env -u CARGO_TARGET_DIR $(CARGO) install --locked --debug cargo-deny@$(CARGO_DENY_VERSION)

have-cargo-fuzz:
	@command -v cargo-fuzz >/dev/null || \
	  env -u CARGO_TARGET_DIR $(CARGO) install --locked --debug cargo-fuzz@$(CARGO_FUZZ_VERSION)
