"""Small images for registries: an OCI layout in a folder, whose images are known here in every digest."""
import dataclasses
import gzip
import hashlib
import io
import json
import pathlib
import platform
import random
import subprocess
import tarfile

ARCH = {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()]
OTHER_ARCH = {'amd64': 'arm64', 'arm64': 'amd64'}[ARCH]
OCI = 'application/vnd.oci.image.'
PACKINGS = {'plain': (lambda data: data, ''), 'gzip': (lambda data: gzip.compress(data, 1, mtime=0), '+gzip'),
            'zstd': (lambda data: subprocess.run(['zstd', '-q', '-c'], input=data, stdout=subprocess.PIPE, check=True,
                                                 timeout=60).stdout, '+zstd')}


def sha256(data: bytes) -> str:
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def noise(size: int, seed: int) -> bytes:
    """Bytes that no packing makes smaller, the same in every run."""
    return random.Random(seed).randbytes(size)


def layer(files: dict[str, bytes]) -> bytes:
    """A tar of these files, their folders before them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for folder in sorted({str(p) for name in files for p in pathlib.PurePosixPath(name).parents} - {'.'}):
            info = tarfile.TarInfo(folder)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, 1700000000
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o644, 1700000000
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@dataclasses.dataclass(frozen=True)
class Blob:
    media_type: str
    digest: str
    size: int

    def descriptor(self) -> dict:
        return {'mediaType': self.media_type, 'digest': self.digest, 'size': self.size}


@dataclasses.dataclass(frozen=True)
class Image:
    manifest: Blob
    config: Blob
    layers: list[Blob]
    diff_ids: list[str]
    platform: dict

    @property
    def id(self) -> str:
        return self.config.digest


class Layout:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        (folder / 'blobs/sha256').mkdir(parents=True)
        (folder / 'oci-layout').write_text('{"imageLayoutVersion":"1.0.0"}')
        self.manifests: list[dict] = []

    def blob(self, data: bytes, media_type: str) -> Blob:
        (self.folder / 'blobs' / sha256(data).replace(':', '/')).write_bytes(data)
        return Blob(media_type, sha256(data), len(data))

    def read(self, blob: Blob) -> bytes:
        return (self.folder / 'blobs' / blob.digest.replace(':', '/')).read_bytes()

    def name(self, tag: str, top: Blob):
        self.manifests = [m for m in self.manifests if m['annotations']['org.opencontainers.image.ref.name'] != tag]
        self.manifests.append(top.descriptor() | {'annotations': {'org.opencontainers.image.ref.name': tag}})
        (self.folder / 'index.json').write_text(json.dumps({'schemaVersion': 2, 'manifests': self.manifests}))

    def image(self, tag: str, tars: list[bytes], packing: str = 'gzip', config: dict | None = None,
              history: list[dict] | None = None, created: str = '2023-11-14T22:13:20Z', arch: str = ARCH,
              variant: str = '') -> Image:
        pack, suffix = PACKINGS[packing]
        layers = [self.blob(pack(tar), OCI + 'layer.v1.tar' + suffix) for tar in tars]
        platform_ = {'architecture': arch, 'os': 'linux'} | ({'variant': variant} if variant else {})
        document = platform_ | {'created': created, 'config': config or {},
                                'rootfs': {'type': 'layers', 'diff_ids': [sha256(tar) for tar in tars]}}
        if history:
            document['history'] = history
        config_blob = self.blob(json.dumps(document).encode(), OCI + 'config.v1+json')
        manifest = {'schemaVersion': 2, 'mediaType': OCI + 'manifest.v1+json', 'config': config_blob.descriptor(),
                    'layers': [blob.descriptor() for blob in layers]}
        image = Image(self.blob(json.dumps(manifest).encode(), OCI + 'manifest.v1+json'), config_blob, layers,
                      document['rootfs']['diff_ids'], platform_)
        self.name(tag, image.manifest)
        return image

    def index(self, tag: str, images: list[Image]) -> Blob:
        document = {'schemaVersion': 2, 'mediaType': OCI + 'index.v1+json',
                    'manifests': [image.manifest.descriptor() | {'platform': image.platform} for image in images]}
        top = self.blob(json.dumps(document).encode(), OCI + 'index.v1+json')
        self.name(tag, top)
        return top
