#!/usr/bin/env bash
# Builds the memory monitor for the RP2040 beside an FPGA, with what `scripts/setup.sh soc` installed:
# target/firmware/thumbv6m-none-eabi/release/splitmem-rp2040, an ELF file.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

target=thumbv6m-none-eabi
toolchain=${SPLITMEM_TOOLS:-$root/.tools}/firmware/toolchain
[ -f "$toolchain" ] || {
    echo "companion: no Rust for the firmware in $toolchain: run 'scripts/setup.sh soc'" >&2
    exit 1
}
value() { sed -n "s/^$1=//p" "$toolchain"; }

# Paths in the ELF, which the logs show, are the same wherever it was built.
flags=--remap-path-prefix=$root=.
sysroot=$(value "sysroot.$target") linker=$(value "linker.$target")
[ -z "$sysroot" ] || flags+=" --sysroot=$sysroot"
[ -z "$linker" ] || export CARGO_TARGET_THUMBV6M_NONE_EABI_LINKER=$linker
export CARGO_TARGET_THUMBV6M_NONE_EABI_RUSTFLAGS=$flags
export DEFMT_LOG=${DEFMT_LOG:-info}
RUSTC=$(value rustc)
export RUSTC

cd "$root/mcomponent-firmware/rp2040"
"$(value cargo)" build --release --locked --quiet --target $target --target-dir "$root/target/firmware"
