#!/usr/bin/env python3
"""`diatom run --rm IMAGE true`, booted and restored from a template, beside bare QEMU, which boots the same kernel with the
same machine options and an initramfs that powers off at once. Interleaved; ratios are of the medians. Bars: at most 1.35
cold, 0.2 warm.

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
    home.run('run', '-d', '--no-template', '--name', 'ours', 'busybox', 'sleep', '1000')
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
        home.env['DIATOM_ENGINE'] = 'qemu'
        cold = home.command('run', '--rm', '--no-template', 'busybox', 'true')
        warm = home.command('run', '--rm', 'busybox', 'true')
        bare = bare_command(home, pathlib.Path(scratch))
        timed(bare)
        timed(warm, home.env)  # makes the template
        a, b, c = [], [], []
        for _ in range(runs):
            a.append(timed(cold, home.env))
            b.append(timed(warm, home.env))
            c.append(timed(bare, dict(os.environ)))
    for name, times in (('run --rm --no-template busybox true', a), ('run --rm busybox true', b),
                        ('bare QEMU, power off at once', c)):
        print(f'{name:36} median {statistics.median(times) * 1000:7.0f} ms   min {min(times) * 1000:7.0f}   '
              f'max {max(times) * 1000:7.0f}   ({runs} runs)')
    for name, times, bar in (('cold', a, 1.35), ('warm', b, 0.2)):
        print(f'{name}: ratio {statistics.median(times) / statistics.median(c):.2f}   (bar {bar})')


if __name__ == '__main__':
    main()
