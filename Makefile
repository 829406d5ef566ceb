# Lockstep. `make demo` shows it, `make test` checks everything. Both set up what they need.

.PHONY: demo test faults setup build models lint fuzz bench clean help

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: ## npm packages (forge, cast, solc) and the Rust toolchain's components
	@scripts/setup.sh

build: setup ## the binary target/release/lockstep
	@cargo build --release -p lockstep-cli

models: build ## imports every committed ONNX file to target/models
	@scripts/models.sh

demo: ## sets up, starts a dev chain, deploys, infers, compares; KEEP=1 leaves the node running
	@scripts/demo.sh

test: ## everything that CI runs
	@scripts/test.sh

faults: ## injects faults of the machine and prints what caught each, and what was lost
	@scripts/faults.sh

fuzz: ## a bounded run of every fuzz target (nightly compiler)
	@scripts/fuzz.sh

bench: ## Lockstep beside candle, tract and onnxruntime on this machine: docs/benchmarks.md
	@scripts/bench.sh

clean: ## removes what was built
	@rm -rf target out cache broadcast node_modules
