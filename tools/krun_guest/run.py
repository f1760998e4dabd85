#!/usr/bin/env python3
"""Runs a command in the Debian guest that make.py has made, where /dev/kvm works and libkrun is the real one.

  run.py [--deadline SECONDS] [--memory MIB] [--env NAME=VALUE]... COMMAND...

The command runs as root in /diatom, which has tests/, tools/, bench/, include/ and examples/ of this tree, and as build/ what
`cmake --install` puts there; DIATOM_ENGINE, DIATOM_LIBKRUN and LD_LIBRARY_PATH are set. What it prints is printed here, as it comes.
The exit status is the command's; 124 when the deadline has passed, 125 when the guest ended without a word, 77 when
something is missing here (ctest: skipped; a failure with DIATOM_REQUIRE=krun). Nothing that the command writes is kept,
and however this process ends, its VM ends with it.
"""
import argparse
import os
import pathlib
import platform
import selectors
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUEST = ROOT / '.cache/krun-guest'
KRUN = ROOT / '.cache/krun'
BUILD = ROOT / 'build'
FOLDERS = ('tests', 'tools', 'bench', 'include', 'examples')
# What tests need of a build beside what is installed.
EXTRA = ('bin/krun_floor', 'lib/libpower_cut.so')
SKIPPED, TIMED_OUT, SILENT = 77, 124, 125
# A boot under emulation, and libkrun's below it.
TEST_DEADLINE = '180'


def skip(reason: str):
    required = os.environ.get('DIATOM_REQUIRE', '').split(',')
    print(f'krun guest: {reason}', file=sys.stderr)
    sys.exit(1 if 'krun' in required or 'all' in required else SKIPPED)


def need_everything():
    if platform.machine() != 'x86_64':
        skip('it is an x86-64 machine, to be emulated by one')
    for tool in ('qemu-system-x86_64', 'mke2fs', 'cmake', 'setpriv'):
        if not shutil.which(tool):
            skip(f'no {tool}: run tools/install_deps.sh test')
    if not (GUEST / 'key').exists():
        skip(f'no guest in {GUEST}: run make krun-guest')
    for name in ('libkrun.so.1', 'libkrunfw.so.5'):
        if not (KRUN / name).exists():
            skip(f'no {name} in {KRUN}: run tools/fetch_krun.sh {KRUN}')
    if not (BUILD / 'bin/diatom').exists():
        skip(f'nothing is built in {BUILD}: run make build')


def job(command: list[str], variables: list[str]) -> str:
    settings = ['DIATOM_ENGINE=krun', 'DIATOM_LIBKRUN=/diatom/krun/libkrun.so.1', 'LD_LIBRARY_PATH=/diatom/krun',
                f'DIATOM_TEST_DEADLINE={TEST_DEADLINE}', 'PYTHONUNBUFFERED=1', *variables]
    return ''.join(f'export {shlex.quote(setting)}\n' for setting in settings) + f'cd /diatom\nexec {shlex.join(command)}\n'


def make_disk(disk: pathlib.Path, tree: pathlib.Path, script: str):
    """A disk with what the command needs of this tree: faster in the guest than a shared directory, and its own to write."""
    subprocess.run(['cmake', '--install', BUILD, '--prefix', tree / 'build', '--strip'], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree / 'build/share/diatom/guest/kernel', ignore_errors=True)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tree / name, symlinks=True)
    for name in EXTRA:
        if (BUILD / name).exists():
            (tree / 'build' / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(BUILD / name, tree / 'build' / name)
    shutil.copytree(KRUN, tree / 'krun')
    (tree / 'job').write_text(script)
    subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', tree, disk, '2G'], check=True,
                   stdout=subprocess.DEVNULL)


