# The commands of the README. Everything else is `cargo` and `target/release/fedctl`.
FEDCTL := target/release/fedctl

.PHONY: help setup build demo down image test bench check

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

setup: ## install the tools that the other targets need, once
	@scripts/setup.sh

build: setup
	cargo build --release --locked

demo: build ## federate three regions on this machine and run the scenarios
	$(FEDCTL) demo

down: build ## remove what `make demo` started, but keep its data
	$(FEDCTL) down

image: ## build the built-in services' image from a static build, for `service-image: fedctl-service:static`
	scripts/service-image.sh | docker import - fedctl-service:static

# one end-to-end case alone: `cargo test --test it -- a_killed_broker`; ARCHITECTURE.md lists the rest
test: setup ## every test, including those against real brokers
	cargo run --locked -- pull
	cargo test --workspace --locked

# what cargo builds for a bench unwinds: larger than what is shipped, and in the same place
bench: build ## speed and size, compared with plain brokers, Nameko, aio-pika and pika
	$(FEDCTL) pull
	cp $(FEDCTL) target/measured
	FEDCTL=$(CURDIR)/target/measured cargo bench --locked --bench federation

check: ## formatting, lints, documentation, dependencies
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	! cargo tree --locked -p fedctl-model -e normal --prefix none | grep -E '^(tokio|reqwest|bollard|lapin) '
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked
	cargo deny --version >/dev/null 2>&1 || cargo install --locked --debug cargo-deny
	cargo deny check bans licenses sources
