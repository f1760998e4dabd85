#!/usr/bin/env python3
"""Makes the images of pull.py, each with gzip and with zstd layers, and pushes them once into the storage of a
docker-registry. Deterministic; made of three sorts of bytes, so that sizes, counts and ratios are those of real images:

  base  1 layer, 119 MiB, 6,500 files          (debian)
  py    8 layers, 492 MiB, 20,000 small files  (python, with its compilers)
  ml    4 layers, 1.1 GiB, few huge files      (shared libraries and weights)

  pull_images.py CACHE      leaves CACHE/registry and CACHE/images.json; a second run has nothing to do
"""
import concurrent.futures
import dataclasses
import hashlib
import io
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile

from local_registry import Registry

MIB = 1 << 20
POOL_BYTES = 24 * MIB  # far beyond the window of gzip and of `zstd -3`: what a file shares with another, neither finds
COMPRESSORS = {'gzip': ['gzip', '-6', '-n'], 'zstd': ['zstd', '-3', '-q', '-T1']}


@dataclasses.dataclass(frozen=True)
class Layer:
    name: str
    mib: float
    files: int
    text: int = 0  # per cent of the files
    code: int = 0
    weights: int = 0  # the rest is packed already: pictures, archives


DEBIAN = Layer('debian', 114, 6500, text=44, code=50)
IMAGES = {
    'base': (DEBIAN,),
    'py': (DEBIAN, Layer('tls', 17, 600, text=78, code=19), Layer('vcs', 56, 1400, text=78, code=20),
           Layer('compilers', 180, 5600, text=80, code=19), Layer('runtime', 8, 300, text=78, code=20),
           Layer('interpreter', 54, 3100, text=84, code=15), Layer('pip', 8, 900, text=92, code=7),
           Layer('packages', 36, 1600, text=82, code=16)),
    'ml': (Layer('system', 60, 400, text=50, code=45), Layer('libraries', 420, 12, code=100),
           Layer('weights-1', 420, 2, weights=100), Layer('weights-2', 230, 1, weights=100)),
}
POOLS = {}


def words_pool(rng: random.Random) -> bytes:
    """Source text: few words and phrases that recur nearby, as in one file, and others all over."""
    words = [''.join(rng.choices('etaoinshrdlucmfwypvbgk_', k=rng.randint(2, 10))).encode() for _ in range(20000)]
    phrases = [b' '.join(rng.choices(words, k=rng.randint(3, 7))) + rng.choice((b'\n    ', b'(', b') '))
               for _ in range(20000)]
    return fill(lambda: b' '.join(rng.choices(rng.sample(words, 120) + rng.sample(phrases, 30), k=1200)))


def code_pool(rng: random.Random) -> bytes:
    """Machine code: short sequences that recur, and operands that do not."""
    sequences = [rng.randbytes(rng.choice((1, 2, 3, 3, 4, 5, 7, 10, 16, 20))) for _ in range(20000)]

    def part() -> bytes:
        operands = iter(rng.randbytes(3000))
        return b''.join(some if number % 5 else some + bytes((next(operands),))
                        for number, some in enumerate(rng.choices(rng.sample(sequences, 300), k=3000)))
    return fill(part)


def fill(part) -> bytes:
    out = []
    size = 0
    while size < POOL_BYTES:
        out.append(part())
        size += len(out[-1])
    return b''.join(out)[:POOL_BYTES]


