#!/usr/bin/env bash
# Fetches libkrunfw (the guest kernel of libkrun) from an npm package, for the tests of booting it: nothing of diatom's needs
# it. Leaves OUT/libkrunfw.so.5. Nothing is downloaded when it is there; where there is no npm, the tests say so and skip.
#   fetch_krunfw.sh OUT
set -euo pipefail
out=$1
[ -e "$out/libkrunfw.so.5" ] && exit 0
command -v npm >/dev/null || exit 0
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if (cd "$scratch" && timeout 300 npm pack --silent @boxlite-ai/boxlite-linux-x64-gnu@0.2.11 && tar xzf ./*.tgz) >/dev/null 2>&1; then
    mv "$scratch/package/runtime/libkrunfw.so.5" "$out/"
else
    echo "fetch_krunfw: not to be had; the tests of its kernel are skipped" >&2
fi
