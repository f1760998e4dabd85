#!/usr/bin/env python3
"""`diatom run --rm IMAGE true` that boots, beside bare QEMU that boots (bare_qemu.py). Interleaved; the ratio is of the
medians. Bar: at most 1.35. Restored from a template: warm_run.py.

  cold_run.py [RUNS]
"""
import pathlib
import sys
import tempfile

from bare_qemu import BareQemu
from beside_podman import Diatom, Home, interleaved, report


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with Home() as home, tempfile.TemporaryDirectory() as scratch:
        home.env['DIATOM_ENGINE'] = 'qemu'
        ours, bare = Diatom(home), BareQemu(home, pathlib.Path(scratch))
        words = {ours: ('run', '--rm', '--no-template', 'busybox', 'true'), bare: ()}
        report(interleaved(runs, 'run, booted', words), [ours, bare], {'run, booted': '(bar 1.35)'})


if __name__ == '__main__':
    main()
