#!/usr/bin/env bash
# Keeps the repository tidy: scripts parse and can be executed, no file is too large to clone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

limit=$((1024 * 1024))
bad=0
complain() {
    printf 'hygiene: %s\n' "$*" >&2
    bad=1
}

if [ ! -e .git ]; then
    echo 'hygiene: not a git checkout, nothing to look at'
    exit 0
fi
files=$(mktemp)
trap 'rm -f "$files"' EXIT
# Into a file first: a git that fails must stop us, and in a pipe it would look like no files.
git ls-files -z >"$files"

# Files that git has, staged ones too, and that are still there.
while IFS= read -r -d '' file; do
    [ -f "$file" ] && [ ! -L "$file" ] || continue

    size=$(stat -c %s "$file")
    case $file in
        bitstreams/*) ;;
        *) [ "$size" -le "$limit" ] || complain "$file: $size bytes; 1 MiB is the most outside bitstreams/" ;;
    esac

    line=
    IFS= read -r line 2>/dev/null <"$file" || true
    case $line in
        '#!'*bash* | '#!'*/sh*)
            bash -n "$file" || complain "$file: does not parse"
            [ -x "$file" ] || complain "$file: is a script and not executable"
            ;;
    esac
done <"$files"

[ "$bad" -eq 0 ] || exit 1
echo 'hygiene: scripts parse, no file is too large'
