#!/usr/bin/env bash
# Fetches a real libkrun and its guest kernel (libkrunfw) from an npm package, for the tests: nothing of diatom's needs them.
# Leaves OUT/libkrun.so.1 and OUT/libkrunfw.so.5. Nothing is downloaded when they are there; where there is no npm, the
# tests say so and skip.
#   fetch_krun.sh OUT
set -euo pipefail
out=$1
package=@boxlite-ai/boxlite-linux-x64-gnu@0.2.11
sums='143db53e61f334e429f008c0ba6d76d75e58ede513bca3488cfd30c36ab7e632  libkrun.so.1
a5c109d52500de416ab15cc300c32b6caaf3c28bb398fd4e4a032fdff0087b1b  libkrunfw.so.5'

matches() { (cd "$1" && sha256sum --check --status <<<"$sums") 2>/dev/null; }

if matches "$out"; then exit 0; fi
if [ "$(uname -sm)" != 'Linux x86_64' ] || ! command -v npm >/dev/null; then
    echo "fetch_krun: no npm, or not x86-64: the tests of libkrun are skipped" >&2
    exit 0
fi
mkdir -p "$out"
scratch=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
if ! (cd "$scratch" && timeout 300 npm pack --silent "$package" && tar xzf ./*.tgz) >"$scratch/log" 2>&1; then
    echo "fetch_krun: $package is not to be had; the tests of libkrun are skipped: $(tail -n 1 "$scratch/log")" >&2
    exit 0
fi
mv "$scratch"/package/runtime/libkrun.so.1.16.0 "$scratch/libkrun.so.1"
mv "$scratch"/package/runtime/libkrunfw.so.5 "$scratch/"
matches "$scratch" || { echo "fetch_krun: $package is not what it was: its digests are others" >&2; exit 1; }
mv -f "$scratch"/libkrun.so.1 "$scratch"/libkrunfw.so.5 "$out/"
