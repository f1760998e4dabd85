#!/usr/bin/env python3
"""The proof of the EROFS writer: images that have everything in them that a layer can have, loaded by `diatom image load`.
fsck.erofs accepts the root device; the kernel's EROFS shows exactly the tree that the model (expected_tree.py: layer.md in
Python) computes; and `umoci unpack` made the same from the same layers, but for what each case says umoci does not do."""
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, Home, main, need  # noqa: E402
from expected_tree import expected_tree  # noqa: E402
from file_tree import STRIDE, differences, read_tree  # noqa: E402
from oci_layout import Layout  # noqa: E402
from root_device import fsck, mounted_tree, write_device  # noqa: E402
from tar_layer import DEFAULT_MTIME, Layer, pax_record, header, padded  # noqa: E402

SECOND = 10**9


def umoci_tree(layers: list[Layer], scratch: pathlib.Path, packing: str) -> dict[bytes, dict]:
    layout = Layout()
    # umoci 0.4 knows no zstd: it gets the same layers with gzip.
    layout.add('image', [layer.tar() for layer in layers], [packing if 'zstd' not in packing else 'gzip'])
    layout.write_folder(scratch / 'umoci')
    result = subprocess.run(['umoci', 'unpack', '--image', f'{scratch / "umoci"}:image', scratch / 'bundle'],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE)
    assert result.returncode == 0, result.stdout.decode()
    return read_tree(scratch / 'bundle/rootfs')