def qemu_command(memory: int, disk: int, console: pathlib.Path, output: int, status: int) -> list[str]:
    # One CPU: with two, QEMU before 8.1 breaks kernels that patch themselves (docs/architecture.md), and a VM starts no sooner;
    # the host's other CPUs have other guests. A kernel that believes in fast string copies copies byte by byte. Page tables
    # are walked by software here, those of a VM through those of the guest: five levels are dearer than four.
    # CMPXCHG16B leaves flags behind that are none (QEMU 7.2), of which a newer kernel dies in its own start or a VM's.
    # With XSAVE, libkrun's kernel finds sizes that do not agree, and warns at length.
    # norandmaps: what QEMU (7.2) has translated it finds again by its address; where each process lies elsewhere, all of its code
    # is translated anew, and `diatom version` takes 115 ms instead of 37.
    # nohz, highres: QEMU's helper_vmrun changes the CPU's pending interrupts without the lock that others have, and one of
    # theirs is lost, rarely. From a timer that is set once, the CPU would spin in a VM for ever; the next tick of a
    # periodic one raises it again.
    arguments = ('console=ttyS0 quiet reboot=t panic=-1 tsc=reliable no_timer_check mitigations=off norandmaps nohz=off '
                 'highres=off')
    return ['setpriv', '--pdeathsig', 'KILL', 'qemu-system-x86_64', '-nodefaults', '-no-user-config', '-no-reboot',
            '-display', 'none', '-machine', 'q35', '-accel', 'tcg', '-cpu', 'max,-erms,-fsrm,-la57,-cx16,-xsave', '-smp', '1',
            '-m', str(memory), '-kernel', str(GUEST / 'kernel'), '-initrd', str(GUEST / 'initramfs.cpio'),
            '-append', arguments,
            '-serial', f'file:{console}', '-device', 'virtio-serial-pci',
            '-chardev', f'file,id=output,path=/dev/fd/{output}', '-device', 'virtserialport,chardev=output,name=output',
            '-chardev', f'file,id=status,path=/dev/fd/{status}', '-device', 'virtserialport,chardev=status,name=status',
            '-drive', f'file={GUEST}/root.ext4,format=raw,if=virtio,snapshot=on,cache=unsafe',
            '-drive', f'file=/dev/fd/{disk},format=raw,if=virtio,cache=unsafe']


def follow(output: int, status: int, deadline: float) -> bytes | None:
    """Prints what comes until the VM has gone: what it said of the command's end, or nothing at the deadline."""
    said = b''
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        selector.register(status, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                elif key.fd == status:
                    said += data
                else:
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
    return said


def boot(options, scratch: pathlib.Path) -> int:
    console = scratch / 'console.log'
    tree, path = scratch / 'tree', scratch / 'tree.ext4'
    make_disk(path, tree, job(options.command, options.env))
    shutil.rmtree(tree)
    disk = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    path.unlink()
    (output, output_end), (status, status_end) = os.pipe(), os.pipe()
    vm = subprocess.Popen(qemu_command(options.memory, disk, console, output_end, status_end), stdin=subprocess.DEVNULL,
                          pass_fds=(disk, output_end, status_end), env=dict(os.environ, TMPDIR=str(scratch)))
    try:
        for fd in (disk, output_end, status_end):
            os.close(fd)
        said = follow(output, status, time.monotonic() + options.deadline)
    finally:
        vm.kill()
        vm.wait()
    if said is None:
        print(f'krun guest: not done after {options.deadline:.0f} s', file=sys.stderr)
    elif said.strip().isdigit():
        return int(said)
    print(f'krun guest: its console says\n{console.read_text(errors="replace")[-4000:]}', file=sys.stderr)
    return TIMED_OUT if said is None else SILENT


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--deadline', type=float, default=600)
    parser.add_argument('--memory', type=int, default=3072, help='MiB')
    parser.add_argument('--env', action='append', default=[], metavar='NAME=VALUE')
    parser.add_argument('command', nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error('what is to be run?')
    need_everything()
    with tempfile.TemporaryDirectory(prefix='krun-guest-') as scratch:
        sys.exit(boot(options, pathlib.Path(scratch)))


if __name__ == '__main__':
    main()
