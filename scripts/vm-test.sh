#!/usr/bin/env bash
# A stock Debian kernel in QEMU (no KVM) drives the simulated component as a PCIe device, and QEMU's CXL
# memory through our bindings: scripts/vm/init is what runs in the guest. The log is
# target/vm-test/guest.log. Exit code 77: skipped, because what it needs cannot be downloaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$(realpath -m "${SPLITMEM_TOOLS:-$PWD/.tools}")
vm=$tools/vm
work=$PWD/target/vm-test
python=$tools/venv/bin/python
# A boot and all of the guest's work: half a minute on an idle machine, more where others work too.
seconds=900

scripts/setup.sh vm || {
    printf 'vm-test: %s\n' "######## SKIPPED ########" \
        "QEMU and a kernel could not be downloaded (see above): nothing was tested." >&2
    exit 77
}

rm -rf "$work"
mkdir -p "$work"
# Statically linked, so that the guest needs no libraries: only the last step is done anew, everything
# it links is what 'cargo build' has built. Copied away, because the next build puts its own there.
cargo rustc -q --release ${CI:+--locked} -p splitmem --bin splitmem -- \
    -C target-feature=+crt-static -C linker="$PWD/scripts/vm/static-cc.sh"
cp "${CARGO_TARGET_DIR:-target}/release/splitmem" "$work/splitmem"
head -c 20000 /usr/share/common-licenses/GPL-3 >"$work/text"
modules=()
for module in cxl_acpi cxl_pci cxl_mem cxl_port dax_cxl device_dax vfio_iommu_type1 vfio-pci; do
    modules+=(--module "$module")
done
"$python" scripts/vm/image.py --kernel "$vm/kernel" --busybox "$vm/busybox" \
    --program "$work/splitmem" "${modules[@]}" \
    --file "scripts/vm/init=/init" --file "$work/text=/text" -o "$work/initrd.gz"

# A socket's path is short.
socket=$(mktemp -d)/board
"$work/splitmem" serve --vfio-user "$socket" --hw small --once >"$work/board.log" 2>&1 &
board=$!
trap 'kill "$board" 2>/dev/null || true; rm -rf "$(dirname "$socket")"' EXIT
for _ in $(seq 1200); do
    [ -S "$socket" ] && break
    kill -0 "$board" 2>/dev/null || { cat "$work/board.log" >&2; exit 1; }
    sleep 0.1
done

# hypervisor=off: the kernel flushes caches before it commits a region, and will not do so in what it
# knows to be a virtual machine. no_timer_check: its test of the timer counts ticks against processor
# cycles, and panics where the emulation is slow.
started=$SECONDS
status=0
timeout --kill-after 5 "$seconds" scripts/vm/qemu.sh "$vm" \
    -accel tcg,thread=multi -cpu max,hypervisor=off -smp 2 \
    -machine q35,cxl=on,memory-backend=m0,cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=1G \
    -m 1G,maxmem=4G,slots=4 -object memory-backend-memfd,id=m0,size=1G,share=on \
    -device intel-iommu,intremap=on,caching-mode=on \
    -device "{\"driver\":\"vfio-user-pci\",\"id\":\"component\",\"bus\":\"pcie.0\",\"socket\":{\"type\":\"unix\",\"path\":\"$socket\"}}" \
    -device pxb-cxl,bus_nr=12,bus=pcie.0,id=cxl.1 \
    -device cxl-rp,port=0,bus=cxl.1,id=rp0,chassis=0,slot=2 \
    -object memory-backend-ram,id=cm0,size=512M \
    -device cxl-type3,bus=rp0,volatile-memdev=cm0,id=cxl-mem0,sn=0x1234 \
    -nodefaults -no-user-config -display none -serial stdio -no-reboot \
    -kernel "$(echo "$vm"/kernel/boot/vmlinuz-*)" -initrd "$work/initrd.gz" \
    -append "console=ttyS0 quiet panic=-1 intel_iommu=on no_timer_check" </dev/null >"$work/guest.log" 2>&1 || status=$?
if grep -q '^vm-test: .*PASSED' "$work/guest.log"; then
    grep '^vm-test: ' "$work/guest.log" | tr -d '\r'
    echo "vm-test: passed in $((SECONDS - started)) s; the guest's log is $work/guest.log"
    exit 0
fi
tail -n 120 "$work/guest.log" | tr -d '\r' >&2
tail -n 20 "$work/board.log" >&2
echo "vm-test: FAILED (QEMU's exit code $status); the guest's log is $work/guest.log" >&2
exit 1
