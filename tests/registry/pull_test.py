#!/usr/bin/env python3
"""Pulling by every kind of name, in every format that registries hold, for every platform."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, main  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import ARCH, OTHER_ARCH, layer, noise  # noqa: E402


class PullByName(RegistryTest):
    @classmethod
    def push_images(cls):
        cls.v1 = cls.layout.image('v1', [layer({'etc/version': b'1'})])
        cls.v2 = cls.layout.image('v2', [layer({'etc/version': b'2'})])
        cls.push('v1', 'team/app:v1')
        cls.push('v2', 'team/app:v2')
        cls.push('v2', 'team/app:latest')
        cls.push('v1', 'library/short:latest')
        cls.push('v2', 'behind/prefix/library/short:latest')

    @property
    def app(self):
        return f'{self.proxy.host}/team/app'

    def test_a_tag(self):
        out = self.diatom('pull', f'{self.app}:v1').stdout.decode()
        info = self.assert_is(f'{self.app}:v1', self.v1)
        self.assertEqual(info['RepoTags'], [f'{self.app}:v1'])
        self.assertEqual(info['RepoDigests'], [f'{self.app}@{self.v1.manifest.digest}'])
        self.assertEqual(self.content(f'{self.app}:v1', 'etc/version'), b'1')
        # docker's last lines, which scripts read
        self.assertEqual(out.splitlines()[-3:], [f'Digest: {self.v1.manifest.digest}',
                                                 f'Status: Downloaded newer image for {self.app}:v1', f'{self.app}:v1'])

    def test_no_tag_is_latest(self):
        self.diatom('image', 'pull', self.app)
        self.assert_is(f'{self.app}:latest', self.v2)

    def test_what_is_there_is_up_to_date(self):
        self.diatom('pull', f'{self.app}:v1')
        out = self.diatom('pull', f'{self.app}:v1').stdout.decode()
        self.assertIn(f'Status: Image is up to date for {self.app}:v1', out)
        self.assertEqual(len(self.here()), 1)

    def test_quiet_prints_the_reference_alone(self):
        self.assertEqual(self.diatom('pull', '-q', f'{self.app}:v1').stdout.decode(), f'{self.app}:v1\n')

    def test_a_digest(self):
        name = f'{self.app}@{self.v1.manifest.digest}'
        self.diatom('pull', name)
        info = self.assert_is(name, self.v1)
        self.assertEqual((info['RepoTags'], info['RepoDigests']), ([], [name]))

    def test_with_tag_and_digest_the_digest_counts(self):
        self.diatom('pull', f'{self.app}:v2@{self.v1.manifest.digest}')
        self.assert_is(f'{self.app}@{self.v1.manifest.digest}', self.v1)

    def test_a_tag_and_its_digest_are_one_image(self):
        self.diatom('pull', f'{self.app}:v1')
        self.proxy.forget()
        self.diatom('pull', f'{self.app}@{self.v1.manifest.digest}')
        self.assertEqual(len(self.here()), 1)
        self.assertEqual(self.proxy.blob_requests(), [])

    def test_what_is_not_there_is_named(self):
        cases = [(f'{self.app}:v9', 'v9'), (f'{self.proxy.host}/team/none', 'team/none'),
                 (f'{self.app}@sha256:{"0" * 64}', '0' * 64)]
        for name, part in cases:
            with self.subTest(name):
                self.refused('pull', name, naming=(self.proxy.host, part))
        self.assert_nothing_here()

    def test_a_bad_name_asks_nobody(self):
        for name in ('UPPER/Case:x', f'{self.app}:', f'{self.app}@sha256:12', 'a//b', '', '-x/y'):
            with self.subTest(name):
                self.assertNotEqual(self.home.run('pull', '--', name).returncode, 0)
        self.assertEqual(self.proxy.asked(), [])

    def test_every_tag(self):
        self.diatom('pull', '--all-tags', self.app)
        tags = {tag for id in self.here() for tag in self.inspect(id)['RepoTags']}
        self.assertEqual(tags, {f'{self.app}:v1', f'{self.app}:v2', f'{self.app}:latest'})
        self.refused('pull', '--all-tags', f'{self.app}:v1')

    def test_short_names_are_docker_hubs(self):
        self.home.mirrors('docker.io', self.proxy.url)
        for name in ('short', 'docker.io/short', 'library/short', 'docker.io/library/short:latest', 'index.docker.io/short'):
            with self.subTest(name):
                self.diatom('pull', name)
                self.assertEqual(self.inspect(name)['RepoTags'], ['short:latest'])
        self.home.mirrors('docker.io', self.proxy.url)
        self.assertEqual({r.path.split('?')[0].split('/manifests/')[0] for r in self.proxy.asked(path='/manifests/')},
                         {'/v2/library/short'})

    def test_a_mirror_may_sit_below_a_path(self):
        self.home.mirrors('docker.io', self.proxy.url + '/behind/prefix')
        self.diatom('pull', 'short')
        self.assert_is('short', self.v2)

    def test_localhost_is_a_registry_too(self):
        name = f'localhost:{self.proxy.port}/team/app:v1'
        self.diatom('pull', name)
        self.assertEqual(self.inspect(name)['RepoTags'], [name])

    def test_progress_as_json_lines(self):
        lines = self.diatom('pull', '--progress=json', f'{self.app}:v1').stdout.decode().splitlines()
        events = [json.loads(line) for line in lines if line.startswith('{')]
        self.assertIn(self.v1.layers[0].digest.removeprefix('sha256:')[:12], {event.get('id') for event in events})


class Formats(RegistryTest):
    """Each packing, each document type: the same root file system comes out."""

    @classmethod
    def push_images(cls):
        cls.files = {'usr/bin/tool': noise(70_000, 1), 'etc/conf': b'text ' * 5000}
        cls.tars = [layer({'etc/conf': b'old', 'base': b'b'}), layer(cls.files)]
        cls.images = {packing: cls.layout.image(packing, cls.tars, packing) for packing in ('gzip', 'zstd', 'plain')}
        for packing in cls.images:
            cls.push(packing, f'oci:{packing}')
        cls.push('gzip', 'docker:gzip', '--format', 'v2s2')
        cls.index = cls.layout.index('index', [cls.images['zstd']])
        cls.push('index', 'oci:index')
        cls.empty = cls.layout.image('empty', [])
        cls.push('empty', 'oci:empty')

    def check(self, name: str, image):
        self.diatom('pull', f'{self.proxy.host}/{name}')
        self.assert_is(f'{self.proxy.host}/{name}', image)
        for path, data in self.files.items():
            self.assertEqual(self.content(f'{self.proxy.host}/{name}', path), data)
        self.assertEqual(self.content(f'{self.proxy.host}/{name}', 'base'), b'b')

    def test_oci_with_each_packing(self):
        for packing, image in self.images.items():
            with self.subTest(packing):
                self.check(f'oci:{packing}', image)

    def test_dockers_documents(self):
        self.assertEqual(self.registry.inspect('docker:gzip', '--raw')['mediaType'],
                         'application/vnd.docker.distribution.manifest.v2+json')
        name = f'{self.proxy.host}/docker:gzip'
        self.diatom('pull', name)
        info = self.inspect(name)
        self.assertEqual(info['RootFS']['Layers'], self.images['gzip'].diff_ids)
        self.assertEqual(info['RepoDigests'], [f'{self.proxy.host}/docker@{self.registry.digest("docker:gzip")}'])
        self.assertEqual(self.content(name, 'usr/bin/tool'), self.files['usr/bin/tool'])

    def test_an_index_of_one(self):
        self.check('oci:index', self.images['zstd'])
        info = self.inspect(f'{self.proxy.host}/oci:index')
        # What the registry calls it is the index, as docker has it.
        self.assertIn(f'{self.proxy.host}/oci@{self.index.digest}', info['RepoDigests'])

    def test_an_image_without_layers(self):
        self.diatom('pull', f'{self.proxy.host}/oci:empty')
        self.assert_is(f'{self.proxy.host}/oci:empty', self.empty)


class Platforms(RegistryTest):
    @classmethod
    def push_images(cls):
        wanted = [(ARCH, ''), (OTHER_ARCH, ''), ('arm', 'v6'), ('arm', 'v7'), ('riscv64', '')]
        cls.images = {f'linux/{arch}' + (f'/{variant}' if variant else ''):
                      cls.layout.image(arch + variant, [layer({'arch': (arch + variant).encode()})], arch=arch, variant=variant)
                      for arch, variant in wanted}
        # What buildx puts beside its images: not an image of any platform.
        attestation = cls.layout.image('attestation', [layer({'attestation': b''})], arch='unknown')
        attestation.platform['os'] = 'unknown'
        cls.index = cls.layout.index('all', [attestation, *cls.images.values()])
        cls.push('all', 'app:oci')
        cls.push('armv6', 'single:armv6')
        cls.layout.index('plain', list(cls.images.values()))
        cls.push('plain', 'app:docker', '--format', 'v2s2')

    def pull(self, platform: str, tag: str = 'oci') -> dict:
        name = f'{self.proxy.host}/app:{tag}'
        self.diatom('pull', *(['--platform', platform] if platform else []), name)
        return self.inspect(name)

    def test_the_hosts_own_when_nothing_is_said(self):
        self.assertEqual(self.pull('')['Id'], self.images[f'linux/{ARCH}'].id)

    def test_the_one_that_is_asked_for(self):
        cases = [('linux/arm/v6', 'linux/arm/v6'), ('linux/arm/v7', 'linux/arm/v7'), ('riscv64', 'linux/riscv64'),
                 (f'linux/{OTHER_ARCH}', f'linux/{OTHER_ARCH}'), ('linux/arm', 'linux/arm/v7'), ('linux/x86_64', 'linux/amd64'),
                 ('linux/aarch64', 'linux/arm64'), ('linux/arm64/v8', 'linux/arm64'), ('linux/arm/v8', 'linux/arm/v7')]
        for asked, got in cases:
            with self.subTest(asked):
                self.assertEqual(self.pull(asked)['Id'], self.images[got].id)

    def test_only_its_blobs_are_fetched(self):
        self.pull('linux/arm/v6')
        image = self.images['linux/arm/v6']
        fetched = {r.path.rsplit('/', 1)[1] for r in self.proxy.blob_requests()}
        self.assertEqual(fetched, {image.config.digest, image.layers[0].digest})

    def test_dockers_list(self):
        info = self.pull('linux/arm/v7', 'docker')
        self.assertEqual((info['Architecture'], info.get('Variant'), info['RootFS']['Layers']),
                         ('arm', 'v7', self.images['linux/arm/v7'].diff_ids))

    def test_when_none_fits_the_error_says_what_there_is(self):
        said = self.refused('pull', '--platform', 'linux/s390x', f'{self.proxy.host}/app:oci',
                            naming=('linux/s390x', 'linux/arm/v6', f'linux/{OTHER_ARCH}', 'linux/riscv64'))
        self.assertNotIn('unknown/unknown', said)
        # v5 cannot run what was made for v6.
        self.refused('pull', '--platform', 'linux/arm/v5', f'{self.proxy.host}/app:oci', naming=('linux/arm/v5',))
        self.assert_nothing_here()

    def test_an_image_of_one_platform_is_checked_too(self):
        self.refused('pull', '--platform', f'linux/{OTHER_ARCH}', f'{self.proxy.host}/single:armv6', naming=('linux/arm/v6',))
        self.assert_nothing_here()

    def test_a_platform_that_is_none(self):
        for text in ('linux/', 'a/b/c/d', 'li nux/amd64', '/'):
            with self.subTest(text):
                self.refused('pull', '--platform', text, f'{self.proxy.host}/app:oci', naming=(text,))
        self.assertEqual(self.proxy.asked(), [])

    def test_another_platform_replaces_the_first(self):
        first = self.pull('linux/arm/v6')
        second = self.pull('linux/arm/v7')
        self.assertNotEqual(first['Id'], second['Id'])
        self.assertEqual(self.inspect(first['Id'])['RepoTags'], [])


class Memory(RegistryTest):
    """The promise of the issue: at most 128 MiB, whatever the image."""

    @classmethod
    def push_images(cls):
        cls.layout.image('large', [layer({'zeros': bytes(120_000_000)}), layer({'packed': bytes(100_000_000), 'a': b'a'})])
        cls.layout.image('noise', [layer({'noise': noise(1_000_000, 1) * 100}), layer({'more': noise(1_000_000, 2) * 80})], 'plain')
        cls.layout.image('many', [layer({f'd{n % 100}/f{i}-{n}': b'%d' % n for n in range(8_000)}) for i in range(3)], 'zstd')
        for tag in ('large', 'noise', 'many'):
            cls.push(tag)

    def test_is_bounded_whatever_the_image(self):
        for tag in ('large', 'noise', 'many'):
            with self.subTest(tag):
                # By a small process: a child's peak counts what its parent had when it forked.
                script = ('import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); '
                          'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)')
                command = [sys.executable, '-c', script, *self.home.command('pull', f'{self.registry.host}/{tag}')]
                result = subprocess.run(command, env=self.home.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertLess(int(result.stdout), 128 << 10)


if __name__ == '__main__':
    main()
