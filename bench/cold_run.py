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


def bare_command(scratch: pathlib.Path, kvm: bool) -> list[str]:
    init = scratch / 'init'
    subprocess.run(['g++', '-static', '-Os', '-o', init, ROOT / 'bench/poweroff.cc'], check=True)
    subprocess.run([ROOT / 'tools/make_initramfs.py', scratch / 'bare.cpio', init], check=True)
    machine = platform.machine()
    x86 = machine == 'x86_64'
    return [f'qemu-system-{machine}',
            '-machine', 'microvm,x-option-roms=off,rtc=on,acpi=on,isa-serial=on' if x86 else 'virt',
            '-accel', 'kvm' if kvm else 'tcg', '-cpu', 'host' if kvm else 'max', '-smp', '2' if kvm else '1', '-m', '512M',
            '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none',
            '-kernel', str(ROOT / 'build/share/diatom/guest/kernel'), '-initrd', str(scratch / 'bare.cpio'),
            '-append', 'console=ttyS0 quiet panic=-1 reboot=t tsc=reliable no_timer_check mitigations=off' if x86
            else 'console=ttyAMA0 quiet panic=-1 mitigations=off']


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
        told = home.run('run', '--rm', '--json', 'busybox', 'true').stderr.decode()
        bare = bare_command(pathlib.Path(scratch), '"accelerator":"kvm"' in told)
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
