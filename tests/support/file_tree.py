#!/usr/bin/env python3
"""A folder as a value: every attribute of everything below it, to be compared with another's.

  file_tree.py FOLDER     writes it to stdout, pickled: for a mount that only a child's namespace has
"""
import hashlib
import os
import pickle
import stat
import sys

KINDS = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFLNK: 'symlink', stat.S_IFCHR: 'char', stat.S_IFBLK: 'block',
         stat.S_IFIFO: 'fifo'}
# A larger file is told by samples, so that gigabytes of zeros need not be read: see samples().
WHOLE = 64 << 20
SAMPLE = 64 << 10
STRIDE = 16 << 20


def samples(size: int) -> list[tuple[int, int]]:
    """(offset, length) of what counts of a file: all of a small one; of a large one SAMPLE bytes from each STRIDE, and
    its end."""
    if size <= WHOLE:
        return [(0, size)]
    return [(at, SAMPLE) for at in range(0, size - SAMPLE, STRIDE)] + [(size - SAMPLE, SAMPLE)]


def content_digest(size: int, read) -> str:
    digest = hashlib.sha256()
    for offset, length in samples(size):
        digest.update(read(offset, length))
    return digest.hexdigest()


def file_digest(path: bytes, size: int) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return content_digest(size, lambda offset, length: os.pread(fd, length, offset))
    finally:
        os.close(fd)


def xattrs_of(path: bytes) -> dict[str, bytes]:
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)}


def record_of(path: bytes, status: os.stat_result) -> dict:
    kind = KINDS.get(stat.S_IFMT(status.st_mode), 'other')
    record = {'kind': kind, 'mode': stat.S_IMODE(status.st_mode), 'uid': status.st_uid, 'gid': status.st_gid,
              'mtime_ns': status.st_mtime_ns, 'nlink': status.st_nlink, 'xattrs': xattrs_of(path)}
    if kind == 'file':
        record |= {'size': status.st_size, 'content': file_digest(path, status.st_size)}
    elif kind == 'symlink':
        record |= {'size': status.st_size, 'target': os.readlink(path)}
    elif kind in ('char', 'block'):
        record['rdev'] = (os.major(status.st_rdev), os.minor(status.st_rdev))
    return record


def read_tree(folder) -> dict[bytes, dict]:
    """path → record; the folder itself is b''. Names of one file say so by the first of them, as "same"."""
    before = os.open('.', os.O_RDONLY | os.O_DIRECTORY)
    os.chdir(folder)  # paths relative to it may be as long as the kernel takes
    try:
        tree, inodes = {}, {}
        waiting = [b'']
        while waiting:
            path = waiting.pop()
            status = os.lstat(path or b'.')
            tree[path] = record_of(path or b'.', status)
            if tree[path]['kind'] == 'dir':
                waiting += [os.path.join(path, name) for name in os.listdir(path or b'.')]
            else:
                inodes.setdefault((status.st_dev, status.st_ino), []).append(path)
        for names in inodes.values():
            for name in names:
                tree[name]['same'] = min(names)
        return tree
    finally:
        os.fchdir(before)
        os.close(before)


def differences(wanted: dict, found: dict, ignored=lambda path, field: False, most: int = 20) -> list[str]:
    """What differs, readable, `most` lines of it."""
    lines = [f'{path!r}: missing' for path in sorted(wanted.keys() - found.keys())]
    lines += [f'{path!r}: should not be there' for path in sorted(found.keys() - wanted.keys())]
    for path in sorted(wanted.keys() & found.keys()):
        for field in sorted(wanted[path].keys() | found[path].keys()):
            one, other = wanted[path].get(field), found[path].get(field)
            if one != other and not ignored(path, field):
                lines.append(f'{path!r}: {field} should be {one!r}, is {other!r}')
    return lines[:most] + ([f'… {len(lines)} in all'] if len(lines) > most else [])


if __name__ == '__main__':
    pickle.dump(read_tree(sys.argv[1]), sys.stdout.buffer)
