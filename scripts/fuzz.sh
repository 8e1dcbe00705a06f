#!/usr/bin/env bash
# Fuzzes the memory monitor's mailbox with that many inputs (or until it fails), guided by coverage:
# libFuzzer on a stable compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

runs=${1:?usage: scripts/fuzz.sh INPUTS [SEED]}
seed=${2:-1}
package=mcomponent-firmware/fuzz
target=$PWD/target/fuzz
export CARGO_TARGET_DIR=$target
# What libFuzzer is guided by. With --target, build scripts and macros are not instrumented.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS='--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table' \
    cargo build --release --locked --quiet --target "$host" --manifest-path "$package/Cargo.toml"
corpus=$target/corpus
mkdir -p "$corpus" "$target/crashes"
# In pieces, each from the corpus that the one before left: long runs show how far they are.
piece=1000000
done=0
while [ "$done" -lt "$runs" ]; do
    [ $((runs - done)) -ge "$piece" ] || piece=$((runs - done))
    "$target/$host/release/mailbox-fuzz" "$corpus" -runs="$piece" -seed=$((seed + done / 1000000)) \
        -max_len=512 -print_final_stats=1 -verbosity=0 -artifact_prefix="$target/crashes/"
    done=$((done + piece))
    echo "fuzz: $done of $runs inputs, no failure"
done
