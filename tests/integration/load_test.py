#!/usr/bin/env python3
"""`diatom image load`: what it takes, what it stores once, and what a failure, a kill or a full disk leaves behind."""
import gzip
import hashlib
import io
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, Home, main, need  # noqa: E402
from events import FileEvents  # noqa: E402
from oci_layout import Layout, zstd  # noqa: E402
from tar_layer import Layer  # noqa: E402


def layer(name: str, size: int = 20_000) -> bytes:
    return Layer().dir('./').file(name, random.Random(name).randbytes(size)).file(f'{name}.txt', name.encode()).tar()


def layout_of(name: str | None, *tars: bytes, packing: str = 'gzip') -> Layout:
    layout = Layout()
    layout.add(name, list(tars), [packing])
    return layout


def hostile_tar(*entries: tuple[str, bytes], size: int = 0) -> bytes:
    """Entries that tarfile writes as they are, whatever their names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for name, kind in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, size
            tar.addfile(info, io.BytesIO(b'\0' * size))
    return out.getvalue()


def store_files(home: Home) -> dict[str, bytes]:
    """Contents of every file but the database's and the lock's."""
    root = home.path / 'home'
    return {name: (root / name).read_bytes() for name in home.files() if (root / name).is_file() and name != 'store.lock'}


class LoadCase:
    """The helpers. (Classes of tests derive from TestCase alone, which is how CMake finds them, and borrow from here.)"""

    def setUp(self):
        self.home = Home(image=False)
        self.addCleanup(self.home.close)
        self.scratch = self.home.path

    def load(self, source, home: Home | None = None, **more) -> str:
        result = (home or self.home).run('image', 'load', '-i', source, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.decode()

    def names(self, home: Home | None = None) -> list[str]:
        return sorted(tag for image in (home or self.home).json('image', 'ls', '--json') for tag in image['RepoTags'])

    def assert_verified(self, home: Home):
        """Each blob and each layer has the digest that it is named by; each image's device is all there."""
        files = store_files(home)
        for name, data in files.items():
            if name.startswith('blobs/'):
                self.assertEqual(hashlib.sha256(data).hexdigest(), os.path.basename(name))
            self.assertFalse(name.startswith('ingest/'), name)
        for image in home.json('image', 'ls', '--json'):
            [info] = home.json('image', 'inspect', image['Id'])
            for extent in info['RootDevice']:
                self.assertEqual(os.path.getsize(extent['Path']), extent['Bytes'])
        return files


