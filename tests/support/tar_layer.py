"""A layer tar, written byte by byte, so that a test can say what Python's tarfile does not: both dialects (pax and GNU),
base-256 numbers, sparse maps, attributes as Go and libarchive write them, whiteouts. Each entry is kept beside its bytes:
expected_tree.py computes from them what the root file system must be."""
import dataclasses
import os

BLOCK = 512
KINDS = {'file': b'0', 'hard link': b'1', 'symlink': b'2', 'char': b'3', 'block': b'4', 'dir': b'5', 'fifo': b'6'}
DEFAULT_MTIME = 1_700_000_000 * 10**9


@dataclasses.dataclass(frozen=True)
class Content:
    """Bytes of a file with holes: parts at their offsets, zeros between them."""
    size: int
    parts: tuple[tuple[int, bytes], ...]

    def read(self, begin: int, length: int) -> bytes:
        out = bytearray(min(length, self.size - begin))
        for offset, data in self.parts:
            first, last = max(begin, offset), min(begin + len(out), offset + len(data))
            if first < last:
                out[first - begin:last - begin] = data[first - offset:last - offset]
        return bytes(out)


@dataclasses.dataclass
class Entry:
    kind: str  # of KINDS, or 'whiteout', 'opaque'
    path: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = DEFAULT_MTIME
    content: Content = Content(0, ())
    target: bytes = b''
    rdev: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] = dataclasses.field(default_factory=dict)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def number(value: int, width: int, base256: bool = False) -> bytes:
    if base256 or value < 0 or value >= 8**(width - 1):
        return bytes([0x80 if value >= 0 else 0xff]) + (value % 256**(width - 1)).to_bytes(width - 1, 'big')
    return b'%0*o\0' % (width - 1, value)


def seconds(ns: int) -> bytes:
    """A pax time: "-1.5" is one and a half seconds before 1970."""
    whole, part = divmod(abs(ns), 10**9)
    return (b'-' if ns < 0 else b'') + b'%d' % whole + (b'.%09d' % part if part else b'')


def pax_record(key: bytes, value: bytes) -> bytes:
    body = b' ' + key + b'=' + value + b'\n'
    length = len(body)
    while length != len(body) + len(b'%d' % length):
        length = len(body) + len(b'%d' % length)
    return b'%d' % length + body