def weights_of(rng: random.Random, size: int) -> bytes:
    """bfloat16: a byte of noise, and a byte of sign and exponent, of which few occur."""
    exponents = bytes((0xbc if b & 1 else 0x3c) - min(4, b.bit_length() // 3) for b in range(256))
    out = bytearray(size)
    out[0::2] = rng.randbytes((size + 1) // 2)
    out[1::2] = rng.randbytes(size // 2).translate(exponents)
    return bytes(out)


def slices(rng: random.Random, pool: bytes, size: int) -> bytes:
    parts = []
    while size > 0:
        part = min(size, MIB)
        begin = rng.randrange(len(pool) - part)
        parts.append(pool[begin:begin + part])
        size -= part
    return b''.join(parts)


def content(rng: random.Random, layer: Layer, size: int) -> bytes:
    sort = rng.randrange(100)
    if sort < layer.text:
        return slices(rng, POOLS['text'], size)
    if sort < layer.text + layer.code:
        return slices(rng, POOLS['code'], size)
    if layer.weights:
        return weights_of(rng, size)
    return rng.randbytes(size)


class HashingFile:
    def __init__(self, file):
        self.file = file
        self.hash = hashlib.sha256()

    def write(self, data):
        self.hash.update(data)
        return self.file.write(data)

    def tell(self):
        return self.file.tell()


def write_tar(layer: Layer, path: pathlib.Path) -> str:
    """The diff id. Few files: of one size; many: the median of their sizes is a seventh of the mean, as in real trees."""
    rng = random.Random(layer.name)
    shares = [rng.lognormvariate(0, 2 if layer.files > 100 else 0.2) for _ in range(layer.files)]
    scale = layer.mib * MIB / sum(shares)
    with open(path, 'wb') as raw:
        out = HashingFile(raw)
        with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
            for number, share in enumerate(shares):
                directory = f'usr/lib/{layer.name}/part{number // 40}'
                if number % 40 == 0:
                    folder = tarfile.TarInfo(directory)
                    folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, 1700000000
                    tar.addfile(folder)
                data = content(rng, layer, int(share * scale))
                info = tarfile.TarInfo(f'{directory}/file{number}')
                info.size, info.mode, info.mtime = len(data), 0o644 if number % 9 else 0o755, 1700000000
                tar.addfile(info, io.BytesIO(data))
                if number % 11 == 0:
                    link = tarfile.TarInfo(f'{directory}/link{number}')
                    link.type, link.linkname, link.mtime = tarfile.SYMTYPE, f'file{number}', 1700000000
                    tar.addfile(link)
    return 'sha256:' + out.hash.hexdigest()


def make_layer(layer: Layer, blobs: pathlib.Path) -> dict:
    """The layer in every compression, below its digests; returns their descriptors."""
    tar = blobs / f'{layer.name}.tar'
    made = {'diff_id': write_tar(layer, tar), 'tar_bytes': tar.stat().st_size}
    for name, command in COMPRESSORS.items():
        packed = blobs / f'{layer.name}.{name}'
        with open(tar, 'rb') as source, open(packed, 'wb') as target:
            subprocess.run([*command, '-c'], stdin=source, stdout=target, check=True)
        with open(packed, 'rb') as done:
            digest = hashlib.file_digest(done, 'sha256').hexdigest()
        made[name] = {'mediaType': f'application/vnd.oci.image.layer.v1.tar+{name}', 'digest': f'sha256:{digest}',
                      'size': packed.stat().st_size}
        packed.rename(blobs / digest)
    tar.unlink()
    return made


def write_layout(layout: pathlib.Path, layers: dict) -> None:
    blobs = layout / 'blobs/sha256'

    def blob(document: dict, media_type: str) -> dict:
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {'mediaType': media_type, 'digest': f'sha256:{digest}', 'size': len(data)}

    architecture = {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(os.uname().machine, os.uname().machine)
    manifests = []
    for shape, parts in IMAGES.items():
        diff_ids = [layers[part.name]['diff_id'] for part in parts]
        config = blob({'architecture': architecture, 'os': 'linux', 'config': {'Cmd': ['/bin/sh']},
                       'rootfs': {'type': 'layers', 'diff_ids': diff_ids}}, 'application/vnd.oci.image.config.v1+json')
        for compression in COMPRESSORS:
            top = blob({'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                        'config': config, 'layers': [layers[part.name][compression] for part in parts]},
                       'application/vnd.oci.image.manifest.v1+json')
            manifests.append(dict(top, annotations={'org.opencontainers.image.ref.name': f'{shape}-{compression}'}))
    (layout / 'index.json').write_text(json.dumps({'schemaVersion': 2, 'manifests': manifests}))
    (layout / 'oci-layout').write_text('{"imageLayoutVersion":"1.0.0"}')


def push(layout: pathlib.Path, storage: pathlib.Path) -> None:
    with Registry(storage) as registry:
        for shape in IMAGES:
            for compression in COMPRESSORS:
                subprocess.run(['skopeo', 'copy', '-q', '--insecure-policy', '--dest-tls-verify=false',
                                f'oci:{layout}:{shape}-{compression}',
                                f'docker://{registry.address}/bench/{shape}:{compression}'], check=True)


def version() -> str:
    """What was made by another state of this file is made anew."""
    return hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()


def main() -> None:
    cache = pathlib.Path(sys.argv[1])
    record = cache / 'images.json'
    if record.exists() and json.loads(record.read_text())['version'] == version():
        return
    print(f'making the images in {cache} (once, some minutes)', file=sys.stderr)
    record.unlink(missing_ok=True)
    layout = cache / 'layout'
    for old in (layout, cache / 'registry'):
        shutil.rmtree(old, ignore_errors=True)
    blobs = layout / 'blobs/sha256'
    blobs.mkdir(parents=True)
    POOLS['text'] = words_pool(random.Random('text'))
    POOLS['code'] = code_pool(random.Random('code'))
    distinct = {layer.name: layer for parts in IMAGES.values() for layer in parts}
    largest_first = sorted(distinct.values(), key=lambda layer: -layer.mib)
    # The workers inherit the pools.
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context('fork')) as workers:
        layers = dict(zip((layer.name for layer in largest_first),
                          workers.map(make_layer, largest_first, [blobs] * len(largest_first))))
    write_layout(layout, layers)
    push(layout, cache / 'registry')
    shutil.rmtree(layout)
    images = {shape: [layers[part.name] for part in parts] for shape, parts in IMAGES.items()}
    record.write_text(json.dumps({'version': version(), 'images': images}, indent=1))


if __name__ == '__main__':
    main()