class Sources(unittest.TestCase):
    """Wherever the archive comes from, the same store comes of it."""

    load, setUp, names = LoadCase.load, LoadCase.setUp, LoadCase.names

    def test_a_folder_a_tar_a_compressed_tar_and_stdin(self):
        layout = layout_of('some/image:1', layer('a'), layer('b'))
        tar = layout.tar()
        folder = layout.write_folder(self.scratch / 'folder')
        sources = {'folder': (folder, b'')}
        for name, data in (('plain', tar), ('gzip', gzip.compress(tar, 1)), ('zstd', zstd(tar))):
            path = self.scratch / name
            path.write_bytes(data)
            sources[name] = (path, b'')
            sources[f'stdin {name}'] = ('-', data)
        stores = {}
        for name, (source, stdin) in sources.items():
            with self.subTest(name), Home(image=False) as home:
                self.assertEqual(self.load(source, home, stdin=stdin), 'Loaded image: some/image:1\n')
                stores[name] = store_files(home)
                self.assertEqual(stores[name].keys(), stores['folder'].keys())
                self.assertEqual(stores[name], stores['folder'])

    def test_stdin_is_the_default_and_may_be_slow(self):
        tar = layout_of('slow', layer('a')).tar()
        process = self.home.popen('load', stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for i in range(0, len(tar), 3001):  # a write for each few KiB, and no block of the tar whole in one
            process.stdin.write(tar[i:i + 3001])
            process.stdin.flush()
        out, err = process.communicate(timeout=DEADLINE)
        self.assertEqual((process.returncode, out), (0, b'Loaded image: slow:latest\n'), err)

    def test_a_docker_archive_by_skopeo(self):
        need(self, 'skopeo', shutil.which('skopeo') is not None, 'skopeo is not installed')
        folder = layout_of('1', layer('a'), layer('b'), layer('a')).write_folder(self.scratch / 'folder')
        archive = self.scratch / 'docker.tar'
        subprocess.run(['skopeo', 'copy', '-q', f'oci:{folder}:1', f'docker-archive:{archive}:registry.example:5000/some/image:1'],
                       check=True, timeout=DEADLINE)
        self.assertEqual(self.load(archive), 'Loaded image: registry.example:5000/some/image:1\n')
        [info] = self.home.json('image', 'inspect', 'registry.example:5000/some/image:1')
        # Another manifest than the layout's, and the same root: what it is made of is stored once.
        self.load(folder)
        [own] = self.home.json('image', 'inspect', self.home.json('image', 'ls', '--json')[0]['Id'])
        self.assertEqual(own['RootFS'], info['RootFS'])

    def test_an_oci_archive_by_skopeo(self):
        need(self, 'skopeo', shutil.which('skopeo') is not None, 'skopeo is not installed')
        folder = layout_of('1', layer('a')).write_folder(self.scratch / 'folder')
        archive = self.scratch / 'oci.tar'
        subprocess.run(['skopeo', 'copy', '-q', f'oci:{folder}:1', f'oci-archive:{archive}:debian:12'], check=True,
                       timeout=DEADLINE)
        self.assertEqual(self.load(archive), 'Loaded image: debian:12\n')

    def test_an_old_docker_archive_whose_layers_are_links(self):
        config = {'architecture': 'amd64', 'os': 'linux', 'rootfs': {'type': 'layers', 'diff_ids': []}}
        tar = layer('a')
        config['rootfs']['diff_ids'] = ['sha256:' + hashlib.sha256(tar).hexdigest()] * 2
        config['architecture'] = json.loads(next(iter(layout_of('x').blobs.values())))['architecture']
        manifest = [{'Config': 'c.json', 'RepoTags': ['old:1'], 'Layers': ['one/layer.tar', 'two/layer.tar']}]
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w') as archive:
            for name, data in (('manifest.json', json.dumps(manifest).encode()), ('c.json', json.dumps(config).encode()),
                               ('one/layer.tar', tar)):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo('two/layer.tar')
            link.type, link.linkname = tarfile.SYMTYPE, '../one/layer.tar'
            archive.addfile(link)
        self.assertEqual(self.load('-', stdin=out.getvalue()), 'Loaded image: old:1\n')
        [info] = self.home.json('image', 'inspect', 'old:1')
        self.assertEqual(len(info['RootFS']['Layers']), 2)

    def test_several_images_in_one_archive(self):
        layout = layout_of('one', layer('shared'), layer('a'))
        layout.add('two', [layer('shared'), layer('b')])
        layout.add(None, [layer('nameless')])
        out = self.load('-', stdin=layout.tar())
        self.assertIn('Loaded image: one:latest\nLoaded image: two:latest\nLoaded image ID: sha256:', out)
        self.assertEqual(self.names(), ['one:latest', 'two:latest'])
        self.assertEqual(len(self.home.json('image', 'ls', '--json')), 3)


class SharedLayers(unittest.TestCase):
    """Names, and layers that several images have."""

    load, setUp, names, assert_verified = LoadCase.load, LoadCase.setUp, LoadCase.names, LoadCase.assert_verified

    def test_loading_twice_in_two_homes_gives_identical_bytes(self):
        tars = [layer('a', 300_000), Layer().dir('d', xattrs={'user.b': b'2', 'user.a': b'1'}).whiteout('a').tar(), layer('c')]
        layout = layout_of('image', *tars, packing='zstd')
        stores = []
        for _ in range(2):
            with Home(image=False) as home:
                self.load('-', home, stdin=layout.tar())
                stores.append(self.assert_verified(home))
        self.assertEqual(stores[0].keys(), stores[1].keys())
        for name, data in stores[0].items():
            self.assertEqual(data, stores[1][name], name)

    def test_the_root_device_does_not_depend_on_how_layers_are_packed(self):
        devices = []
        for packing in ('plain', 'gzip', 'gzip members', 'zstd', 'zstd frames'):
            with Home(image=False) as home:
                self.load('-', home, stdin=layout_of('image', layer('a'), layer('b'), packing=packing).tar())
                devices.append({k: v for k, v in store_files(home).items() if k.startswith(('layers/', 'images/'))})
        for device in devices[1:]:
            self.assertEqual(device, devices[0])

    def test_two_images_store_the_data_of_a_shared_layer_once(self):
        shared = layer('shared', 2_000_000)
        self.load('-', stdin=layout_of('one', shared, layer('a')).tar())
        before = self.assert_verified(self.home)
        self.load('-', stdin=layout_of('two', shared, layer('b')).tar())
        after = self.assert_verified(self.home)
        # New: the other layer's blob, data and index, a config, a manifest, and the metadata.
        added = {name: len(data) for name, data in after.items() if name not in before}
        self.assertEqual(sorted(name.split('/')[0] for name in added), ['blobs'] * 3 + ['images'] + ['layers'] * 2)
        self.assertLess(sum(added.values()), 150_000)
        one, two = (self.home.json('image', 'inspect', name)[0]['RootDevice'] for name in ('one', 'two'))
        self.assertEqual(one[1], two[1])
        self.assertNotEqual(one[0], two[0])

    def test_removing_one_of_two_leaves_the_shared_layer(self):
        shared = layer('shared', 100_000)
        self.load('-', stdin=layout_of('one', shared, layer('a')).tar())
        only_one = self.assert_verified(self.home)
        self.load('-', stdin=layout_of('two', shared, layer('b')).tar())
        result = self.home.run('image', 'rm', 'two')
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.assert_verified(self.home), only_one)
        self.assertEqual(self.home.run('image', 'rm', 'one').returncode, 0)
        self.assertEqual(store_files(self.home), {})

    def test_the_same_again_changes_nothing(self):
        archive = layout_of('image', layer('a')).write_tar(self.scratch / 'image.tar')
        first = self.load(archive)
        before = self.assert_verified(self.home)
        self.assertEqual(self.load(archive), first)
        self.assertEqual(self.assert_verified(self.home), before)
        self.assertEqual(len(self.home.json('image', 'ls', '--json')), 1)

    def test_two_names_of_one_image(self):
        archive = layout_of('first', layer('a'))
        self.load('-', stdin=archive.tar())
        again = layout_of('second', layer('a'))
        self.load('-', stdin=again.tar())
        self.assertEqual(self.names(), ['first:latest', 'second:latest'])
        [image] = self.home.json('image', 'ls', '--json')
        self.assertEqual(sorted(image['RepoTags']), ['first:latest', 'second:latest'])
        by_id = self.home.run('image', 'rm', image['Id'])
        self.assertNotEqual(by_id.returncode, 0)
        self.assertIn(b'several names', by_id.stderr)
        self.assertIn(b'Untagged: first:latest', self.home.run('image', 'rm', 'first').stdout)
        self.assertEqual(self.names(), ['second:latest'])
        self.assert_verified(self.home)

    def test_a_name_moves_to_the_image_that_was_loaded_last(self):
        self.load('-', stdin=layout_of('image', layer('old')).tar())
        self.load('-', stdin=layout_of('image', layer('new')).tar())
        images = self.home.json('image', 'ls', '--json')
        self.assertEqual([image['RepoTags'] for image in images], [['image:latest'], []])

    def test_two_loads_at_once_into_a_store_that_is_not_there_yet(self):
        shared = layer('shared', 3_000_000)
        archives = [layout_of(f'image{i}', shared, layer(f'own{i}')).write_tar(self.scratch / f'{i}.tar') for i in range(4)]
        running = [self.home.popen('load', '-i', path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for path in archives]
        for process in running:
            _, err = process.communicate(timeout=DEADLINE)
            self.assertEqual(process.returncode, 0, err)
        self.assertEqual(self.names(), [f'image{i}:latest' for i in range(4)])
        files = self.assert_verified(self.home)
        self.assertEqual(sum(name.endswith('.data') for name in files), 5)

    def test_a_load_beside_removals_of_what_it_shares(self):
        shared = layer('shared', 500_000)
        for i in range(5):
            self.load('-', stdin=layout_of('goes', shared, layer('a')).tar())
            load = self.home.popen('load', stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            rm = self.home.popen('image', 'rm', 'goes', stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            _, err = load.communicate(layout_of('stays', shared, layer(f'b{i}')).tar(), timeout=DEADLINE)
            self.assertEqual(load.returncode, 0, err)
            self.assertEqual(rm.wait(DEADLINE), 0, rm.stderr.read())
            rm.stderr.close()
            self.assert_verified(self.home)


class Damaged(unittest.TestCase):
    """Each is an error that names the object; nothing is left in the store."""

    setUp = LoadCase.setUp

    def refused(self, archive: bytes, *named: str, **more):
        result = self.home.run('image', 'load', stdin=archive, **more)
        self.assertEqual((result.returncode, result.stdout), (1, b''), result.stderr)
        for text in named:
            self.assertIn(text.encode(), result.stderr)
        self.assertEqual(store_files(self.home), {})
        self.assertEqual(self.home.json('image', 'ls', '--json'), [])

    def test_a_blob_that_has_another_digest(self):
        layout = layout_of('x', layer('a'))
        digest = next(iter(layout.blobs))
        layout.blobs[digest] = layout.blobs[digest][:-1] + b'!'
        self.refused(layout.tar(), digest, 'wrong digest')

    def test_a_blob_that_is_missing(self):
        layout = layout_of('x', layer('a'))
        digest = next(iter(layout.blobs))
        del layout.blobs[digest]
        self.refused(layout.tar(), digest, 'missing')

    def test_a_diff_id_that_is_not_the_layers(self):
        layout = Layout()
        packed = layout.blob(gzip.compress(layer('a'), 1), 'application/vnd.oci.image.layer.v1.tar+gzip')
        wrong = 'sha256:' + '0' * 64
        config = json.dumps({'os': 'linux', 'rootfs': {'type': 'layers', 'diff_ids': [wrong]}}).encode()
        layout.add_manifest(config, [packed])
        self.refused(layout.tar(), packed['digest'], wrong)

    def test_a_layer_that_is_cut_short(self):
        for packing in ('plain', 'gzip', 'zstd'):
            with self.subTest(packing):
                whole = layer('a')
                layout = Layout()
                # The digest is the damaged content's: the damage is inside.
                layout.add('x', [whole[:len(whole) // 2]], [packing])
                self.refused(layout.tar(), 'layer sha256:')

    def test_an_archive_that_is_cut_short_anywhere(self):
        tar = layout_of('x', layer('a')).tar()
        for size in (0, 1, 511, 512, 1000, len(tar) // 3, len(tar) // 2):
            with self.subTest(size):
                self.refused(tar[:size])
        self.refused(gzip.compress(tar)[:len(tar) // 4], 'gzip')

    def test_an_image_for_another_machine(self):
        layout = Layout()
        config = json.dumps({'os': 'linux', 'architecture': 's390x', 'rootfs': {'type': 'layers', 'diff_ids': []}}).encode()
        layout.add_manifest(config, [])
        self.refused(layout.tar(), 's390x')

    def test_a_layer_over_the_limit(self):
        self.refused(layout_of('x', layer('a', 100_000)).tar(), '65536', 'DIATOM_MAX_LAYER_SIZE',
                     env={'DIATOM_MAX_LAYER_SIZE': '64Ki'})


    def test_what_is_no_archive(self):
        self.refused(b'this is no tar, nor anything like one' * 100, 'tar')
        self.refused(hostile_tar(('a', tarfile.REGTYPE)), 'neither an OCI image layout')

    def test_a_layer_of_an_unknown_media_type(self):
        layout = Layout()
        strange = layout.blob(layer('a'), 'application/vnd.example.layer+lzma')
        layout.add_manifest(b'{"rootfs":{"type":"layers","diff_ids":[]}}', [strange])
        self.refused(layout.tar(), 'unknown media type', 'application/vnd.example.layer+lzma')

    def test_a_manifest_without_a_config(self):
        layout = Layout()
        manifest = json.dumps({'schemaVersion': 2, 'layers': []}).encode()
        layout.manifests.append(layout.blob(manifest, 'application/vnd.oci.image.manifest.v1+json'))
        self.refused(layout.tar(), 'it has no config')

    def test_paths_that_no_layer_may_have_are_named(self):
        for entries in ([('../out', tarfile.REGTYPE)], [('a/../../out', tarfile.REGTYPE)], [('/etc/passwd', tarfile.REGTYPE)],
                        [('dev/sda', tarfile.BLKTYPE), ('dev/sda/x', tarfile.REGTYPE)],
                        [('dev/null', tarfile.CHRTYPE), ('dev/null/x/y', tarfile.DIRTYPE)]):
            with self.subTest(entries):
                self.refused(layout_of('x', hostile_tar(*entries)).tar(), 'layer', entries[0][0])

    def test_a_layer_that_inflates_without_end(self):
        bomb = hostile_tar(('zeros', tarfile.REGTYPE), size=256 << 20)
        for packing in ('gzip', 'zstd'):
            with self.subTest(packing):
                self.refused(layout_of('x', bomb, packing=packing).tar(), '1048576', 'DIATOM_MAX_LAYER_SIZE',
                             env={'DIATOM_MAX_LAYER_SIZE': '1Mi'})


class Killed(unittest.TestCase):
    """kill -9 leaves no half image, and the next load sweeps what it left."""

    load, names, assert_verified = LoadCase.load, LoadCase.names, LoadCase.assert_verified

    def setUp(self):
        LoadCase.setUp(self)
        layout = layout_of('image', layer('a', 3_000_000), layer('b', 3_000_000), layer('c', 100))
        self.tar = layout.tar()
        with Home(image=False) as home:
            self.load('-', home, stdin=self.tar)
            self.clean = store_files(home)
        self.load('-', stdin=layout_of('keep', layer('kept')).tar())
        self.kept = store_files(self.home)

    def assert_recovers(self, killed_names):
        self.assertIn(self.names(), killed_names)
        self.assertEqual(self.home.run('image', 'inspect', 'keep').returncode, 0)
        self.load('-', stdin=layout_of('keep', layer('kept')).tar())  # the next that writes sweeps
        if self.names() == ['keep:latest']:
            self.assertEqual(self.assert_verified(self.home), self.kept)
        self.load('-', stdin=self.tar)
        self.assertEqual(self.assert_verified(self.home), self.clean | self.kept)
        self.assertEqual(self.names(), ['image:latest', 'keep:latest'])

    def kill(self, process, may_be_done: bool = False):
        process.send_signal(signal.SIGKILL)
        self.assertIn(process.wait(DEADLINE), (-signal.SIGKILL, 0) if may_be_done else (-signal.SIGKILL,))

    def test_while_the_archive_is_read(self):
        for part in (0.1, 0.5, 0.95):
            with self.subTest(part):
                process = self.home.popen('load', stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
                process.stdin.write(self.tar[:int(len(self.tar) * part)])
                process.stdin.flush()
                self.kill(process)
                process.stdin.close()
                self.assert_recovers([['keep:latest']])
                self.assertEqual(self.home.run('image', 'rm', 'image').returncode, 0)

    def test_when_something_has_just_reached_its_place(self):
        for folder in ('ingest', 'blobs/sha256', 'layers', 'images'):
            with self.subTest(folder), FileEvents(self.home.path / 'home' / folder) as events:
                process = self.home.popen('load', stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                feeder = threading.Thread(target=feed, args=(process.stdin, self.tar))
                feeder.start()
                events.wait_for_new(DEADLINE)
                self.kill(process, may_be_done=folder == 'images')
                feeder.join(DEADLINE)
                # Behind the last file there is only the record: it may have been written just before the kill.
                self.assert_recovers([['keep:latest']] + ([['image:latest', 'keep:latest']] if folder == 'images' else []))
                self.assertEqual(self.home.run('image', 'rm', 'image').returncode, 0)


def feed(pipe, data: bytes):
    try:
        with pipe:
            pipe.write(data)
    except BrokenPipeError:
        pass


class Interrupted(unittest.TestCase):
    """Ctrl-C and SIGTERM end a load and an import in an orderly way."""

    setUp = LoadCase.setUp

    def test_a_signal_leaves_nothing(self):
        tar = layout_of('image', layer('a', 2_000_000)).tar()
        # The first load makes the folders, to have something to watch.
        self.assertEqual(self.home.run('image', 'ls').returncode, 0)
        # An import is read by a thread that gets no signal.
        for verb, number in itertools.product((('load',), ('import', '-', 'a:1')), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
            with self.subTest(verb=verb, number=number), FileEvents(self.home.path / 'home/ingest') as events:
                process = self.home.popen(*verb, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                process.stdin.write(tar[:len(tar) // 2])
                process.stdin.flush()
                events.wait_for_new(DEADLINE)
                process.send_signal(number)
                # stdin stays open: the signal alone must end it.
                self.assertNotEqual(process.wait(DEADLINE), 0)
                self.assertIn(b'interrupted', process.stderr.read())
                process.stdin.close()
                process.stdout.close()
                process.stderr.close()
                self.assertEqual(store_files(self.home), {})


class DiskFull(unittest.TestCase):
    """ENOSPC, on a tmpfs of its own: the error names it, and nothing is left."""

    def test_at_every_size_that_is_too_small(self):
        need(self, 'root', os.geteuid() == 0, 'needs root, to mount a small tmpfs')
        tar = layout_of('image', layer('a', 1_000_000), layer('b', 1_000_000), packing='gzip').tar()
        # What fails first differs: the archive's blobs, a layer's data, the metadata; at last it fits.
        seen = set()
        for kib in (256, 1024, 2500, 3500, 4100, 4300, 6000):
            with self.subTest(kib), Tmpfs(kib) as small, Home(image=False, directory=small) as home:
                result = home.run('image', 'load', stdin=tar)
                seen.add(result.returncode)
                if result.returncode == 0:
                    self.assertEqual(len(home.json('image', 'ls', '--json')), 1)
                    continue
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(b'No space left on device', result.stderr)
                self.assertIn(b'DIATOM_HOME', result.stderr)
                self.assertEqual(store_files(home), {})
                self.assertEqual(home.json('image', 'ls', '--json'), [])
        self.assertEqual(seen, {0, 1})


class Tmpfs:
    def __init__(self, kib: int):
        self.size = kib

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='diatom-small-')
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={self.size}k', 'tmpfs', self.path], check=True, timeout=DEADLINE)
        return self.path

    def __exit__(self, *_):
        subprocess.run(['umount', self.path], check=True, timeout=DEADLINE)
        os.rmdir(self.path)


if __name__ == '__main__':
    main()
