#!/usr/bin/env python3
"""Makes a small OCI image (layout tar) from Debian's busybox-static, with no tool but Python.

  busybox_image.py OUT.tar NAME
"""
import gzip
import hashlib
import io
import json
import pathlib
import platform
import subprocess
import sys
import tarfile

BUSYBOX = next(p for p in (pathlib.Path('/bin/busybox'), pathlib.Path('/usr/bin/busybox')) if p.exists())
ARCH = {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()]


def add(tar, name, mode, data=None, kind=tarfile.REGTYPE, link=''):
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.linkname, info.mtime = mode, kind, link, 1700000000
    info.size = len(data) if data else 0
    tar.addfile(info, io.BytesIO(data) if data else None)


def layer() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for name in ('bin', 'dev', 'etc', 'home', 'proc', 'root', 'run', 'sys', 'usr', 'usr/bin', 'var'):
            add(tar, name, 0o700 if name == 'root' else 0o755, kind=tarfile.DIRTYPE)
        add(tar, 'tmp', 0o1777, kind=tarfile.DIRTYPE)
        add(tar, 'bin/busybox', 0o755, BUSYBOX.read_bytes())
        for applet in subprocess.check_output([BUSYBOX, '--list'], text=True).split():
            if applet != 'busybox':
                add(tar, f'bin/{applet}', 0o777, kind=tarfile.LNKTYPE, link='bin/busybox')
        add(tar, 'etc/passwd', 0o644, b'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n')
        add(tar, 'etc/group', 0o644, b'root:x:0:\nuser:x:1000:\nextra:x:2000:user\n')
    return out.getvalue()


def main() -> None:
    out, name = sys.argv[1], sys.argv[2]
    blobs = {}

    def blob(data: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {'mediaType': media_type, 'digest': f'sha256:{digest}', 'size': len(data)}

    tar = layer()
    compressed = gzip.compress(tar, 6, mtime=0)
    config = {'architecture': ARCH, 'os': 'linux', 'created': '2023-11-14T22:13:20Z',
              'config': {'Cmd': ['sh'], 'Env': ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']},
              'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(tar).hexdigest()]}}
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': blob(json.dumps(config).encode(), 'application/vnd.oci.image.config.v1+json'),
                'layers': [blob(compressed, 'application/vnd.oci.image.layer.v1.tar+gzip')]}
    top = blob(json.dumps(manifest).encode(), 'application/vnd.oci.image.manifest.v1+json')
    top['annotations'] = {'org.opencontainers.image.ref.name': name}
    index = {'schemaVersion': 2, 'manifests': [top]}
    with tarfile.open(out, 'w') as archive:
        add(archive, 'oci-layout', 0o644, b'{"imageLayoutVersion":"1.0.0"}')
        add(archive, 'index.json', 0o644, json.dumps(index).encode())
        for digest, data in blobs.items():
            add(archive, f'blobs/sha256/{digest}', 0o644, data)


if __name__ == '__main__':
    main()
