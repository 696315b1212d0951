# What there is to do here. `make help` lists it.

SERVICES := deploy/services.sh

.PHONY: help run run-fleet test test-rabbitmq-4 chaos outages bench pages fuzz fuzz-parsers lint generated fmt services

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 17

run: ## the server alone, on ./hookfleet-data; to be tried out, it may deliver to this machine
	HOOKFLEET_ALLOW_HTTP=$${HOOKFLEET_ALLOW_HTTP-true} \
	HOOKFLEET_ALLOW_PRIVATE_NETWORKS=$${HOOKFLEET_ALLOW_PRIVATE_NETWORKS-127.0.0.0/8} \
	cargo run --release -- serve

run-fleet: ## an API, two workers and a receiver over private RabbitMQ and Redis
	cargo build --release
	$(SERVICES) run -- deploy/run-fleet.sh

# Somebody else's is used when it is named on the command line, never by the environment alone.
# (Expanded by the shell, so that no password is printed.)
lent = $(if $(filter command,$(firstword $(origin $(1)))),"$$$(1)")
test: ## every test, over private RabbitMQ and Redis; AMQP_URL=… REDIS_URL=… for others (docs/TESTING.md)
	cargo build --locked --workspace --all-targets
	tests/receivers/install.sh
	tests/console/install.sh
	deploy/prometheus/install.sh
	deploy/as-in-image.sh target/debug/hookfleet-under-test
	HOOKFLEET_TEST_AMQP_URL=$(call lent,AMQP_URL) \
	HOOKFLEET_TEST_REDIS_URL=$(call lent,REDIS_URL) \
	$(SERVICES) run -- tests/run.sh

test-rabbitmq-4: ## every test, over a private RabbitMQ 4 from Debian 13; needs root and debootstrap
	deploy/rabbitmq-4.sh target/rabbitmq-4
	HOOKFLEET_TEST_RABBITMQ_ROOT=$(CURDIR)/target/rabbitmq-4 $(MAKE) test

CHAOS := --seed 1 --runs 10 --seconds 180 --report docs/chaos
OUTAGES := --scenario store,minority,majority --report docs/outages
chaos: ## half an hour of faults over a cluster of three nodes, and its report in docs/; CHAOS=… for others
	cargo build --workspace --bins
	$(SERVICES) cluster -- target/debug/chaos $(CHAOS)

outages: ## a minute each without Redis, one of three broker nodes, two of them; and its report in docs/
	$(MAKE) chaos CHAOS="$(OUTAGES)"

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

generated: ## what is made from other sources: dashboards, tables, docs/{metrics,cli,configuration}.md, docs/openapi.json
	deploy/grafana/dashboards.py
	deploy/scaling/model.py
	UPDATE_EXPECT=1 cargo test -q -p hookfleet-cli -p hookfleet-api -- metrics openapi reference

fmt: ## format
	cargo fmt --all

services: ## a shell with private RabbitMQ and Redis
	$(SERVICES) run -- $${SHELL:-bash}
