# The few commands of the README. Everything else is `cargo` and `target/release/fedctl`.
FEDCTL := target/release/fedctl

.PHONY: help setup build demo down image test bench check

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

setup: ## install what the recipes need, once
	@scripts/setup.sh

build: setup
	cargo build --release --locked

demo: build ## federate three regions on this machine and prove it
	$(FEDCTL) demo

down: build ## remove what `make demo` made, but not its data
	$(FEDCTL) down

# one end-to-end case alone: `cargo test --test e2e -- a_killed_broker`; ARCHITECTURE.md lists the rest
image: ## an image of the services from a static build: `service-image: fedctl-service:static` in a topology
	scripts/service-image.sh | docker import - fedctl-service:static

test: setup ## every test, those against real brokers too
	cargo run --locked -- pull
	cargo test --workspace --locked

# what cargo builds for a bench unwinds: larger than what is shipped, and in the same place
bench: build ## how fast and how small, beside plain brokers, Nameko, aio-pika and pika
	$(FEDCTL) pull
	cp $(FEDCTL) target/measured
	FEDCTL=$(CURDIR)/target/measured cargo bench --locked --bench federation

check: ## form, lints, documentation, dependencies
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked
	cargo deny --version >/dev/null 2>&1 || cargo install --locked --debug cargo-deny
	cargo deny check bans licenses sources
