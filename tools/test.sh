#!/usr/bin/env bash
# make test: every test. The sanitizer and fuzz builds cover the host's code; VM tests boot real VMs.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}

for preset in asan tsan; do
    cmake --preset "$preset" >/dev/null
    cmake --build "build-$preset" -j "$jobs" --target unit_tests
done
cmake --preset fuzz >/dev/null
cmake --build build-fuzz -j "$jobs" --target fuzzers

tools/lint.sh
ctest --test-dir build-asan -L unit --output-on-failure
ctest --test-dir build-tsan -L unit --output-on-failure
ctest --test-dir build-fuzz -L fuzz --output-on-failure -j "$jobs"
ctest --test-dir build --output-on-failure -j "$jobs"
