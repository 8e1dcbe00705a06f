#!/usr/bin/env bash
# QEMU for x86-64 from the folder $1, which scripts/vm/fetch.sh made, with the rest of the arguments.
set -euo pipefail
root=$1/root
shift
lib=$root/usr/lib/x86_64-linux-gnu
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$lib:$lib/pulseaudio" \
    "$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
