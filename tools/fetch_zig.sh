#!/usr/bin/env bash
# Fetches PyPI's ziglang, a C++ compiler with the headers of macOS, for tools/check_macos.py. Leaves OUT/ziglang/zig.
# Nothing is downloaded when it is there; where it is not to be had, the check says so.
#   fetch_zig.sh OUT
set -euo pipefail
out=$1
version=0.17.1
declare -A hashes=(
    [x86_64]=ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54
)
[ "$(cat "$out/version" 2>/dev/null)" = "$version" ] && exit 0
hash=${hashes[$(uname -m)]:-}
[ -n "$hash" ] || exit 0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo "ziglang==$version --hash=sha256:$hash" >"$scratch/requirements.txt"
if timeout 300 python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    -r "$scratch/requirements.txt" -d "$scratch" >"$scratch/log" 2>&1; then
    rm -rf "$out"
    mkdir -p "$out"
    python3 -m zipfile -e "$scratch"/*.whl "$out"
    chmod +x "$out/ziglang/zig"
    echo "$version" >"$out/version"
else
    cat "$scratch/log" >&2
    echo "fetch_zig: not to be had; nothing is compiled for macOS" >&2
fi
