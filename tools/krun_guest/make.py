#!/usr/bin/env python3
"""Makes the Debian guest in which the tests run the real libkrun: under emulation its CPU has AMD's SVM, and so it has a
/dev/kvm on any machine. run.py boots it.

  make.py OUT KERNEL_DIR     leaves OUT/{kernel,initramfs.cpio,root.ext4,key}

KERNEL_DIR is what tools/fetch_kernel.py left. Nothing is done when OUT was made of the same things. Debian's packages are
unpacked, not configured: nothing of theirs is run, and it takes seconds. Needs root, for the owners of files.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from fetch_kernel import debian_sources  # noqa: E402
from make_initramfs import entry  # noqa: E402

SUITE = 'bookworm'
# What diatom is linked with or loads, what the tests call, and what a shell needs around it. No QEMU.
PACKAGES = ['?essential', 'mount', 'python3', 'e2fsprogs', 'iproute2', 'procps', 'busybox-static', 'gcc', 'libc6-dev',
            'libcurl4', 'libfmt9', 'libisal2', 'libnghttp2-14', 'libslirp0', 'libsqlite3-0', 'libssl3',
            'libstdc++6', 'libzstd1']
MODULE_LISTS = ('modules.list', 'network.list', 'host.list')
BUSYBOX = pathlib.Path('/bin/busybox')
ROOT_SIZE = '8G'  # sparse
INITRAMFS_INIT = """#!/bin/busybox sh
for module in $(/bin/busybox cat /modules.list); do /bin/busybox insmod $module; done
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t ext4 -o noatime /dev/vda /guest
/bin/busybox mount --move /dev /guest/dev
exec /bin/busybox switch_root /guest /init
"""


def key_of(kernel: pathlib.Path) -> str:
    """Of everything that the guest is made of, but for the versions of the packages: a guest may be old, not wrong."""
    parts = [(HERE / name).read_bytes() for name in ('make.py', 'init.sh')]
    return hashlib.sha256(b'\0'.join([*parts, (kernel / 'version').read_bytes()])).hexdigest() + '\n'


def need_tools():
    missing = [name for name in ('mmdebstrap', 'mke2fs', 'apt-get') if not shutil.which(name)]
    if missing:
        sys.exit(f'krun_guest: no {" and no ".join(missing)}: run tools/install_deps.sh test')
    if not BUSYBOX.exists():
        sys.exit(f'krun_guest: no {BUSYBOX}: run tools/install_deps.sh test')
    if os.geteuid() != 0:
        sys.exit('krun_guest: making the guest needs root: files keep their owners')


def sources() -> str:
    debian = [f'deb {uri} {release} {component}' for uri, release, component in debian_sources() if release.startswith(SUITE)]
    if not debian:
        sys.exit(f'krun_guest: apt knows no Debian {SUITE}: run apt-get update first')
    return '\n'.join(dict.fromkeys(debian)) + '\n'


def make_root(out: pathlib.Path, scratch: pathlib.Path):
    tree = scratch / 'tree'
    unpacked = subprocess.run(['mmdebstrap', '--quiet', '--mode=root', '--variant=extract', '--architectures=amd64',
                               '--skip=check/qemu',
                               *(f'--dpkgopt=path-exclude=/usr/share/{name}/*' for name in ('doc', 'locale', 'man', 'info')),
                               *(f'--include={package}' for package in PACKAGES), SUITE, str(tree), '-'],
                              input=sources().encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if unpacked.returncode != 0:
        sys.exit(f'krun_guest: mmdebstrap failed:\n{unpacked.stdout.decode()}')
    for name in ('doc', 'locale', 'man', 'info'):
        shutil.rmtree(tree / 'usr/share' / name, ignore_errors=True)
    for name in ('dev', 'proc', 'sys', 'run', 'tmp', 'root', 'diatom'):
        (tree / name).mkdir(exist_ok=True)
    (tree / 'tmp').chmod(0o1777)
    for name in ('passwd', 'group'):  # what base-passwd's installation would do
        shutil.copy(tree / f'usr/share/base-passwd/{name}.master', tree / f'etc/{name}')
    (tree / 'etc/hosts').write_text('127.0.0.1 localhost\n::1 localhost\n')
    (tree / 'etc/resolv.conf').write_text('nameserver 127.0.0.1\n')
    subprocess.run(['/sbin/ldconfig', '-r', str(tree)], check=True)
    shutil.copy(HERE / 'init.sh', tree / 'init')
    (tree / 'init').chmod(0o755)
    # No journal: what is written is thrown away.
    subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', tree, out, ROOT_SIZE], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)


def make_initramfs(out: pathlib.Path, kernel: pathlib.Path):
    modules = [line for name in MODULE_LISTS for line in (kernel / name).read_text().split()]
    parts = [entry(name, 0o040755, nlink=2) for name in ('dev', 'bin', 'guest', 'modules')]
    parts.append(entry('bin/busybox', 0o100755, BUSYBOX.read_bytes()))
    parts.append(entry('init', 0o100755, INITRAMFS_INIT.encode()))
    parts.append(entry('modules.list', 0o100644, '\n'.join(modules).encode()))
    parts += [entry(name.lstrip('/'), 0o100644, (kernel / name.lstrip('/')).read_bytes()) for name in modules]
    parts.append(entry('TRAILER!!!', 0))
    out.write_bytes(b''.join(parts))


def main():
    out, kernel = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    key = key_of(kernel)
    if (out / 'key').exists() and (out / 'key').read_text() == key:
        return
    need_tools()
    print('making the Debian guest for libkrun', flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=out.name + '.', dir=out.parent) as name:
        scratch = pathlib.Path(name)
        ready = scratch / 'ready'
        ready.mkdir()
        shutil.copy(kernel / 'kernel', ready / 'kernel')
        make_initramfs(ready / 'initramfs.cpio', kernel)
        make_root(ready / 'root.ext4', scratch)
        (ready / 'key').write_text(key)
        shutil.rmtree(out, ignore_errors=True)
        ready.rename(out)


if __name__ == '__main__':
    main()
