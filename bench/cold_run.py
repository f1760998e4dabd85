#!/usr/bin/env python3
"""Cold `diatom run --rm IMAGE true` beside bare QEMU, which boots the same kernel with the same machine options and an
initramfs that powers off at once. Interleaved; the ratio is of the medians. Bar: at most 1.35.

  cold_run.py [RUNS]
"""
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests/support'))
from diatom import Home  # noqa: E402


def options_of_ours(home: Home, *names: str) -> list[str]:
    """What QEMU was given for a container of ours, so that the bare VM is the same."""
    home.run('run', '-d', '--name', 'ours', 'busybox', 'sleep', '1000')
    pid = home.json('inspect', 'ours')[0]['State']['Pid']
    words = pathlib.Path(f'/proc/{pid}/cmdline').read_text().split('\0')
    home.run('rm', '-f', 'ours')
    return [word for name in names for word in (name, words[words.index(name) + 1])]


def bare_command(home: Home, scratch: pathlib.Path) -> list[str]:
    init = scratch / 'init'
    subprocess.run(['g++', '-static', '-Os', '-o', init, ROOT / 'bench/poweroff.cc'], check=True)
    subprocess.run([ROOT / 'tools/make_initramfs.py', scratch / 'bare.cpio', init], check=True)
    return [f'qemu-system-{platform.machine()}', '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none',
            '-initrd', str(scratch / 'bare.cpio'),
            *options_of_ours(home, '-machine', '-accel', '-cpu', '-smp', '-m', '-kernel', '-append')]


def timed(command, env=None) -> float:
    begin = time.monotonic()
    result = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, timeout=120)
    if result.returncode != 0:
        sys.exit(f'{command[0]} failed: {result.stderr.decode()}')
    return time.monotonic() - begin


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with Home() as home, tempfile.TemporaryDirectory() as scratch:
        ours = home.command('run', '--rm', 'busybox', 'true')
        bare = bare_command(home, pathlib.Path(scratch))
        timed(bare)
        a, b = [], []
        for _ in range(runs):
            a.append(timed(ours, home.env))
            b.append(timed(bare, dict(os.environ)))
    for name, times in (('diatom run --rm busybox true', a), ('bare QEMU, power off at once', b)):
        print(f'{name:32} median {statistics.median(times) * 1000:7.0f} ms   min {min(times) * 1000:7.0f}   '
              f'max {max(times) * 1000:7.0f}   ({runs} runs)')
    print(f'ratio {statistics.median(a) / statistics.median(b):.2f}   (bar 1.35)')


if __name__ == '__main__':
    main()
