#!/usr/bin/env python3
"""Fetches Debian's cloud kernel package and unpacks what a guest needs: the kernel image and a few modules.

  fetch_kernel.py OUT_DIR [SUITE]   leaves OUT_DIR/{kernel,version,modules/*.ko,modules.list,network.list,host.list}

SUITE is one that apt here need not know ("bookworm-backports"), of the same mirror. Nothing is downloaded when OUT_DIR is
complete. On x86-64 the kernel is taken out of its bzImage: QEMU then enters it by PVH, without a decompressor running
(slowly, under emulation) in the guest. docs/benchmarks.md has the figures.
"""
import lzma
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

# What a container's root and its guest channel stand on, and what its network does: that is loaded later, and only where
# there is one. Their dependencies are found by depmod; loading order is dependency order.
WANTED = {'modules.list': ['virtio_mmio', 'virtio_blk', 'virtio_console', 'erofs', 'overlay'],
          'network.list': ['virtio_net'],
          # The guest of the tests that is a host of VMs itself (tools/krun_guest/).
          'host.list': ['virtio_pci', 'fuse', 'loop', 'kvm_amd']}


def architecture() -> str:
    return subprocess.check_output(['dpkg', '--print-architecture'], text=True).strip()


def debian_sources() -> list[tuple[str, str, str]]:
    """URI, release and component of where this machine's own apt gets Debian from: behind a firewall there may be no other place."""
    lines = subprocess.check_output(['apt-get', 'indextargets', '--format', '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)',
                                     'Created-By: Packages'], text=True).splitlines()
    words = [line.split() for line in lines]
    return [(w[1], w[2], w[3]) for w in words if len(w) == 4 and w[0] == 'Debian']


def options_of(suite: str, scratch: pathlib.Path) -> list[str]:
    """What makes apt look into that suite and nowhere else, with lists of its own."""
    uri = next((uri for uri, release, component in debian_sources()
                if component == 'main' and not release.endswith('-security')), None)  # those have a place of their own
    if uri is None:
        sys.exit('fetch_kernel: apt knows no Debian: run apt-get update first')
    (scratch / 'lists/partial').mkdir(parents=True)
    (scratch / 'sources.list').write_text(f'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {uri} {suite} main\n')
    options = {'Dir::Etc::SourceList': scratch / 'sources.list', 'Dir::Etc::SourceParts': '/dev/null',
               'Dir::State::Lists': scratch / 'lists', 'Dir::Cache::pkgcache': '', 'Dir::Cache::srcpkgcache': ''}
    words = [word for name, value in options.items() for word in ('-o', f'{name}={value}')]
    if subprocess.run(['apt-get', *words, '-q', '-o', 'APT::Update::Error-Mode=any', 'update'],
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        sys.exit(f'fetch_kernel: no {suite} where apt has Debian from')
    return words


def image_package(arch: str, options: list[str]) -> str:
    out = subprocess.check_output(['apt-cache', *options, 'depends', f'linux-image-cloud-{arch}'], text=True)
    for line in out.splitlines():
        words = line.split()
        if words[:1] == ['Depends:'] and words[1].startswith('linux-image-'):
            return words[1]
    sys.exit(f'fetch_kernel: apt knows no linux-image-cloud-{arch}: run apt-get update first')


def uncompress(payload: bytes) -> bytes:
    if payload[:6] == b'\xfd7zXZ\0':
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:2] == b'\x1f\x8b':
        return zlib.decompressobj(31).decompress(payload)
    tool = {b'\x02\x21\x4c\x18': ['lz4', '-dc'], b'\x28\xb5\x2f\xfd': ['zstd', '-dc']}.get(payload[:4])
    if tool is None:
        sys.exit(f'fetch_kernel: unknown kernel compression {payload[:6].hex()}')
    return subprocess.run(tool, input=payload, stdout=subprocess.PIPE, check=True).stdout


def plain_module(data: bytes) -> bytes:
    return data if data[:4] == b'\x7fELF' else uncompress(data)


def plain_name(module: pathlib.Path) -> str:
    return module.name.split('.')[0] + '.ko'


def unpack_bzimage(image: bytes) -> bytes:
    """Linux boot protocol: setup_sects at 0x1f1, payload_offset and payload_length at 0x248."""
    if image[0x202:0x206] != b'HdrS':
        sys.exit('fetch_kernel: not a bzImage')
    offset, length = struct.unpack_from('<II', image, 0x248)
    start = (image[0x1f1] + 1) * 512 + offset
    # The last four bytes are the uncompressed size, appended by the kernel's build.
    kernel = uncompress(image[start:start + length - 4])
    if kernel[:4] != b'\x7fELF':
        sys.exit('fetch_kernel: the payload is not an ELF kernel')
    return kernel


def modules_in_order(tree: pathlib.Path, version: str) -> dict[str, list[pathlib.Path]]:
    subprocess.run(['/sbin/depmod', '-b', str(tree), version], check=True)
    base = tree / 'lib/modules' / version
    needs = {}
    for line in (base / 'modules.dep').read_text().splitlines():
        path, _, rest = line.partition(':')
        needs[path] = rest.split()
    by_name = {pathlib.Path(p).name.split('.')[0].replace('-', '_'): p for p in needs}
    lists = {name: [] for name in WANTED}

    def add(path, order):
        for dependency in reversed(needs[path]):
            add(dependency, order)
        if not any(path in others for others in lists.values()):
            order.append(path)

    for name, wanted in WANTED.items():
        for module in wanted:
            if module in by_name:  # built in otherwise
                add(by_name[module], lists[name])
    return {name: [base / p for p in order] for name, order in lists.items()}


def main() -> None:
    out = pathlib.Path(sys.argv[1])
    # An older one may lack modules that were not wanted then.
    if (out / 'version').exists() and all((out / name).exists() for name in WANTED):
        (out / 'version').touch()
        return
    arch = architecture()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch_name:
        scratch = pathlib.Path(scratch_name).resolve()
        os.chmod(scratch, 0o755)
        options = options_of(sys.argv[2], scratch) if len(sys.argv) > 2 else []
        package = image_package(arch, options)
        print(f'fetching {package}', flush=True)
        subprocess.run(['apt-get', *options, 'download', '-q', package], cwd=scratch, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL if os.getuid() == 0 else None)
        deb = next(scratch.glob('linux-image-*.deb'))
        tree = scratch / 'tree'
        subprocess.run(['dpkg-deb', '-x', str(deb), str(tree)], check=True)
        version = next((tree / 'lib/modules').iterdir()).name
        image = next((tree / 'boot').glob('vmlinuz-*')).read_bytes()
        ready = scratch / 'ready'
        (ready / 'modules').mkdir(parents=True)
        (ready / 'kernel').write_bytes(unpack_bzimage(image) if arch == 'amd64' else image)
        for name, modules in modules_in_order(tree, version).items():
            for module in modules:
                (ready / 'modules' / plain_name(module)).write_bytes(plain_module(module.read_bytes()))
            (ready / name).write_text(''.join(f'/modules/{plain_name(module)}\n' for module in modules))
        (ready / 'version').write_text(f'Debian {version} ({deb.name.split("_")[1]})\n')
        shutil.rmtree(out, ignore_errors=True)
        ready.rename(out)


if __name__ == '__main__':
    main()
