#!/usr/bin/env bash
# Downloads QEMU, a Debian kernel and a static busybox into the folder $1, and installs nothing:
# root/ (QEMU and its libraries), kernel/ (vmlinuz and modules), busybox.
#
# QEMU with vfio-user (10.1 and newer) is in Debian 13's backports; a kernel with volatile CXL regions
# (6.3 and newer) in Debian 12's. They come through this machine's own mirror, signatures checked.
set -euo pipefail

into=$(realpath -m "$1")
qemu_suite=trixie
kernel_suite=bookworm
kernel=linux-image-amd64

say() { printf 'vm: %s\n' "$*" >&2; }
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
    say "no apt-get here: QEMU 10.1 or newer and a Debian kernel cannot be downloaded"
    exit 1
}

# The mirror of this machine, whichever way its sources are written.
mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
    grep -v security | head -n1 || true)
mirror=${mirror:-http://deb.debian.org/debian}

# apt with lists, cache and package state of its own, in which nothing is installed.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
own_apt() {
    local suite=$1 state=$work/$1
    mkdir -p "$state"/{lists/partial,cache/archives/partial,etc}
    : >"$state/status"
    printf '%s\n' "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite-backports main" \
        >"$state/etc/sources.list"
    cat >"$state/apt.conf" <<END
Dir::State "$state";
Dir::State::status "$state/status";
Dir::Cache "$state/cache";
Dir::Etc::sourcelist "$state/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::preferences "/dev/null";
APT::Architecture "amd64";
Acquire::http::Timeout "20";
Acquire::Retries "1";
APT::Install-Recommends "false";
Acquire::Languages "none";
Debug::NoLocking "true";
END
}
get() {
    local suite=$1
    shift
    APT_CONFIG=$work/$suite/apt.conf timeout 600 apt-get -qq -y --download-only -t "$suite-backports" install "$@" \
        >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; return 1; }
}

rm -rf "$into.new"
mkdir -p "$into.new"/{root,kernel}
for suite in $qemu_suite $kernel_suite; do
    own_apt $suite
    APT_CONFIG=$work/$suite/apt.conf apt-get -qq update >"$work/log" 2>&1 || {
        tail -n 5 "$work/log" >&2
        say "the lists of $suite-backports cannot be had from $mirror"
        exit 1
    }
done
say "downloading QEMU from $qemu_suite-backports at $mirror"
get $qemu_suite qemu-system-x86
for package in "$work/$qemu_suite"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$into.new/root"
done
say "downloading $kernel from $kernel_suite-backports"
# The metapackage names the kernel that is newest today; only that one's files are wanted.
image=$(APT_CONFIG=$work/$kernel_suite/apt.conf apt-cache \
    -o APT::Default-Release=$kernel_suite-backports depends $kernel |
    sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n1)
(cd "$work" && APT_CONFIG=$work/$kernel_suite/apt.conf apt-get -qq download "$image" busybox-static \
    >"$work/log" 2>&1) || { tail -n 5 "$work/log" >&2; exit 1; }
dpkg-deb -x "$work"/linux-image-*.deb "$into.new/kernel"
dpkg-deb -x "$work"/busybox-static_*.deb "$work/busybox"
cp "$(find "$work/busybox" -path '*/bin/busybox')" "$into.new/busybox"
rm -rf "$into.new/root/usr/share/"{doc,man,locale,icons} "$into"
mv "$into.new" "$into"
