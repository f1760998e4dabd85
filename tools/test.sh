#!/usr/bin/env bash
# make test: every test. The whole tree is compiled for macOS, too (docs/platforms.md). The unit tests and the fuzz targets
# run under sanitizers, by one compiler each; the others run what `make build` has made.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}

tools/lint.sh
ctest --test-dir build -L macos --output-on-failure
for preset in asan tsan; do
    cmake --preset "$preset" >/dev/null
    targets=(unit_tests)
    [[ $preset == asan ]] && targets+=(fuzzers)
    cmake --build "build-$preset" -j "$jobs" --target "${targets[@]}"
    ctest --test-dir "build-$preset" -L 'unit|fuzz' --output-on-failure -j "$jobs"
done
ctest --test-dir build --output-on-failure -j "$jobs" -LE 'lint|macos'
