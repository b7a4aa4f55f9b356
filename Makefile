# AsyncPingora: everything a contributor does, by name. `make help` lists it.
#
# Variables worth knowing: RUN_ARGS (arguments of Demo), BENCH_ARGS (arguments of Benchmarks/bench.py), FUZZ_SECONDS, DOCS_OUTPUT,
# INTEROP_ARGS (arguments of pytest), SWIFT_FLAGS (extra flags of each swift build and swift test, for instance "-j 2").

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run release test bench micro lint format docs fuzz clean

SWIFT ?= swift
SWIFT_FLAGS ?=
# How many tests run at once. Each has threads, peers and deadlines of its own: hundreds of them starve each other.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH ?= 4
# How programs are built for use: the layers inlined into each other, the runtime linked in, and the run-time checks for overlapping
# access off, which cost an eighth of a request and which every test runs with (see docs/architecture.md).
RELEASE_FLAGS := -c release --static-swift-stdlib -Xswiftc -cross-module-optimization -Xswiftc -enforce-exclusivity=unchecked
RUN_ARGS ?=
BENCH_ARGS ?=
INTEROP_ARGS ?=
FUZZ_SECONDS ?= 30
DOCS_OUTPUT ?= .build/docs
# Only the directories and files that exist: the formatter stops at a path that does not.
FORMATTED := $(wildcard Sources Tests Examples Fuzz Benchmarks Package.swift)

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install every Debian package that any other target needs
	@scripts/install-packages.sh build test bench fuzz

run: ## Build in release mode and start the proxy on 127.0.0.1:6188 with an origin behind it; its admin page is on :6190
	@scripts/install-packages.sh build
	$(SWIFT) build $(SWIFT_FLAGS) $(RELEASE_FLAGS) --product Demo
	@exec "$$($(SWIFT) build $(SWIFT_FLAGS) -c release --show-bin-path)/Demo" $(RUN_ARGS)

test: ## Build and run all tests, also those with real tools and peers (Tests/Interop)
	@scripts/install-packages.sh build test
	$(SWIFT) build $(SWIFT_FLAGS) --build-tests
	$(SWIFT) test $(SWIFT_FLAGS) --parallel
	@Tests/Interop/run.sh "$$($(SWIFT) build $(SWIFT_FLAGS) --show-bin-path)" $(INTEROP_ARGS)

bench: ## Compare with nginx, HAProxy, nghttpx and a bare C forwarder (BENCH_ARGS="--quick", "--help", ...)
	@scripts/install-packages.sh build bench
	$(SWIFT) build $(SWIFT_FLAGS) $(RELEASE_FLAGS) --product Demo
	python3 Benchmarks/bench.py $(BENCH_ARGS)

release: ## Build Demo as `make run` does
	$(SWIFT) build $(SWIFT_FLAGS) $(RELEASE_FLAGS) --product Demo

micro: ## Time the head scanner, header map, chunked codec, pool, timers and metrics by themselves
	@scripts/install-packages.sh build
	$(SWIFT) package $(SWIFT_FLAGS) --package-path Benchmarks --disable-sandbox benchmark $(BENCH_ARGS)

lint: ## Check the format, the house rules and the imports between targets
	@scripts/install-packages.sh build
	@status=0; \
	run() { echo "$$*"; "$$@" || status=1; }; \
	run $(SWIFT) format lint --strict --recursive --parallel $(FORMATTED); \
	run python3 .ci/lint.py; \
	run $(SWIFT) build $(SWIFT_FLAGS) --explicit-target-dependency-import-check error; \
	exit $$status

format: ## Rewrite the sources in the house format
	$(SWIFT) format --in-place --recursive --parallel $(FORMATTED)

docs: ## Convert the documentation of the libraries with DocC into .build/docs
	@scripts/install-packages.sh build
	DOCS_OUTPUT="$(DOCS_OUTPUT)" scripts/build-docs.sh

fuzz: ## Run each fuzz target for FUZZ_SECONDS seconds
	@scripts/install-packages.sh build fuzz
	@if [ -x Fuzz/run.sh ]; then exec Fuzz/run.sh $(FUZZ_SECONDS); else echo "No fuzz targets: Fuzz/run.sh is missing." >&2; exit 1; fi

clean: ## Remove what building, testing and benchmarking left behind
	rm -rf .build .ci-scratch Benchmarks/.build Benchmarks/results
