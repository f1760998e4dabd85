#!/usr/bin/env python3
"""Writes an initramfs (cpio newc, uncompressed: the guest must not spend its time inflating) with the agent as /init.

  make_initramfs.py OUT AGENT [KERNEL_DIR]     with KERNEL_DIR (of fetch_kernel.py) its modules come along
"""
import pathlib
import sys


def entry(name: str, mode: int, data: bytes = b'', nlink: int = 1) -> bytes:
    # kernel Documentation/driver-api/early-userspace/buffer-format: 13 fields of 8 hex digits; check is 0 for newc.
    encoded = name.encode() + b'\0'
    fields = [0, mode, 0, 0, nlink, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
    out = b'070701' + b''.join(b'%08x' % f for f in fields) + encoded
    out += b'\0' * (-len(out) % 4)
    return out + data + b'\0' * (-len(data) % 4)


def main() -> None:
    out, agent = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    parts = [entry(d, 0o040755, nlink=2) for d in ('dev', 'proc', 'sys', 'run', 'etc')]
    parts.append(entry('init', 0o100755, agent.read_bytes()))
    if len(sys.argv) > 3:
        kernel = pathlib.Path(sys.argv[3])
        parts.append(entry('modules', 0o040755, nlink=2))
        for name in ('modules.list', 'network.list'):
            modules = (kernel / name).read_text()
            parts.append(entry(f'etc/{name}', 0o100644, modules.encode()))
            for line in modules.split():
                parts.append(entry(line.lstrip('/'), 0o100644, (kernel / line.lstrip('/')).read_bytes()))
    parts.append(entry('TRAILER!!!', 0))
    out.write_bytes(b''.join(parts))


if __name__ == '__main__':
    main()
