"""OCI image layouts and archives from layers (tar_layer.py), with no tool but Python, gzip and zstd."""
import gzip
import hashlib
import io
import json
import pathlib
import platform
import subprocess
import tarfile

ARCH = {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()]
LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'


def zstd(data: bytes) -> bytes:
    return subprocess.run(['zstd', '-q', '-3', '-c'], input=data, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def halves(pack):
    """Two members, or frames, one behind the other: a valid stream of both formats, as pigz and pzstd write it."""
    return lambda data: pack(data[:len(data) // 2]) + pack(data[len(data) // 2:])


PACKINGS = {
    'plain': (lambda data: data, ''),
    'gzip': (lambda data: gzip.compress(data, 1, mtime=0), '+gzip'),
    'gzip members': (halves(lambda data: gzip.compress(data, 1, mtime=0)), '+gzip'),
    'zstd': (zstd, '+zstd'),
    'zstd frames': (halves(zstd), '+zstd'),
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Layout:
    """The files of an OCI layout, in memory, until write_folder() or write_tar()."""

    def __init__(self):
        self.blobs: dict[str, bytes] = {}
        self.manifests: list[dict] = []

    def blob(self, data: bytes, media_type: str) -> dict:
        self.blobs[sha256(data)] = data
        return {'mediaType': media_type, 'digest': 'sha256:' + sha256(data), 'size': len(data)}

    def add(self, name: str | None, tars: list[bytes], packings=('gzip',), config: dict | None = None) -> str:
        """An image of these layers, packed by `packings` in turn; returns its id."""
        layers = []
        for i, tar in enumerate(tars):
            pack, suffix = PACKINGS[packings[i % len(packings)]]
            layers.append(self.blob(pack(tar), LAYER_TYPE + suffix))
        document = {'architecture': ARCH, 'os': 'linux', 'config': config or {},
                    'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + sha256(tar) for tar in tars]}}
        return self.add_manifest(json.dumps(document).encode(), layers, name)

    def add_manifest(self, config: bytes, layers: list[dict], name: str | None = None) -> str:
        """An image of blobs that are there already, whatever they are."""
        manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                    'config': self.blob(config, 'application/vnd.oci.image.config.v1+json'), 'layers': layers}
        top = self.blob(json.dumps(manifest).encode(), manifest['mediaType'])
        if name is not None:
            top['annotations'] = {'org.opencontainers.image.ref.name': name}
        self.manifests.append(top)
        return manifest['config']['digest']

    def files(self) -> dict[str, bytes]:
        index = json.dumps({'schemaVersion': 2, 'manifests': self.manifests}).encode()
        return {'oci-layout': b'{"imageLayoutVersion":"1.0.0"}', 'index.json': index,
                **{f'blobs/sha256/{digest}': data for digest, data in self.blobs.items()}}

    def write_folder(self, path: pathlib.Path) -> pathlib.Path:
        for name, data in self.files().items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path

    def write_tar(self, path: pathlib.Path) -> pathlib.Path:
        path.write_bytes(self.tar())
        return path

    def tar(self) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w') as archive:
            for name, data in self.files().items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return out.getvalue()