def check(test: unittest.TestCase, layers: list[Layer], packing: str = 'gzip', umoci: bool = True,
          umoci_differs=lambda path, field: False):
    """`umoci=False`: umoci cannot do it at all. `umoci_differs`: what it does otherwise than the specification says."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='diatom-erofs-'))
    # Not shutil.rmtree: it recurses, and some trees are deep.
    test.addCleanup(subprocess.run, ['rm', '-rf', scratch], check=True, timeout=DEADLINE)
    layout = Layout()
    layout.add('image', [layer.tar() for layer in layers], [packing])
    wanted, implicit = expected_tree(layers)
    with Home(image=False, directory=scratch) as home:
        result = home.run('image', 'load', '-i', layout.write_folder(scratch / 'layout'))
        test.assertEqual(result.returncode, 0, result.stderr)
        device = write_device(home, 'image', scratch / 'device')
    checked = fsck(device)
    test.assertEqual(checked.returncode, 0, checked.stdout)
    test.assertEqual(differences(wanted, mounted_tree(test, device)), [])
    if not umoci:
        return
    need(test, 'umoci', shutil.which('umoci') is not None, 'umoci is not installed: compared with the model only')

    def left_to_umoci(path, field):
        # No specification says when a directory was changed that no layer names, nor how often a directory is linked.
        directory = wanted[path]['kind'] == 'dir'
        return directory and (field == 'nlink' or path in implicit and field == 'mtime_ns') or umoci_differs(path, field)
    test.assertEqual(differences(wanted, umoci_tree(layers, scratch, packing), left_to_umoci), [])


def touched(path, field) -> bool:
    """umoci takes something away from a directory, and does not put its time back."""
    return field == 'mtime_ns'


def root() -> Layer:
    return Layer().dir('./')


def capability(permitted: int) -> bytes:
    """security.capability, version 2, effective (linux/capability.h)."""
    return struct.pack('<5I', 0x02000001, permitted, 0, 0, 0)


def acl(*entries: tuple[int, int, int]) -> bytes:
    """system.posix_acl_*, version 2 (linux/posix_acl_xattr.h): tag, permissions, id."""
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


class Attributes(unittest.TestCase):
    """What a single layer says of its files arrives unchanged."""

    def test_every_kind_of_file_and_every_mode(self):
        layer = root().dir('dev').file('empty').file('text', b'hello\n', mode=0o600)
        layer.symlink('relative', 'text').symlink('absolute', '/dev/null').symlink('dangling', '../../no/where')
        layer.symlink('long', 'x' * 4095).symlink('dir-link', 'dev/')
        layer.device('char', 'dev/null', 1, 3, mode=0o666).device('block', 'dev/sda1', 8, 1, mode=0o660, gid=6)
        layer.device('char', 'dev/big', 4095, 1048575).device('block', 'dev/minor', 259, 70000).device('char', 'dev/0', 0, 0)
        layer.fifo('dev/pipe', mode=0o622)
        layer.file('setuid', b'x', mode=0o4755).file('setgid', b'x', mode=0o2755).file('nothing', b'x', mode=0)
        layer.dir('tmp', 0o1777).dir('shared', 0o2775, gid=100).dir('locked', 0).file('all', b'x', mode=0o7777)
        check(self, [layer])

    def test_sizes_around_a_block(self):
        layer = root()
        for size in (1, 4032, 4033, 4095, 4096, 4097, 8191, 8192, 65535, 65536, 1 << 20, (1 << 20) + 1):
            layer.file(f'{size:08}', bytes(range(256)) * (size // 256) + b'z' * (size % 256))
        # Directories and links that just fit behind their inode, and those that just do not.
        for length in (*range(4020, 4040), 3968, 4000, 4095):
            layer.symlink(f'link-{length}', 't' * length)
        for length in range(100, 256):
            layer.dir(f'dir-{length}')
            for i in range(16):
                layer.file(f'dir-{length}/' + f'{i:02}'.ljust(length, 'n'))
        check(self, [layer], packing='zstd')

    def test_owners_beyond_16_and_31_bits(self):
        layer = root()
        # umoci refuses 2^32 - 1, which chown(2) takes as "no change".
        for n in (0, 1, 65534, 65535, 65536, 2097151, 2097152, 2**31 - 1, 2**31, 2**32 - 2):
            layer.file(f'uid-{n}', b'x', uid=n).dir(f'gid-{n}', gid=n).symlink(f'both-{n}', 'x', uid=n, gid=n)
        check(self, [layer, Layer('gnu').file('gnu', b'y', uid=2**31, gid=70000)])

    def test_times_to_the_nanosecond_and_before_1970(self):
        layer = root()
        for ns in (0, 1, 999_999_999, SECOND, DEFAULT_MTIME + 123_456_789, -SECOND, -SECOND - 1, -3 * SECOND // 2,
                   -SECOND // 2, -2**31 * SECOND, (2**31 - 1) * SECOND + 5, 2**31 * SECOND, 2**32 * SECOND + 500_000_000):
            layer.file(f'file{ns}', b'x', mtime_ns=ns).symlink(f'link{ns}', 'x', mtime_ns=ns).dir(f'dir{ns}', mtime_ns=ns)
        check(self, [layer, Layer('gnu').file('gnu', mtime_ns=-5 * SECOND)])

    def test_times_that_ext4_cannot_hold(self):
        layer = root()
        for ns in (-62135596800 * SECOND, -2**31 * SECOND - 1, 2**34 * SECOND, 253402300799 * SECOND + 999_999_999):
            layer.file(f'file{ns}', b'x', mtime_ns=ns)
        check(self, [layer], umoci=False)  # it unpacks to a file system with times of 34 bits

    def test_extended_attributes_and_capabilities(self):
        layer = root()
        layer.file('ping', b'elf', mode=0o755, xattrs={'security.capability': capability(1 << 13)})
        layer.file('many', b'x', xattrs={f'user.name{i}': b'v' * i for i in range(1, 41)})
        layer.file('binary', b'x', xattrs={'user.bytes': bytes(range(256)), 'user.empty': b'', 'user.ünï': b'\xff=\n'})
        layer.file('large', b'x', xattrs={'user.large': b'L' * 3000})
        layer.file('trusted', b'x', xattrs={'trusted.one': b'1'})
        layer.dir('dir', xattrs={'user.on.dir': b'yes', 'trusted.two': b'2'})
        layer.symlink('link', 'ping', xattrs={'trusted.on.link': b'3', 'security.other': b'4'})
        layer.fifo('fifo', xattrs={'trusted.on.fifo': b'5'})
        access = acl((1, 6, 0xffffffff), (2, 4, 1000), (4, 4, 0xffffffff), (0x10, 4, 0xffffffff), (0x20, 4, 0xffffffff))
        layer.file('acl', b'x', mode=0o644, xattrs={'system.posix_acl_access': access})
        layer.dir('acl-dir', xattrs={'system.posix_acl_default': access})
        # umoci drops an attribute with an empty value.
        check(self, [layer], 'zstd frames', umoci_differs=lambda path, field: (path, field) == (b'binary', 'xattrs'))

    def test_extended_attributes_larger_than_a_block(self):
        layer = root()
        for size in (4000, 4017, 4096, 8192, 60000):
            layer.file(f'file{size}', b'x', xattrs={'user.before': b'b', 'user.large': b'L' * size, 'user.zafter': b'a'})
            layer.dir(f'dir{size}', xattrs={'user.large': b'L' * size}).file(f'dir{size}/inside', b'y')
        check(self, [layer], umoci=False)  # ext4 has room for one block of them


class Names(unittest.TestCase):
    def test_long_names_and_paths(self):
        for dialect in ('pax', 'gnu'):
            with self.subTest(dialect):
                layer = Layer(dialect).dir('./')
                for length in (99, 100, 101, 154, 155, 156, 255):
                    layer.file('f' * length, b'%d' % length).symlink('l' * (length - 1) + 'm', 'f' * length)
                path = ''
                for i in range(12):
                    path += chr(ord('a') + i) * 120 + '/'
                    layer.dir(path)
                layer.file(path + 'z' * 255, b'far').hard_link('near', path + 'z' * 255)
                self.assertGreater(len(path) + 255, 1024)
                check(self, [layer])

    def test_names_that_are_utf8_and_names_that_are_not(self):
        for dialect in ('pax', 'gnu'):
            with self.subTest(dialect):
                layer = Layer(dialect).dir('./').file('größe', b'1').dir('日本語').file('日本語/名前', b'2')
                # Composed and not: two names, as the tar says, and not one.
                layer.file('\u00e9', b'3').file('e\u0301', b'not 3').symlink('to-e\u0301', 'e\u0301')
                layer.hard_link('hard-e\u0301', 'e\u0301').file('\ud55c', b'4').file('\u1112\u1161\u11ab', b'not 4')
                layer.file(b'latin-\xe9', b'5').file(b'\xff\xfe', b'6').symlink(b'to-latin', b'latin-\xe9')
                layer.hard_link(b'hard-\xe8', b'latin-\xe9').dir(b'd\x80').file(b'd\x80/\xc0\xaf', b'7')
                for name in ('new\nline', ' lead and trail ', 'tab\t"quote\'\\', '\x01\x7f', '=', '!', '-rf', '...', '..x',
                             '.hidden'):
                    layer.file(name, name.encode())
                check(self, [layer], packing='plain')

    def test_many_ways_to_write_the_same_path(self):
        layer = Layer().dir('.').dir('./a/').file('./a//b', b'1').file('a/./c', b'2').dir('x///').file('././x/./y', b'3')
        layer.hard_link('./x/z', './/x/./y').hard_link('x/w', '/a/c')
        check(self, [layer])


class Links(unittest.TestCase):
    def test_hard_links_of_one_layer(self):
        layer = root().file('a', b'content', mode=0o640, uid=5).dir('d')
        for name in ('b', 'd/c', '0-sorted-first', 'd/z'):
            layer.hard_link(name, 'a', mode=0o640, uid=5)
        layer.hard_link('chain', 'd/z', mode=0o640, uid=5)
        layer.symlink('sym', 'a').hard_link('sym2', 'sym', mode=0o777).fifo('f').hard_link('f2', 'f')
        layer.device('char', 'n', 1, 3).hard_link('n2', 'n')
        layer.file('with', b'x', xattrs={'user.x': b'1'}).hard_link('with2', 'with', xattrs={'user.x': b'1'})
        check(self, [layer])

    def test_hard_links_across_layers(self):
        lower = root().file('a', b'one').hard_link('b', 'a').file('lone', b'two').file('gone', b'three').hard_link('stays', 'gone')
        middle = root().hard_link('c', 'a').dir('dir').hard_link('dir/lone', 'lone').whiteout('gone')
        # One name is replaced: the others keep the file that they named.
        upper = root().file('a', b'new').hard_link('a2', 'a').hard_link('b', 'lone')
        check(self, [lower, middle, upper])

    def test_a_hard_link_that_takes_the_place_of_something(self):
        lower = root().file('a', b'1').file('b', b'2').dir('d').file('d/inside', b'3').symlink('s', 'a')
        upper = root().hard_link('b', 'a').hard_link('d', 'a').hard_link('s', 'a')
        check(self, [lower, upper])

    def test_entries_below_symbolic_links(self):
        lower = root().dir('usr').dir('usr/lib').file('usr/lib/old', b'1').file('usr/lib/keep', b'0')
        lower.symlink('lib', 'usr/lib').symlink('abs', '/usr').symlink('up', 'usr/../../../usr').dir('a').symlink('a/back', '../usr/lib').symlink('chain', 'abs')
        upper = root().file('lib/new', b'2').file('abs/x', b'3').file('up/y', b'4').file('a/back/z', b'5').file('chain/w', b'6')
        upper.hard_link('lib/hard', 'lib/keep').whiteout('chain/lib/old').dir('lib/sub').file('lib/sub/f', b'7')
        check(self, [lower, upper])

    def test_a_directory_entry_over_a_symbolic_link_replaces_it(self):
        lower = root().dir('real').file('real/f', b'1').symlink('link', 'real')
        check(self, [lower, root().dir('link', 0o700).file('link/own', b'2')])


class SparseFiles(unittest.TestCase):
    def test_every_form_of_a_sparse_map(self):
        many = [(i * 100_000, b'%06d' % i * 10) for i in range(60)]  # more parts than three blocks of a GNU map hold
        shapes = {'hole-first': (300_000, [(200_000, b'x' * 100_000)]), 'hole-last': (1 << 20, [(0, b'head')]),
                  'only-hole': (123_456, []), 'middle': (1 << 20, [(0, b'a' * 512), (65536, b'b' * 4096), (1048000, b'c' * 576)]),
                  'many': (60 * 100_000, many), 'odd': (9999, [(1, b'1'), (4095, b'22'), (9998, b'3')])}
        for form in ('gnu', '0.0', '0.1', '1.0'):
            with self.subTest(form):
                layer = root()
                for name, (size, parts) in shapes.items():
                    layer.sparse(name, size, parts, form, mode=0o640, mtime_ns=1_600_000_000 * SECOND).file(name + '.next', b'n')
                check(self, [layer], umoci=form != 'gnu')  # it refuses the type "S"

    def test_files_beyond_4_and_8_gib(self):
        layer = root()
        for form, size in (('gnu', (5 << 30) + 1), ('1.0', (9 << 30) + 4097), ('0.1', (4 << 30))):
            parts = [(0, b'begin'), (1 << 30, b'one'), (size - STRIDE - size % STRIDE, b'late'), (size - 3, b'end')]
            layer.sparse(f'huge-{form}', size, parts, form).file(f'after-{form}', b'after ' + form.encode())
        check(self, [layer, root().file('upper', b'on top')], umoci=False)  # it would write the holes


class Numbers(unittest.TestCase):
    def test_base_256_where_octal_would_do(self):
        layer = Layer('gnu', base256=True).dir('./').file('f', b'data' * 2000, uid=1, gid=2).dir('d', uid=3)
        check(self, [layer.file('d/g', b'x')])

    def test_pax_records_for_all_that_a_header_says(self):
        entry_records = (b'path', b'named by pax'), (b'size', b'5'), (b'uid', b'7'), (b'gid', b'8'), (b'mtime', b'12.5')
        body = b''.join(pax_record(*record) for record in entry_records)
        layer = root().raw(header(b'x', b'x', len(body)) + padded(body) + header(b'wrong', b'0', 5) + padded(b'12345'))
        model = root().file('named by pax', b'12345', uid=7, gid=8, mtime_ns=12 * SECOND + SECOND // 2)
        layer.entries = model.entries
        check(self, [layer])

    def test_a_global_pax_header_with_a_comment(self):
        body = pax_record(b'comment', b'made by git archive')
        layer = root().raw(header(b'pax_global_header', b'g', len(body)) + padded(body)).file('f', b'x')
        check(self, [layer], umoci=False)  # it refuses it


class Whiteouts(unittest.TestCase):
    """Over one lower layer."""

    def over(self, upper: Layer, **more):
        lower = root().dir('d', 0o750, uid=1).file('d/f', b'lower', mode=0o600).file('d/g', b'stays?').dir('d/sub')
        lower.file('d/sub/deep', b'deep').file('file', b'file').symlink('link', 'd').dir('other').file('other/o', b'o')
        check(self, [lower, upper], **more)

    def test_of_a_file_a_link_a_directory_and_of_nothing(self):
        self.over(root().whiteout('file').whiteout('link').whiteout('d').whiteout('none').whiteout('no/such/path'))

    def test_below_a_directory_that_stays(self):
        self.over(root().dir('d', 0o755).whiteout('d/f').whiteout('d/sub'))

    def test_opaque_directory(self):
        self.over(root().dir('d', 0o700).opaque('d').file('d/new', b'new'))

    def test_opaque_directory_marked_behind_its_entries(self):
        upper = root().dir('d', 0o700).file('d/new', b'new').dir('d/sub').file('d/sub/own', b'own').opaque('d')
        self.over(upper, umoci_differs=touched)

    def test_opaque_directory_that_has_lower_names_again(self):
        self.over(root().dir('d').opaque('d').file('d/f', b'upper').dir('d/sub').opaque('d/sub'))

    def test_opaque_root(self):
        self.over(root().opaque('').file('only', b'this'))

    def test_then_made_again_in_the_same_layer(self):
        upper = root().whiteout('file').file('file', b'again').whiteout('d').dir('d', 0o711).file('d/f', b'again')
        self.over(upper.whiteout('link').symlink('link', 'other'))

    def test_behind_what_the_same_layer_made(self):
        upper = root().file('file', b'again').whiteout('file').dir('d', 0o711).file('d/f', b'again').whiteout('d')
        self.over(upper.symlink('link', 'other').whiteout('link').file('new', b'new').whiteout('new'), umoci_differs=touched)

    def test_a_file_becomes_a_directory_and_a_directory_a_file(self):
        upper = root().file('d', b'now a file').dir('file').file('file/inside', b'now a directory').dir('link')
        self.over(upper.fifo('other'))

    def test_a_directory_becomes_a_link_and_entries_go_through_it(self):
        self.over(root().whiteout('d').symlink('d', 'other').file('d/through', b'through'))

    def test_names_that_only_look_like_markers(self):
        self.over(root().file('a.wh.b', b'1').file('wh.x', b'2').file('.wha', b'3').dir('d').file('d/.w', b'4'))

    def test_attributes_of_a_directory_are_the_upper_ones(self):
        self.over(root().dir('d', 0o1777, uid=9, gid=9, mtime_ns=5, xattrs={'user.new': b'1'}).dir('d/sub', 0o500))


class ManyLayers(unittest.TestCase):
    def test_no_layers(self):
        check(self, [], umoci=False)  # it wants one at least

    def test_empty_layers(self):
        check(self, [Layer(), root(), Layer(), root().file('f', b'x'), Layer()])

    def test_layers_with_directories_that_no_entry_names(self):
        lower = Layer().file('a/b/c', b'1').symlink('x/y', 'z').dir('named/below', 0o700)
        check(self, [lower, Layer().file('a/b/d', b'2').dir('a', 0o711, uid=4), Layer().file('a/b/e/f', b'3')])

    def test_sixty_layers_packed_in_every_way(self):
        layers = []
        for i in range(60):
            layer = root().dir('shared', 0o700 + i).file(f'shared/own{i}', b'%d' % i * 2000).file('top', b'layer %d' % i)
            if i % 3 == 2:
                layer.whiteout(f'shared/own{i - 1}')
            if i % 20 == 19:
                layer.dir('reset').opaque('reset')
            layers.append(layer.file(f'reset/{i}', b'r').hard_link(f'linked{i}', 'top'))
        for packing in ('gzip members', 'zstd'):
            with self.subTest(packing):
                check(self, layers, packing, umoci=packing != 'zstd')

    def test_the_same_layer_twice(self):
        layer = root().file('f', b'x' * 5000).dir('d').file('d/g', b'y')
        check(self, [layer, root().whiteout('f').whiteout('d'), layer])


class LargeTrees(unittest.TestCase):
    def test_a_hundred_thousand_files_in_one_directory(self):
        layer = root().dir('many')
        for i in range(100_000):
            layer.file(f'many/file-{i * 7919 % 100_000:06}', b'%d' % i if i % 1000 == 0 else b'')
        upper = root().file('many/file-050000', b'replaced').whiteout('many/file-000001').file('many/zzz', b'new')
        check(self, [layer, upper], umoci=False)  # it takes minutes

    def test_hundreds_of_directories_with_a_few_files(self):
        layer = root()
        for i in range(400):
            layer.dir(f'dir{i}', mtime_ns=i).file(f'dir{i}/a', b'%d' % i).dir(f'dir{i}/sub').hard_link(f'dir{i}/b', f'dir{i}/a')
        check(self, [layer])

    def test_deep_directories(self):
        # umoci's time grows with the square of the depth.
        for depth, umoci in ((100, True), (1000, False)):
            lower = root().file('d/' * depth + 'bottom', b'down here').file('e/' * (depth // 2) + 'f', b'x')
            upper = root().file('d/' * (depth - 1) + 'other', b'above').whiteout('e/' * (depth // 2) + 'f')
            check(self, [lower, upper], umoci=umoci)

    def test_directories_as_deep_as_a_path_is_long(self):
        check(self, [root().file('d/' * 2046 + 'end', b'down here')], umoci=False)  # its own path is before it


if __name__ == '__main__':
    main()
