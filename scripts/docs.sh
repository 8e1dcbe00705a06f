#!/usr/bin/env bash
# Builds the documentation into site/ and checks every link in it, and those of the README.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=${SPLITMEM_TOOLS:-.tools}

# The register reference is printed from the one definition of the registers.
cargo run --quiet --release ${CI:+--locked} -p splitmem -- abi docs -o docs/src/reference/registers.md
# And the table of mutants from the proofs.
"$tools/venv/bin/python" hdl/formal/prove.py --mutants docs/src/reference/mutants.md
"$tools/bin/mdbook" build docs
"$tools/venv/bin/python" scripts/linkcheck.py site README.md

# The documentation in the source: a link to an item that is gone is an error there too.
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --release --workspace --no-deps ${CI:+--locked}
