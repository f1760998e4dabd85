#!/usr/bin/env python3
"""`diatom image load` of a 300 MB image (gzip layers, as registries serve them) beside `umoci unpack` of the same layout.
Interleaved; the ratio is of the medians. Bar: at most 0.5.

  erofs_vs_umoci.py [RUNS]
"""
import hashlib
import io
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tests/support'))
from diatom import Home  # noqa: E402

LAYERS = 4
LAYER_BYTES = 75 << 20


def layer(seed: int) -> bytes:
    """Files of the sizes and the compressibility of a language runtime: source text, and compiled code."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randint(2, 9)).hex() for _ in range(4096)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        written, number = 0, 0
        while written < LAYER_BYTES:
            size = int(rng.paretovariate(1.1) * 2000) % (4 << 20)
            text = ' '.join(rng.choices(words, k=size // 12 + 1)).encode()[:size]
            data = text if number % 3 else rng.randbytes(size // 2) + text[:size // 2]
            info = tarfile.TarInfo(f'layer{seed}/d{number % 97}/file{number}')
            info.size, info.mode, info.mtime = len(data), 0o644, 1700000000
            tar.addfile(info, io.BytesIO(data))
            written += len(data)
            number += 1
    return out.getvalue()


def make_layout(path: pathlib.Path) -> None:
    blobs = path / 'blobs/sha256'
    blobs.mkdir(parents=True)

    def blob(data: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {'mediaType': media_type, 'digest': f'sha256:{digest}', 'size': len(data)}

    diff_ids, layers = [], []
    for seed in range(LAYERS):
        tar = layer(seed)
        diff_ids.append('sha256:' + hashlib.sha256(tar).hexdigest())
        packed = subprocess.run(['gzip', '-6'], input=tar, stdout=subprocess.PIPE, check=True).stdout
        layers.append(blob(packed, 'application/vnd.oci.image.layer.v1.tar+gzip'))
    config = {'architecture': 'amd64', 'os': 'linux', 'config': {}, 'rootfs': {'type': 'layers', 'diff_ids': diff_ids}}
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': blob(json.dumps(config).encode(), 'application/vnd.oci.image.config.v1+json'), 'layers': layers}
    top = blob(json.dumps(manifest).encode(), manifest['mediaType'])
    top['annotations'] = {'org.opencontainers.image.ref.name': 'bench'}
    (path / 'index.json').write_text(json.dumps({'schemaVersion': 2, 'manifests': [top]}))
    (path / 'oci-layout').write_text('{"imageLayoutVersion":"1.0.0"}')


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = pathlib.Path(scratch_name)
        layout = scratch / 'layout'
        make_layout(layout)
        ours, theirs = [], []
        for _ in range(runs):
            with Home(image=False, directory=scratch) as home:
                begin = time.monotonic()
                result = home.run('image', 'load', '-i', layout)
                ours.append(time.monotonic() - begin)
                assert result.returncode == 0, result.stderr
            bundle = scratch / 'bundle'
            begin = time.monotonic()
            subprocess.run(['umoci', 'unpack', '--image', f'{layout}:bench', bundle], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            theirs.append(time.monotonic() - begin)
            shutil.rmtree(bundle)
    for name, times in (('diatom image load', ours), ('umoci unpack', theirs)):
        print(f'{name:32} median {statistics.median(times):6.2f} s   min {min(times):6.2f}   max {max(times):6.2f}   '
              f'({runs} runs)')
    print(f'ratio {statistics.median(ours) / statistics.median(theirs):.2f}   (bar 0.5)')


if __name__ == '__main__':
    main()
