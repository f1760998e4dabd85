#!/usr/bin/env bash
# Formatting (clang-format 19) and the layers of the code.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 tools/check_layers.py .
git ls-files -z '*.h' '*.cc' | xargs -0 clang-format-19 --dry-run -Werror
for script in $(git ls-files '*.sh' .ci/run); do bash -n "$script"; done
