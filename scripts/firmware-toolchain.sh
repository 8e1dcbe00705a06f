#!/usr/bin/env bash
# Finds or makes what compiles the firmware, and writes FOLDER/toolchain: one key=value a line.
#
#   cargo, rustc     the programs
#   sysroot.TARGET   where `core` for the target is, if the compiler does not have it itself
#   linker.TARGET    its linker, if the compiler does not have one itself
#
# 1. rustup's own targets, where they are installed.
# 2. Debian's compiler and the source of `core` that belongs to it (packages rustc-web, cargo-web,
#    rust-web-src), from which `core` is compiled here, once, without network.
set -euo pipefail

folder=${1:?usage: scripts/firmware-toolchain.sh FOLDER}
targets=(riscv32imc-unknown-none-elf thumbv6m-none-eabi)
mkdir -p "$folder"

has() {
    compgen -G "$(rustc --print sysroot)/lib/rustlib/$1/lib/libcore-*.rlib" >/dev/null
}

rustup_has_all() {
    local target
    for target in "${targets[@]}"; do has "$target" || return 1; done
}

write() { printf '%s\n' "$@" >"$folder/toolchain.new" && mv "$folder/toolchain.new" "$folder/toolchain"; }

if rustup_has_all; then
    write cargo=cargo rustc=rustc "version=$(rustc --version)"
    exit 0
fi

rustc=/usr/bin/rustc cargo=/usr/bin/cargo
source=$([ ! -x "$rustc" ] || "$rustc" --print sysroot)/lib/rustlib/src/rust/library
if [ ! -x "$rustc" ] || [ ! -x "$cargo" ] || [ ! -f "$source/core/src/lib.rs" ]; then
    echo 'no Rust for the firmware: neither has rustup the targets, nor are Debian'"'"'s packages there.' >&2
    echo "Either: rustup target add ${targets[*]}" >&2
    echo 'or:     apt-get install --no-install-recommends rustc-web cargo-web rust-web-src' >&2
    exit 1
fi

# Any LLD links for any target: rustup's, or Debian's.
host=$(rustc -vV | sed -n 's/^host: //p')
linker=
for candidate in "$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld" /usr/bin/ld.lld /usr/bin/ld.lld-*; do
    [ -x "$candidate" ] && linker=$candidate && break
done
[ -n "$linker" ] || {
    echo 'no linker for the firmware: apt-get install --no-install-recommends lld' >&2
    exit 1
}

# Named by version: cargo does not notice that a sysroot has changed.
sysroot=$folder/rust-$("$rustc" -vV | sed -n 's/^release: //p')
lines=("cargo=$cargo" "rustc=$rustc" "version=$("$rustc" --version)")
for target in "${targets[@]}"; do
    libraries=$sysroot/lib/rustlib/$target/lib
    if ! compgen -G "$libraries/libcore-*.rlib" >/dev/null; then
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        mkdir "$work/src"
        printf '%s\n' '[package]' 'name = "sysroot"' 'version = "0.0.0"' 'edition = "2021"' \
            '[workspace]' '[profile.release]' 'panic = "abort"' >"$work/Cargo.toml"
        echo '#![no_std]' >"$work/src/lib.rs"
        # The libraries keep their bitcode, for link-time optimisation with the firmware.
        (cd "$work" && env -u RUSTC_WRAPPER -u RUSTUP_TOOLCHAIN RUSTFLAGS=-Cembed-bitcode=yes \
            RUSTC_BOOTSTRAP=1 RUSTC="$rustc" CARGO_HOME="$work/home" CARGO_TARGET_DIR="$work/target" \
            "$cargo" --offline -q build --release --target "$target" \
            -Zbuild-std=core,alloc -Zbuild-std-features=compiler-builtins-mem \
            --config 'source.crates-io.replace-with="vendored"' \
            --config "source.vendored.directory=\"$source/vendor\"") >&2
        mkdir -p "$libraries.new"
        cp "$work/target/$target"/release/deps/lib{core,alloc,compiler_builtins}-*.rlib "$libraries.new/"
        mv "$libraries.new" "$libraries"
        rm -rf "$work"
    fi
    lines+=("sysroot.$target=$sysroot" "linker.$target=$linker")
done
write "${lines[@]}"
