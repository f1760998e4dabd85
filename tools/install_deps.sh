#!/usr/bin/env bash
# Installs what diatom needs on Debian 12, as root or through sudo. Packages that are there already are not asked for
# again, so that a second run downloads nothing.
#   tools/install_deps.sh run|build|test   (test includes build, build includes run)
set -euo pipefail

arch=$(dpkg --print-architecture)
case "$arch" in
    amd64) qemu=qemu-system-x86 ;;
    arm64) qemu=qemu-system-arm ;;
    *) echo "install_deps: no QEMU package known for $arch" >&2; exit 1 ;;
esac
run=("$qemu" e2fsprogs)
# shellcheck disable=SC2191 # package lists, one line for each purpose
build=(g++ cmake ninja-build pkg-config python3 dpkg-dev kmod lz4 zstd
    libfmt-dev nlohmann-json3-dev libcli11-dev libarchive-dev libzstd-dev libisal-dev libssl-dev libsqlite3-dev
    libnghttp2-dev libcurl4-openssl-dev libslirp-dev libgtest-dev libgmock-dev busybox-static)
tests=(ccache python3-pip clang-19 libclang-rt-19-dev clang-format-19 erofs-utils umoci skopeo procps util-linux
    docker-registry apache2-utils openssl mmdebstrap)

case "${1:-build}" in
    run) want=("${run[@]}") ;;
    build) want=("${run[@]}" "${build[@]}") ;;
    test) want=("${run[@]}" "${build[@]}" "${tests[@]}") ;;
    *) echo "usage: $0 run|build|test" >&2; exit 2 ;;
esac

missing=()
for package in "${want[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
echo "installing: ${missing[*]}"
"${sudo[@]}" apt-get update -q
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
