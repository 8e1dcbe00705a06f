#!/bin/sh
# Links with every library static, as a linker of rustc's: whatever crt-static says, rustc asks for the C++
# runtime and for what Verilator's traces need as shared libraries.
for arg; do
    shift
    [ "$arg" = -Wl,-Bdynamic ] || set -- "$@" "$arg"
done
exec cc "$@"
