"""An image's root device as files, as fsck.erofs and as the kernel see it."""
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import unittest

from diatom import DEADLINE, Home, need

FILE_TREE = pathlib.Path(__file__).with_name('file_tree.py')


def copy_sparse(source: pathlib.Path, out) -> int:
    """Appends a file to another, holes as holes; returns its length."""
    with open(source, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        begin = out.tell()
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # the rest is a hole
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            while at < end:
                data = os.pread(file.fileno(), min(end - at, 8 << 20), at)
                os.pwrite(out.fileno(), data, begin + at)
                at += len(data)
        out.seek(begin + size)
        out.truncate()
        return size


def write_device(home: Home, image: str, path: pathlib.Path) -> pathlib.Path:
    """The extents that `image inspect` names, one behind the other; each is checked to have the length that it says."""
    [info] = home.json('image', 'inspect', image)
    with open(path, 'wb') as out:
        for extent in info['RootDevice']:
            size = copy_sparse(extent['Path'], out)
            assert size == extent['Bytes'] and size % 4096 == 0, extent
    return path


def fsck(path: pathlib.Path) -> subprocess.CompletedProcess:
    # It recurses, with a large frame: a deep tree needs more stack than the usual 8 MiB.
    return subprocess.run(['prlimit', '--stack=1073741824', 'fsck.erofs', path], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=DEADLINE)


def mounted_tree(test: unittest.TestCase, device: pathlib.Path) -> dict[bytes, dict]:
    """What the kernel's EROFS shows. The mount is in a namespace of a child's own: it goes with the child, however that
    ends, and the loop device with it."""
    need(test, 'loop', os.geteuid() == 0, 'needs root, for a loop mount')
    with tempfile.TemporaryDirectory() as point:
        script = 'mount -t erofs -o loop,ro "$1" "$2" || exit 66; exec "$3" "$4" "$2"'
        result = subprocess.run(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', device, point,
                                 sys.executable, FILE_TREE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE)
    if result.returncode == 66:
        why = result.stderr.decode().strip()
        # That the kernel refuses our image is a failure, and not the machine's.
        test.assertNotIn('wrong fs type', why)
        need(test, 'loop', False, f'no loop mount of EROFS here: {why}')
    test.assertEqual(result.returncode, 0, result.stderr.decode())
    return pickle.loads(result.stdout)
