#!/usr/bin/env bash
# An unmodified probe-rs and GDB against the simulated board: log, load, verify, reset, breakpoint,
# backtrace. What each of them printed stays in target/probe-test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$(realpath -m "${SPLITMEM_TOOLS:-$PWD/.tools}")
probe_rs=$tools/bin/probe-rs
splitmem=${CARGO_TARGET_DIR:-target}/release/splitmem
elf=${CARGO_TARGET_DIR:-target}/firmware/riscv32imc-unknown-none-elf/release/splitmem-softcore
work=target/probe-test
debug=127.0.0.1:7781 host=127.0.0.1:7782 gdb=127.0.0.1:7783
chip=(--probe "1d50:6018:$debug" --protocol jtag --chip splitmem-soc
    --chip-description-path mcomponent-firmware/softcore/splitmem-soc.yaml)

say() { printf 'probe-test: %s\n' "$*"; }
die() {
    say "FAILED: $1 (see $work)" >&2
    [ $# -lt 2 ] || tail -n 20 "$2" >&2
    exit 1
}
stop() { jobs -p | xargs -r kill 2>/dev/null || true; }
trap stop EXIT

# Ends what would run for ever; how it ends says nothing then.
end() {
    kill "$1"
    wait "$1" 2>/dev/null || true
}

# Waits for a line in a file that something in the background writes.
wait_for() {
    local text=$1 file=$2
    for _ in $(seq 600); do
        ! grep -qF -- "$text" "$file" 2>/dev/null || return 0
        sleep 0.1
    done
    die "no '$text' in a minute" "$file"
}

component() { "$splitmem" component "$@" --host "$host" --timeout 60; }

# The memory of process 7 is what nothing here may lose.
is_kept() {
    component info --json >"$work/info.json" || die "no answer after $1" "$work/info.json"
    grep -q '"mappings":16' "$work/info.json" || die "memory was lost by $1" "$work/info.json"
    say "$1: ok"
}

rm -rf "$work"
mkdir -p "$work"
cargo build -q --release ${CI:+--locked} -p splitmem
"$splitmem" board --debug "$debug" --host "$host" >"$work/board.log" 2>&1 &
wait_for 'the board is up' "$work/board.log"
component alloc --pid 7 --pages 16 >"$work/alloc.log"

"$probe_rs" attach "${chip[@]}" "$elf" >"$work/attach.log" 2>&1 &
attached=$!
wait_for 'recovered false (splitmem_softcore softcore/src/main.rs:' "$work/attach.log"
end "$attached"
is_kept 'log with file and line (probe-rs attach)'

"$probe_rs" download "${chip[@]}" "$elf" >"$work/download.log" 2>&1 || die 'not loaded' "$work/download.log"
"$probe_rs" verify "${chip[@]}" "$elf" >"$work/verify.log" 2>&1 || die 'loaded wrong' "$work/verify.log"
"$probe_rs" reset "${chip[@]}" >"$work/reset.log" 2>&1 || die 'not reset' "$work/reset.log"
is_kept 'load, verify, reset (probe-rs download, verify, reset)'

"$probe_rs" gdb "${chip[@]}" --gdb-connection-string "$gdb" >"$work/gdb-server.log" 2>&1 &
server=$!
wait_for 'GDB stub' "$work/gdb-server.log"
# A command to run into the breakpoint, once GDB has had the time to set it.
{
    wait_for 'Hardware assisted breakpoint' "$work/gdb.log"
    sleep 5
    component free --pid 7 --at 0x40000000 --pages 16 >"$work/free.log" 2>&1
} &
timeout 120 gdb-multiarch -q -batch -ex 'set remotetimeout 100' -ex "file $elf" \
    -ex "target remote $gdb" -ex 'hbreak splitmem_softcore::answered' -ex continue -ex backtrace \
    -ex delete -ex detach >"$work/gdb.log" 2>&1 || die 'GDB' "$work/gdb.log"
grep -q 'Breakpoint 1, splitmem_softcore::answered (code=0)' "$work/gdb.log" || die 'no breakpoint' "$work/gdb.log"
grep -q 'kernel::run_parts' "$work/gdb.log" || die 'no backtrace' "$work/gdb.log"
end "$server"
say 'hardware breakpoint, backtrace (probe-rs gdb): ok'

# GDB leaves the core halted, and probe-rs does not let it go on.
"$probe_rs" reset "${chip[@]}" >>"$work/reset.log" 2>&1 || die 'not reset' "$work/reset.log"
component info --json >"$work/info.json" || die 'no answer after GDB' "$work/info.json"
grep -q '"mappings":0' "$work/info.json" || die 'a command was lost' "$work/info.json"
say 'the command that the breakpoint held up was carried out once: ok'
