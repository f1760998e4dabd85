#!/usr/bin/env python3
"""Images to files and back: save, load, import; skopeo and umoci say whether the files are what they should be."""
import gzip
import io
import json
import os
import pathlib
import pty
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, main  # noqa: E402
from registry import skopeo  # noqa: E402
from registry_case import RegistryTest, UserHome  # noqa: E402
from registry_images import ARCH, layer, noise  # noqa: E402


def read_json(tar: pathlib.Path, name: str):
    with tarfile.open(tar) as archive:
        return json.load(archive.extractfile(name))


class Save(RegistryTest):
    @classmethod
    def push_images(cls):
        base = layer({'etc/base': noise(40_000, 1)})
        cls.one = cls.layout.image('one', [base, layer({'etc/one': b'one'})])
        cls.two = cls.layout.image('two', [base, layer({'etc/two': b'two'})], 'zstd')
        for tag in ('one', 'two'):
            cls.push(tag, f'team/{tag}:v1')

    def setUp(self):
        super().setUp()
        self.saved = self.home.path / 'saved.tar'
        for tag in ('one', 'two'):
            self.diatom('pull', f'{self.proxy.host}/team/{tag}:v1')
            self.diatom('tag', f'{self.proxy.host}/team/{tag}:v1', f'{tag}:v1')

    def save(self, *names: str):
        self.diatom('save', '-o', self.saved, *names)
        return self.saved

    def check_docker_archive(self, source: str, image):
        """skopeo reads it as `docker save`'s: the same config, the same contents of layers."""
        copied = self.home.path / f'copied-{source.replace("/", "-")}'
        skopeo('copy', f'docker-archive:{self.saved}{source}', f'dir:{copied}')
        manifest = json.loads((copied / 'manifest.json').read_text())
        self.assertEqual(manifest['config']['digest'], image.id)
        config = json.loads((copied / image.id.removeprefix('sha256:')).read_text())
        self.assertEqual(config['rootfs']['diff_ids'], image.diff_ids)

    def test_skopeo_reads_it_as_a_docker_archive(self):
        for tag, image in (('one', self.one), ('two', self.two)):
            with self.subTest(tag):
                self.save(f'{tag}:v1')
                self.check_docker_archive('', image)
                self.check_docker_archive(f':{tag}:v1', image)

    def test_skopeo_reads_it_as_an_oci_archive(self):
        for tag, image in (('one', self.one), ('two', self.two)):
            with self.subTest(tag):
                self.save(f'{tag}:v1')
                copied = self.home.path / f'copied-{tag}'
                skopeo('copy', f'oci-archive:{self.saved}', f'oci:{copied}:x')
                [descriptor] = json.loads((copied / 'index.json').read_text())['manifests']
                self.assertEqual(descriptor['digest'], image.manifest.digest)

    def test_umoci_unpacks_the_same_files(self):
        self.save('one:v1')
        folder = self.home.path / 'layout'
        with tarfile.open(self.saved) as archive:
            archive.extractall(folder)
        [descriptor] = json.loads((folder / 'index.json').read_text())['manifests']
        tag = descriptor['annotations']['org.opencontainers.image.ref.name']
        bundle = self.home.path / 'bundle'
        subprocess.run(['umoci', 'unpack', '--rootless', '--image', f'{folder}:{tag}', bundle], check=True,
                       capture_output=True, timeout=DEADLINE)
        for path in ('etc/base', 'etc/one'):
            self.assertEqual((bundle / 'rootfs' / path).read_bytes(), self.content('one:v1', path))

    def test_another_home_loads_the_same_image(self):
        self.save('one:v1')
        with UserHome() as other:
            out = self.diatom('load', '-i', self.saved, home=other).stdout.decode()
            self.assertIn('Loaded image: one:v1', out)
            info = self.assert_is('one:v1', self.one, other)
            self.assertEqual(info['RepoTags'], ['one:v1'])

    def test_through_a_pipe(self):
        saved = self.diatom('save', 'one:v1').stdout
        with UserHome() as other:
            self.diatom('load', home=other, stdin=saved)
            self.assert_is('one:v1', self.one, other)
            self.diatom('rmi', 'one:v1', home=other)
            self.diatom('image', 'load', home=other, stdin=gzip.compress(saved, 1))
            self.assert_is('one:v1', self.one, other)

    def test_several_images_share_their_blobs(self):
        again = self.layout.image('again', [layer({'etc/base': noise(40_000, 1)})])
        self.push('again', 'team/again:v1')
        self.diatom('pull', f'{self.proxy.host}/team/again:v1')
        self.save('one:v1', 'two:v1', f'{self.proxy.host}/team/again:v1')
        with tarfile.open(self.saved) as archive:
            names = archive.getnames()
        self.assertEqual(len(names), len(set(names)))
        blobs = {name for name in names if name.startswith('blobs/sha256/') and len(name) > 70}
        for image in (self.one, self.two, again):
            for blob in (image.manifest, image.config, *image.layers):
                self.assertIn('blobs/' + blob.digest.replace(':', '/'), blobs)
        self.assertEqual(self.one.layers[0], again.layers[0])
        tags = [entry['RepoTags'] for entry in read_json(self.saved, 'manifest.json')]
        self.assertEqual(tags, [['one:v1'], ['two:v1'], [f'{self.proxy.host}/team/again:v1']])
        with UserHome() as other:
            self.diatom('load', '-i', self.saved, home=other)
            self.assert_is('one:v1', self.one, other)
            self.assert_is('two:v1', self.two, other)

    def test_two_names_of_one_image(self):
        self.save('one:v1', f'{self.proxy.host}/team/one:v1')
        [entry] = read_json(self.saved, 'manifest.json')
        self.assertEqual(set(entry['RepoTags']), {'one:v1', f'{self.proxy.host}/team/one:v1'})

    def test_by_id_it_has_no_name(self):
        self.save(self.one.id)
        with UserHome() as other:
            out = self.diatom('load', '-i', self.saved, home=other).stdout.decode()
            self.assertEqual(out, f'Loaded image ID: {self.one.id}\n')
            self.assertEqual(self.inspect(self.one.id, other)['RepoTags'], [])

    def test_the_same_image_is_the_same_bytes(self):
        first = self.save('one:v1', 'two:v1').read_bytes()
        self.assertEqual(self.save('one:v1', 'two:v1').read_bytes(), first)

    def test_what_fails_leaves_no_file(self):
        self.refused('save', '-o', self.saved, 'one:v1', 'none:v1', naming=('none:v1',))
        self.assertFalse(self.saved.exists())
        self.saved.write_text('precious')
        self.refused('save', '-o', self.saved, 'none:v1')
        self.assertEqual(self.saved.read_text(), 'precious')
        self.refused('save', '-o', self.home.path / 'no/such/folder.tar', 'one:v1', naming=('folder.tar',))

    def test_a_terminal_gets_no_archive(self):
        master, slave = pty.openpty()
        try:
            result = subprocess.run(self.home.command('save', 'one:v1'), env=self.home.env, stdin=subprocess.DEVNULL,
                                    stdout=slave, stderr=subprocess.PIPE, timeout=DEADLINE)
            self.assertEqual(result.returncode, 1)
            self.assertIn(b'terminal', result.stderr)
        finally:
            os.close(slave)
            os.close(master)

    def test_a_reader_that_goes_away_ends_it(self):
        process = self.home.popen('save', 'one:v1', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        process.stderr.read()
        process.stderr.close()
        self.assertNotEqual(process.wait(DEADLINE), 0)

    def test_what_skopeo_writes_is_loaded(self):
        archive = self.home.path / 'by-skopeo.tar'
        skopeo('copy', f'oci:{self.layout.folder}:one', f'docker-archive:{archive}:renamed:v2')
        with UserHome() as other:
            self.diatom('load', '-i', archive, home=other)
            self.assertEqual(self.inspect('renamed:v2', other)['RootFS']['Layers'], self.one.diff_ids)


class Import(RegistryTest):
    def tar(self, packing: str = '') -> pathlib.Path:
        tar = layer({'bin/tool': b'tool', 'etc/name': b'name'})
        path = self.home.path / f'root.tar{packing}'
        if packing == '.zst':
            tar = subprocess.run(['zstd', '-q', '-c'], input=tar, stdout=subprocess.PIPE, check=True, timeout=30).stdout
        path.write_bytes(gzip.compress(tar) if packing == '.gz' else tar)
        return path

    def test_a_file_in_each_packing(self):
        ids = set()
        for packing in ('', '.gz', '.zst'):
            with self.subTest(packing):
                out = self.diatom('import', self.tar(packing), f'made{packing[1:]}:v1').stdout.decode()
                info = self.inspect(f'made{packing[1:]}:v1')
                self.assertEqual(out, info['Id'] + '\n')
                self.assertEqual((info['Architecture'], info['Os'], info['RepoTags']), (ARCH, 'linux', [f'made{packing[1:]}:v1']))
                self.assertEqual(self.content(info['Id'], 'bin/tool'), b'tool')
                ids |= set(info['RootFS']['Layers'])
        self.assertEqual(len(ids), 1)

    def test_from_standard_input_without_a_name(self):
        id = self.diatom('image', 'import', '-', stdin=self.tar().read_bytes()).stdout.decode().strip()
        self.assertEqual(self.inspect(id)['RepoTags'], [])
        self.assertEqual(self.content(id, 'etc/name'), b'name')

    def test_changes_and_message(self):
        changes = ['CMD ["/bin/tool", "a b"]', 'ENTRYPOINT ["/bin/entry"]', 'ENV A=1 B="two words"', 'ENV C three', 'EXPOSE 80/tcp 53/udp',
                   'EXPOSE 443', 'LABEL one=1 "two words"="x y"', 'STOPSIGNAL SIGQUIT', 'USER 1000:1000', 'VOLUME /data', 'VOLUME ["/a b"]',
                   'WORKDIR /work', 'ONBUILD RUN x']
        words = [word for change in changes for word in ('--change', change)]
        self.diatom('import', *words, '-m', 'made by a test', self.tar(), 'made:v1')
        config = self.inspect('made:v1')['Config']
        expected = {'Cmd': ['/bin/tool', 'a b'], 'Entrypoint': ['/bin/entry'], 'ExposedPorts': {'80/tcp': {}, '53/udp': {}, '443/tcp': {}},
                    'Labels': {'one': '1', 'two words': 'x y'}, 'StopSignal': 'SIGQUIT', 'User': '1000:1000',
                    'Volumes': {'/data': {}, '/a b': {}}, 'WorkingDir': '/work', 'OnBuild': ['RUN x']}
        for key, value in expected.items():
            self.assertEqual(config.get(key), value, key)
        self.assertLessEqual({'A=1', 'B=two words', 'C=three'}, set(config['Env']))
        [entry] = [json.loads(line) for line in self.diatom('history', '--format', '{{json .}}', 'made:v1').stdout.splitlines()]
        self.assertEqual(entry['Comment'], 'made by a test')

    def test_the_shells_form_of_a_command(self):
        self.diatom('import', '-c', 'cmd echo hello', self.tar(), 'made:v1')
        self.assertEqual(self.inspect('made:v1')['Config']['Cmd'], ['/bin/sh', '-c', 'echo hello'])

    def test_a_change_that_is_none(self):
        for change in ('RUN make', 'FROM x', 'EXPOSE port', 'ENV', ''):
            with self.subTest(change):
                self.refused('import', '-c', change, self.tar(), 'made:v1')
        self.assert_nothing_here()

    def test_what_is_no_tar(self):
        path = self.home.path / 'noise'
        self.home.run('images')
        empty = self.home.files()
        for data in (noise(5000, 1), self.tar().read_bytes()[:700], gzip.compress(self.tar().read_bytes())[:-10]):
            path.write_bytes(data)
            self.refused('import', path, 'made:v1')
        self.refused('import', self.home.path / 'none.tar', 'made:v1', naming=('none.tar',))
        self.assert_nothing_here()
        self.assertEqual(self.home.files(), empty)

    def test_another_platform(self):
        self.diatom('import', '--platform', 'linux/arm/v7', self.tar(), 'made:v1')
        info = self.inspect('made:v1')
        self.assertEqual((info['Architecture'], info['Variant'], info['Os']), ('arm', 'v7', 'linux'))

    def test_skopeo_and_umoci_read_what_was_imported(self):
        self.diatom('import', self.tar(), 'made:v1')
        saved = io.BytesIO(self.diatom('save', 'made:v1').stdout)
        folder = self.home.path / 'layout'
        with tarfile.open(fileobj=saved) as archive:
            archive.extractall(folder)
        skopeo('copy', f'oci:{folder}', f'dir:{self.home.path}/copied')
        config = json.loads(skopeo('inspect', '--config', f'oci:{folder}'))
        self.assertEqual(config['rootfs']['diff_ids'], self.inspect('made:v1')['RootFS']['Layers'])


if __name__ == '__main__':
    main()
