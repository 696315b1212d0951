# What there is to do here. `make help` lists it.

SERVICES := deploy/services.sh
NEXTEST := $(shell cargo nextest --version 2>/dev/null)

.PHONY: help run run-fleet test chaos bench pages fuzz fuzz-parsers lint generated fmt services

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: ## the server alone, on ./hookfleet-data; to be tried out, it may deliver to this machine
	HOOKFLEET_ALLOW_HTTP=$${HOOKFLEET_ALLOW_HTTP-true} \
	HOOKFLEET_ALLOW_PRIVATE_NETWORKS=$${HOOKFLEET_ALLOW_PRIVATE_NETWORKS-127.0.0.0/8} \
	cargo run --release -- serve

run-fleet: ## an API, two workers and a receiver over private RabbitMQ and Redis
	cargo build --release
	$(SERVICES) run -- deploy/run-fleet.sh

test: ## every test, over private RabbitMQ and Redis
	cargo build --locked --workspace --all-targets
	tests/receivers/install.sh
	tests/console/install.sh
	deploy/prometheus/install.sh
	deploy/as-in-image.sh target/debug/hookfleet-under-test
ifdef NEXTEST
	$(SERVICES) run -- cargo nextest run --workspace
else
# Those that end and start what all tests share come after the others, one by one.
	$(SERVICES) run -- sh -ec 'cargo test --workspace -- --skip outage; \
	  cargo test --workspace -- --test-threads=1 outage'
endif

CHAOS := --seed 1 --runs 10 --seconds 180 --report docs/chaos
chaos: ## half an hour of faults over a cluster of three nodes, and its report in docs/; CHAOS=… for less
	cargo build --workspace --bins
	$(SERVICES) cluster -- target/debug/chaos $(CHAOS)

BACKEND ?= embedded
bench: ## figures, beside the floor of this machine; BACKEND=embedded or fleet, ARGS=…
	cargo build --release
	deploy/with-server.sh $(BACKEND) bench \
	  --json target/bench-$(BACKEND).json --chart target/bench-$(BACKEND).svg $(ARGS)

pages: ## how long the console's pages take with much stored, and pictures of them; BACKEND=embedded or fleet
	cargo build --release
	deploy/with-server.sh $(BACKEND) pages

fuzz: ## calls by the OpenAPI document, good and bad; BACKEND=embedded or fleet, ARGS=…
	cargo build --release
	deploy/with-server.sh $(BACKEND) fuzz $(ARGS)

MINUTES ?= 10
fuzz-parsers: ## random bytes for everything that reads some from outside; MINUTES=…
	deploy/fuzz-parsers.sh $(MINUTES)

lint: ## format, clippy, documentation; dependencies' licences, sources and advisories; what is deployed
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	deploy/deny.sh
	deploy/lint.sh

generated: ## what is made from other sources: dashboards, tables, docs/metrics.md, docs/openapi.json
	deploy/grafana/dashboards.py
	deploy/scaling/model.py
	UPDATE_EXPECT=1 cargo test -q -p hookfleet-cli -p hookfleet-api -- metrics openapi

fmt: ## format
	cargo fmt --all

services: ## a shell with private RabbitMQ and Redis
	$(SERVICES) run -- $${SHELL:-bash}