def header(name: bytes, kind: bytes, size: int = 0, entry: Entry | None = None, gnu: bool = False, base256: bool = False,
           sparse: bytes = b'') -> bytes:
    entry = entry or Entry('file', b'')
    out = name[:100].ljust(100, b'\0') + number(entry.mode, 8)
    # In pax what does not fit stands in a record, and zero here.
    fits = (lambda value, width: value) if gnu else (lambda value, width: value if 0 <= value < 8**(width - 1) else 0)
    out += number(fits(entry.uid, 8), 8, base256) + number(fits(entry.gid, 8), 8, base256)
    out += number(fits(size, 12), 12, base256) + number(fits(entry.mtime_ns // 10**9, 12), 12, base256)
    out += b' ' * 8 + kind + entry.target[:100].ljust(100, b'\0')
    out += b'ustar  \0' if gnu else b'ustar\x0000'
    out += bytes(64) + number(entry.rdev[0], 8) + number(entry.rdev[1], 8)
    out = (out + (bytes(41) + sparse if sparse else b'')).ljust(BLOCK, b'\0')
    return out[:148] + b'%06o\0 ' % sum(out) + out[156:]


class Layer:
    """Entries in the order of the calls; `tar()` is the layer, uncompressed."""

    def __init__(self, dialect: str = 'pax', base256: bool = False):
        self.gnu = dialect == 'gnu'
        self.base256 = base256
        self.entries: list[Entry] = []
        self._out: list[bytes] = []

    def tar(self) -> bytes:
        return b''.join(self._out) + bytes(2 * BLOCK)

    # What a layer is made of. Paths and targets are str or bytes; `more` is fields of Entry.

    def dir(self, path, mode=0o755, **more):
        return self._add('dir', path, b'', mode=mode, **more)

    def file(self, path, data=b'', **more):
        return self._add('file', path, data, content=Content(len(data), ((0, data),)), **more)

    def symlink(self, path, target, mode=0o777, **more):
        return self._add('symlink', path, b'', target=os.fsencode(target), mode=mode, **more)

    def hard_link(self, path, target, **more):
        return self._add('hard link', path, b'', target=os.fsencode(target), **more)

    def device(self, kind, path, major, minor, **more):
        return self._add(kind, path, b'', rdev=(major, minor), **more)

    def fifo(self, path, **more):
        return self._add('fifo', path, b'', **more)

    def whiteout(self, path):
        directory, name = os.path.split(os.fsencode(path))
        return self._marker('whiteout', os.fsencode(path), os.path.join(directory, b'.wh.' + name))

    def opaque(self, path):
        return self._marker('opaque', os.fsencode(path), os.path.join(os.fsencode(path), b'.wh..wh..opq'))

    def sparse(self, path, size, parts, form='gnu', **more):
        """`form`: "gnu" (the old header), or pax "0.0", "0.1", "1.0"."""
        entry = Entry('file', os.fsencode(path), content=Content(size, tuple(parts)), **more)
        # GNU tar ends a map with an empty part when the file ends in a hole.
        spans = [(offset, len(data)) for offset, data in parts]
        if not spans or sum(spans[-1]) < size:
            spans.append((size, 0))
        data = b''.join(part for _, part in parts)
        self.entries.append(entry)
        if form == 'gnu':
            self._old_gnu_sparse(entry, spans, data)
        else:
            self._pax_sparse(entry, spans, data, form)
        return self

    def raw(self, data: bytes):
        """Bytes that are no entry, such as a global pax header."""
        self._out.append(data)
        return self

    def _add(self, kind, path, data, **fields):
        entry = Entry(kind, os.fsencode(path), **fields)
        self.entries.append(entry)
        self._write(entry, data)
        return self

    def _marker(self, kind, path, name):
        self.entries.append(Entry(kind, path))
        self._write(Entry('file', name, mode=0), b'')
        return self

    def _write(self, entry, data):
        name = entry.path + (b'/' if entry.kind == 'dir' and not entry.path.endswith(b'/') else b'')
        if self.gnu:
            for kind, text in ((b'L', name), (b'K', entry.target)):
                if len(text) > 100:
                    self._out += [header(b'././@LongLink', kind, len(text) + 1, gnu=True), padded(text + b'\0')]
            assert not entry.xattrs and entry.mtime_ns % 10**9 == 0, 'GNU headers cannot say this'
        else:
            self._pax_header(self._records(entry, name, len(data)))
        self._out += [header(name, KINDS[entry.kind], len(data), entry, self.gnu, self.base256), padded(data)]

    @staticmethod
    def _records(entry, name, size):
        records = []
        if len(name) > 100 or not name.isascii():
            records.append((b'path', name))
        if len(entry.target) > 100 or not entry.target.isascii():
            records.append((b'linkpath', entry.target))
        for key, value, most in ((b'uid', entry.uid, 8**7), (b'gid', entry.gid, 8**7), (b'size', size, 8**11)):
            if value >= most:
                records.append((key, b'%d' % value))
        if entry.mtime_ns % 10**9 or not 0 <= entry.mtime_ns < 8**11 * 10**9:
            records.append((b'mtime', seconds(entry.mtime_ns)))
        records += [(b'SCHILY.xattr.' + os.fsencode(key), value) for key, value in entry.xattrs.items()]
        return records

    def _pax_header(self, records):
        if records:
            body = b''.join(pax_record(key, value) for key, value in records)
            self._out += [header(b'./PaxHeaders/x', b'x', len(body)), padded(body)]

    def _old_gnu_sparse(self, entry, spans, data):
        pairs = [number(offset, 12) + number(length, 12) for offset, length in spans]
        rest = [pairs[i:i + 21] for i in range(4, len(pairs), 21)]
        area = b''.join(pairs[:4]).ljust(96, b'\0') + bytes([bool(rest)]) + number(entry.content.size, 12)
        self._out.append(header(entry.path, b'S', len(data), entry, gnu=True, sparse=area))
        for i, block in enumerate(rest):
            self._out.append(b''.join(block).ljust(504, b'\0') + bytes([i + 1 < len(rest)]) + bytes(7))
        self._out.append(padded(data))

    def _pax_sparse(self, entry, spans, data, form):
        records = self._records(entry, b'', 0)
        size = b'%d' % entry.content.size
        if form == '1.0':
            records += [(b'GNU.sparse.major', b'1'), (b'GNU.sparse.minor', b'0'), (b'GNU.sparse.name', entry.path),
                        (b'GNU.sparse.realsize', size)]
            lines = b'%d\n' % len(spans) + b''.join(b'%d\n%d\n' % span for span in spans)
            data = padded(lines) + data
        else:
            records += [(b'GNU.sparse.size', size), (b'GNU.sparse.numblocks', b'%d' % len(spans))]
            if form == '0.1':
                records += [(b'GNU.sparse.name', entry.path),
                            (b'GNU.sparse.map', b','.join(b'%d,%d' % span for span in spans))]
            else:
                for offset, length in spans:
                    records += [(b'GNU.sparse.offset', b'%d' % offset), (b'GNU.sparse.numbytes', b'%d' % length)]
        self._pax_header(records)
        name = entry.path if form == '0.0' else b'GNUSparseFile.0/' + os.path.basename(entry.path)
        self._out += [header(name, b'0', len(data), entry), padded(data)]
