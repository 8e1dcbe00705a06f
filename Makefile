# Splitmem. `make` alone says what there is.

# One profile for everything, so that nothing is compiled twice; tests drive millions of cycles
# and want it optimised anyway.
PROFILE := --release
# In CI the lock file must be right; at a desk cargo may bring it up to date.
LOCKED := $(if $(CI),--locked)
# The property tests' inputs: the same for everybody, unless told otherwise.
export PROPTEST_RNG_SEED ?= 1
CARGO := cargo

export SPLITMEM_TOOLS := $(abspath $(or $(SPLITMEM_TOOLS),.tools))

# The real text that `make run` counts. Every Debian machine has it (package base-files).
TEXT := /usr/share/common-licenses/GPL-3
REPORT := report

SETUP := scripts/setup.sh
SPLITMEM := $(CARGO) run -q $(LOCKED) $(PROFILE) -p splitmem --
MDBOOK := $(SPLITMEM_TOOLS)/bin/mdbook

.DEFAULT_GOAL := help
.PHONY: help run test soak fmax prove lint docs bench cosim vm-test probe-test companion hygiene setup clean
# One after the other also under -j: cargo uses all cores by itself.
.NOTPARALLEL:

help: ## this text
	@echo 'Splitmem: memory as a component, its page tables, TLB and page faults in hardware.'
	@echo
	@echo 'Start with "make run": it installs what is missing, builds the component, simulates it'
	@echo 'cycle by cycle under a real program, checks the answer and measures the latencies.'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables: SPLITMEM_TOOLS=DIR  where tools are installed (now $(SPLITMEM_TOOLS))'
	@echo '           TEXT=FILE           the text that "make run" counts (now $(TEXT))'
	@echo '           REPORT=DIR          where "make run" leaves its report (now $(REPORT))'
	@echo 'All that the program can do: cargo run --release -p splitmem -- --help'

setup: ## install what building and simulating need
	@$(SETUP) sim soc

run: setup ## count the words of a real text on the simulated component, then measure it
	$(SPLITMEM) sim wordcount "$(TEXT)" --monitor firmware --report "$(REPORT)"
	$(SPLITMEM) latency --report "$(REPORT)"
	@echo
	@echo 'The report, to open in a browser: $(REPORT)'

# Byte sequences for the memory monitor's mailbox in `make test`: seconds, and a minute to compile.
FUZZ_SLICE := 20000

# The quick checks first: a misformatted line should not cost a build to find.
test: hygiene setup ## everything CI checks: format, lints, tests, proofs, docs, a virtual machine
	$(CARGO) fmt --all --check
	$(CARGO) fmt --check --manifest-path mcomponent-firmware/softcore/Cargo.toml
	$(CARGO) fmt --check --manifest-path mcomponent-firmware/rp2040/Cargo.toml
	$(CARGO) fmt --check --manifest-path mcomponent-firmware/fuzz/Cargo.toml
	$(CARGO) clippy $(LOCKED) $(PROFILE) --workspace --all-targets -- -D warnings
	scripts/companion.sh
	$(CARGO) test $(LOCKED) $(PROFILE) --workspace
	scripts/fuzz.sh $(FUZZ_SLICE)
	@$(MAKE) --no-print-directory lint prove cosim docs vm-test

companion: setup ## build the memory monitor's firmware for an RP2040 beside the FPGA
	scripts/companion.sh

lint: ## check the emitted Verilog with Verilator and Yosys
	@$(SETUP) sim soc prove
	@hdl/lint.sh

prove: ## prove the emitted Verilog's promises by k-induction
	@$(SETUP) sim prove
	@$(SPLITMEM_TOOLS)/venv/bin/python hdl/formal/prove.py

cosim: ## test the emitted front ends with bus models that others wrote (cocotb)
	@$(SETUP) sim cosim
	@$(SPLITMEM_TOOLS)/venv/bin/python verilator-tb/cocotb/run.py

# Exit code 77 is a skip, which the script says loudly.
vm-test: setup ## a stock Linux kernel in QEMU drives the component at PCIe, and CXL memory
	@scripts/vm-test.sh || [ $$? -eq 77 ]

probe-test: setup ## an unmodified probe-rs and GDB load, log and debug the simulated board
	@$(SETUP) probe
	@scripts/probe-test.sh

# Minutes of unmodified programs under stress in managed memory, each of two ways: 24 CPU-minutes.
STRESS_MINUTES := 6
# Byte sequences for the memory monitor's mailbox: half an hour.
FUZZ_INPUTS := 10000000

soak: setup ## ten million random requests, hardware against golden model; then programs under stress
	$(SPLITMEM) soak
	$(CARGO) test -q $(LOCKED) $(PROFILE) -p splitmem-cxl-host --test link -- --ignored --nocapture
	$(CARGO) test -q $(LOCKED) $(PROFILE) -p splitmem-hdl --test micro -- --ignored --nocapture
	$(CARGO) test -q $(LOCKED) $(PROFILE) -p splitmem-hdl --test link -- --ignored --nocapture
	scripts/fuzz.sh $(FUZZ_INPUTS)
	$(CARGO) test -q $(LOCKED) $(PROFILE) -p verilator-tb --test firmware -- --ignored --nocapture
	$(CARGO) build -q $(LOCKED) $(PROFILE) -p splitmem -p splitmem-preload
	for how in '--local 512KiB' '--local 2MiB --profile network'; do \
	    target/release/splitmem run $$how -- \
	        target/release/splitmem-stress $$((60 * $(STRESS_MINUTES))) 4 $$(date +%s) || exit 1; \
	done

# Swap and memory limits need root; what cannot be measured is skipped, with the reason.
bench: setup ## compare with local memory, swap and mapped files; measure the component
	$(SPLITMEM) bench --report "$(REPORT)"
	$(SPLITMEM) latency --report "$(REPORT)"

# What is placed and routed, large or small, and the placements that are tried.
HW := large
SEEDS := 1 2

fmax: ## place and route for ECP5, print and keep the clock it reaches
	@$(SETUP) sim synth
	$(SPLITMEM) fmax --config $(HW) $(SEEDS:%=--seed %) --save bitstreams/fmax/$(HW).json

docs: ## build the documentation into site/, links checked
	@$(SETUP) docs
	scripts/docs.sh

hygiene: ## check scripts, file sizes and notices
	@scripts/hygiene.sh

clean: ## delete what was built; tools stay (they are in SPLITMEM_TOOLS)
	$(CARGO) clean
	rm -rf report site
