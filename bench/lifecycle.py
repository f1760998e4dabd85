#!/usr/bin/env python3
"""A container's life beside podman with plain namespaces: the same image, interleaved, ratios of medians.

  lifecycle.py [RUNS]

create, start, exec true, stop (of a program that obeys its signal), rm; the throughput of `logs` from the program's
write to the file. Bars: create at most 10 ms, and the same for an image a hundred times as large; exec at most 1.0 of
podman's; stop at most 0.5 s. start has no bar here: a VM starts where podman forks (warm_run.py).
"""
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

from beside_podman import SLEEPER, Diatom, Home, report, timed, two_tools

LOG_BYTES = 64 << 20


def one_life(tool, image: str, name: str, times: dict):
    def step(verb: str, *words):
        times.setdefault((tool.name, verb), []).append(timed(tool, *words))
    step('create', 'create', '--name', name, image, *SLEEPER)
    step('start', 'start', name)
    for _ in range(5):
        step('exec', 'exec', name, 'true')
    step('stop', 'stop', '-t', '10', name)
    step('rm', 'rm', name)


# What the program prints is made first: its making is no part of what is measured.
MAKE = f'yes {"0123456789" * 10} | head -c {LOG_BYTES} > /dev/shm/text'
PRINT = 'cat /dev/shm/text'
ROOM = ('--shm-size', str(2 * LOG_BYTES))


def port_floor(home: Home, scratch: pathlib.Path, how: str = f'{PRINT} > /port') -> float:
    """The same bytes through a bare virtio port of the same VM, to a reader that throws them away: MB/s."""
    scratch.mkdir()
    socket_path = scratch / 'port'
    qemu = scratch / 'qemu'
    real = shutil.which(f'qemu-system-{os.uname().machine}')
    qemu.write_text(f'#!/bin/sh\nexec {real} "$@" -chardev socket,id=bare,path={socket_path} '
                    '-device virtserialport,chardev=bare,name=bare\n')
    qemu.chmod(0o755)
    script = ('port=$(grep -l bare /sys/class/virtio-ports/*/name); mknod /port c $(tr : " " < ${port%name}dev); '
              f'{MAKE}; {how}')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        # Booted: otherwise the first to come to the socket would be the VM that makes a template.
        guest = home.popen('run', '--rm', '--no-template', '--privileged', *ROOM, 'busybox', 'sh', '-c', script,
                           env={'DIATOM_QEMU': str(qemu)})
        connection, _ = listener.accept()
        with connection:
            got = len(connection.recv(1 << 20))
            begin = time.monotonic()
            while got < LOG_BYTES and (more := len(connection.recv(1 << 20))):
                got += more
            seconds = time.monotonic() - begin
        guest.wait(120)
    return got / seconds / 1e6


def log_throughput(tool, image: str) -> float:
    """From the first byte's arrival in the log to the last one's, by the records' own times: MB/s."""
    speeds = []
    for _ in range(3):
        # Detached: a client that shows it all would have its share of two CPUs.
        timed(tool, 'run', '-d', '--name', 'printer', *ROOM, image, 'sh', '-c', f'{MAKE}; {PRINT}')
        timed(tool, 'wait', 'printer')
        lines = subprocess.run(tool.command('logs', '-t', 'printer'), env=tool.env(), check=True,
                               stdout=subprocess.PIPE).stdout.splitlines()
        timed(tool, 'rm', 'printer')
        first, last = (nanoseconds(line.split(b' ', 1)[0].decode()) for line in (lines[0], lines[-1]))
        speeds.append(LOG_BYTES * 1e3 / max(last - first, 1))
    return statistics.median(speeds)


def nanoseconds(stamp: str) -> int:
    """Of an RFC 3339 time, since its day began."""
    clock, fraction = re.fullmatch(r'.*T(\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|[+-].*)', stamp).groups()
    hours, minutes, seconds = map(int, clock.split(':'))
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + int((fraction or '0').ljust(9, '0'))


def create_by_size(home: Home, scratch: pathlib.Path, runs: int):
    """The same `create`, from an image of a few hundred MiB."""
    root = scratch / 'large'
    (root / 'bin').mkdir(parents=True)
    for number in range(200):
        (root / f'file{number}').write_bytes(os.urandom(1 << 20))
    subprocess.run(['tar', '-C', root, '-cf', scratch / 'large.tar', '.'], check=True)
    timed(Diatom(home), 'import', scratch / 'large.tar', 'large')
    medians = {}
    for image in ('busybox', 'large'):
        samples = []
        for number in range(runs):
            samples.append(timed(Diatom(home), 'create', '--name', f'size{number}', image, '/bin/true'))
            timed(Diatom(home), 'rm', f'size{number}')
        medians[image] = statistics.median(samples)
    print(f'create   of a 2 MB image {medians["busybox"]:.1f} ms, of a 210 MB image {medians["large"]:.1f} ms')


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with two_tools() as (home, scratch, tools):
        times: dict = {}
        for number in range(runs):
            for tool in tools:
                one_life(tool, 'busybox', f'life{number}', times)
        report(times, tools, {'create': '(bar 10 ms)', 'exec': '(bar 1.0)', 'stop': '(bar 500 ms)'})
        create_by_size(home, scratch, runs)
        floors = port_floor(home, scratch / 'bare'), port_floor(home, scratch / 'piped', f'{PRINT} | cat > /port')
        print('logs     a bare virtio port {:.0f} MB/s, by way of a pipe {:.0f} MB/s'.format(*floors))
        for tool in tools:
            print(f'logs     {tool.name} {log_throughput(tool, "busybox"):.0f} MB/s from write to file')


if __name__ == '__main__':
    main()
