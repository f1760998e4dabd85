#!/usr/bin/env python3
"""Pushing: the very bytes that were pulled or loaded, and no more of them than the registry lacks."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import main  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from http_server import closed_port  # noqa: E402
from registry import Registry, skopeo  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import Layout, layer, noise  # noqa: E402


class PushTest(RegistryTest):
    """`self.target` is a second registry, empty in each test, behind a proxy (`self.way`)."""

    @classmethod
    def push_images(cls):
        cls.base = layer({'base': noise(60_000, 1)})
        cls.images = {packing: cls.layout.image(packing, [cls.base, layer({'name': packing.encode()})], packing)
                      for packing in ('gzip', 'zstd', 'plain')}
        for packing in cls.images:
            cls.push(packing, f'app:{packing}')
        cls.push('gzip', 'app:docker', '--format', 'v2s2')
        cls.index = cls.layout.index('index', [cls.images['gzip']])
        cls.push('index', 'app:index')

    def setUp(self):
        super().setUp()
        self.target = self.make_target()
        self.addCleanup(self.target.close)
        self.way = FaultProxy(self.target.host)
        self.addCleanup(self.way.close)

    def make_target(self) -> Registry:
        return Registry()

    def pulled_as(self, name: str, target: str) -> str:
        """Pulls app:NAME and names it so that it goes to the target's TARGET."""
        self.diatom('pull', f'{self.registry.host}/app:{name}')
        new = f'{self.way.host}/{target}'
        self.diatom('tag', f'{self.registry.host}/app:{name}', new)
        return new

    def sent(self) -> list:
        """The requests that carried a blob."""
        return [r for r in self.way.asked(path='/blobs/uploads/') if r.method in ('PUT', 'PATCH')]


class Push(PushTest):
    def test_what_was_pulled_arrives_as_the_same_bytes(self):
        for name in ('gzip', 'zstd', 'plain', 'docker'):
            with self.subTest(name):
                new = self.pulled_as(name, f'copy/{name}:v1')
                out = self.diatom('push', new).stdout.decode()
                digest = self.registry.digest(f'app:{name}')
                self.assertEqual(self.target.digest(f'copy/{name}:v1'), digest)
                self.assertRegex(out.splitlines()[-1], rf'^v1: digest: {digest} size: \d+$')
                # skopeo reads it whole, and checks each blob.
                skopeo('copy', '--src-tls-verify=false', f'docker://{self.target.host}/copy/{name}:v1',
                       f'dir:{self.home.path}/copied-{name}')
                self.assertIn(f'{self.way.host}/copy/{name}@{digest}', self.inspect(new)['RepoDigests'])

    def test_skopeo_inspect_agrees(self):
        self.diatom('push', self.pulled_as('gzip', 'copy:v1'))
        there, here = self.target.inspect('copy:v1'), self.images['gzip']
        self.assertEqual((there['Digest'], there['Layers']), (here.manifest.digest, [blob.digest for blob in here.layers]))

    def test_of_an_index_our_platforms_manifest_is_pushed(self):
        self.diatom('push', self.pulled_as('index', 'copy:v1'))
        self.assertEqual(self.target.digest('copy:v1'), self.images['gzip'].manifest.digest)

    def test_quiet_prints_the_reference_alone(self):
        new = self.pulled_as('gzip', 'copy:v1')
        self.assertEqual(self.diatom('push', '-q', new).stdout.decode(), new + '\n')

    def test_what_is_there_is_not_sent_again(self):
        new = self.pulled_as('gzip', 'copy:v1')
        self.diatom('push', new)
        self.assertTrue(self.sent())
        self.way.forget()
        self.diatom('push', new)
        self.assertEqual((self.sent(), self.way.asked('POST')), ([], []))
        self.assertEqual({r.path.rsplit('/', 1)[1] for r in self.way.asked('HEAD', '/blobs/')},
                         {blob.digest for blob in (self.images['gzip'].config, *self.images['gzip'].layers)})

    def test_of_an_image_that_shares_layers_only_the_new_ones_are_sent(self):
        other = self.layout.image('other', [self.base, layer({'name': b'other'})])
        self.push('other', 'app:other')
        self.diatom('push', self.pulled_as('gzip', 'copy:v1'))
        self.way.forget()
        self.diatom('push', self.pulled_as('other', 'copy:v2'))
        sent = {r.path.partition('digest=')[2].replace('%3A', ':').partition('&')[0] for r in self.sent() if r.method == 'PUT'}
        self.assertEqual(sent, {other.config.digest, other.layers[1].digest})

    def test_another_repository_lends_its_blobs(self):
        self.diatom('push', self.pulled_as('gzip', 'copy:v1'))
        self.way.forget()
        new = f'{self.way.host}/other/place:v1'
        self.diatom('tag', f'{self.way.host}/copy:v1', new)
        self.diatom('push', new)
        mounts = [r for r in self.way.asked('POST') if 'mount=sha256' in r.path and 'from=copy' in r.path]
        self.assertGreaterEqual(len(mounts), 2)
        self.assertEqual({r.status for r in mounts}, {201})
        self.assertEqual([r for r in self.sent() if self.images['gzip'].layers[0].digest in r.path.replace('%3A', ':')], [])
        self.assertEqual(self.target.digest('other/place:v1'), self.images['gzip'].manifest.digest)

    def test_a_registry_that_lends_nothing_gets_the_bytes(self):
        self.diatom('push', self.pulled_as('gzip', 'copy:v1'))
        new = f'{self.way.host}/other:v1'
        self.diatom('tag', f'{self.way.host}/copy:v1', new)
        self.way.without_mounts = True
        self.diatom('push', new)
        self.assertEqual(self.target.digest('other:v1'), self.images['gzip'].manifest.digest)

    def test_an_upload_that_is_sent_elsewhere_arrives_there_whole(self):
        elsewhere = FaultProxy(self.target.host)
        self.addCleanup(elsewhere.close)
        for number, (on, status) in enumerate((('PUT .*/blobs/', 307), ('PUT .*/blobs/', 308), ('(PUT|POST) ', 308))):
            with self.subTest(on=on, status=status):
                self.way.heal()
                elsewhere.forget()
                new = self.pulled_as('gzip', f'moved{number}:v1')
                self.way.without_mounts = elsewhere.without_mounts = True  # what is there already is sent again
                self.way.add(on, redirect=elsewhere.url, status=status)
                self.diatom('push', new)
                self.assertEqual(len(elsewhere.asked('PUT', '/blobs/uploads/')), 3)
                self.assertEqual(self.target.digest(f'moved{number}:v1'), self.images['gzip'].manifest.digest)

    def test_an_upload_follows_no_redirect_that_makes_it_a_get(self):
        elsewhere = FaultProxy(self.target.host)
        self.addCleanup(elsewhere.close)
        for status in (301, 302, 303):
            with self.subTest(status):
                self.way.heal()
                self.way.add('POST ', redirect=elsewhere.url, status=status)
                self.refused('push', self.pulled_as('gzip', 'copy:v1'), naming=(str(status),))
                self.assertEqual(elsewhere.asked(), [])

    def test_uploads_that_are_sent_on_for_ever(self):
        self.way.add('POST ', redirect=self.way.url, status=307)
        self.assertIn('one too many', self.refused('push', self.pulled_as('gzip', 'copy:v1'), naming=(self.way.host,)))

    def test_what_fails_at_first_is_sent_again(self):
        cases = ('POST .*/blobs/uploads', 'PUT .*/blobs/uploads', 'PUT .*/manifests/', 'HEAD .*/blobs/')
        for number, on in enumerate(cases):
            with self.subTest(on):
                self.way.heal()
                self.way.add(on, status=503, times=1)
                self.diatom('push', self.pulled_as('gzip', f'copy{number}:v1'), timeout=60)
                self.assertEqual(self.target.digest(f'copy{number}:v1'), self.images['gzip'].manifest.digest)

    def test_relative_locations(self):
        self.way.relative_locations = True
        self.diatom('push', self.pulled_as('gzip', 'copy:v1'))
        self.assertEqual(self.target.digest('copy:v1'), self.images['gzip'].manifest.digest)

    def test_what_the_registry_refuses_is_not_tried_again(self):
        self.way.add('PUT .*/manifests/', status=400, body=b'{"errors":[{"code":"X","message":"not on a Tuesday"}]}')
        self.refused('push', self.pulled_as('gzip', 'copy:v1'), naming=('not on a Tuesday', self.way.host))
        self.assertEqual(len(self.way.asked('PUT', '/manifests/')), 1)

    def test_a_digest_that_is_not_ours_is_noticed(self):
        self.way.add('PUT .*/manifests/', headers={'Docker-Content-Digest': 'sha256:' + '5' * 64})
        self.refused('push', self.pulled_as('gzip', 'copy:v1'), naming=(self.images['gzip'].manifest.digest,))

    def test_what_is_not_here_is_named(self):
        name = f'{self.way.host}/none:v1'
        self.refused('push', name, naming=(name,))
        self.assertEqual(self.way.asked(), [])

    def test_a_registry_that_is_not_there_is_named(self):
        self.diatom('pull', f'{self.registry.host}/app:gzip')
        gone = f'127.0.0.1:{closed_port()}/copy:v1'
        self.diatom('tag', f'{self.registry.host}/app:gzip', gone)
        self.refused('push', gone, naming=(gone.split('/')[0],), timeout=60)


class PushWithCredentials(PushTest):
    def make_target(self) -> Registry:
        return Registry(users={'ann': 'secret'})

    def test_without_them_the_error_says_what_to_do(self):
        self.refused('push', self.pulled_as('gzip', 'copy:v1'), naming=(self.way.host, f'diatom login {self.way.host}'))
        self.assertEqual(self.sent(), [])

    def test_with_them_it_arrives(self):
        new = self.pulled_as('gzip', 'copy:v1')
        self.diatom('push', '--creds', 'ann:secret', new)
        self.assertEqual(self.target.digest('copy:v1'), self.images['gzip'].manifest.digest)

    def test_after_login_it_arrives(self):
        self.diatom('login', '-u', 'ann', '--password-stdin', self.way.host, stdin=b'secret\n')
        self.diatom('push', self.pulled_as('gzip', 'copy:v1'))
        self.assertEqual(self.target.digest('copy:v1'), self.images['gzip'].manifest.digest)


class PushWhatWasMadeHere(PushTest):
    """Images that came from files: loaded, imported, saved and loaded again."""

    @classmethod
    def push_images(cls):
        super().push_images()
        cls.files = Layout(cls.folder / 'files')
        cls.loaded = cls.files.image('loaded:v1', [cls.base, layer({'x': b'loaded'})], 'zstd')

    def test_loaded(self):
        self.diatom('load', '-i', self.files.folder)
        self.diatom('tag', self.loaded.id, f'{self.way.host}/loaded:v1')
        self.diatom('push', f'{self.way.host}/loaded:v1')
        self.assertEqual(self.target.digest('loaded:v1'), self.loaded.manifest.digest)

    def test_imported(self):
        tar = self.home.path / 'root.tar'
        tar.write_bytes(layer({'etc/name': b'imported'}))
        self.diatom('import', '-c', 'CMD ["/bin/x"]', tar, f'{self.way.host}/imported:v1')
        self.diatom('push', f'{self.way.host}/imported:v1')
        config = json.loads(skopeo('inspect', '--config', '--tls-verify=false', f'docker://{self.target.host}/imported:v1'))
        self.assertEqual(config['config']['Cmd'], ['/bin/x'])
        skopeo('copy', '--src-tls-verify=false', f'docker://{self.target.host}/imported:v1', f'dir:{self.home.path}/copied')
        self.diatom('rmi', f'{self.way.host}/imported:v1')
        self.diatom('pull', f'{self.way.host}/imported:v1')
        self.assertEqual(self.content(f'{self.way.host}/imported:v1', 'etc/name'), b'imported')

    def test_saved_and_loaded_again(self):
        self.diatom('load', '-i', self.files.folder)
        self.diatom('save', '-o', self.home.path / 'saved.tar', 'loaded:v1')
        self.diatom('rmi', 'loaded:v1')
        self.diatom('load', '-i', self.home.path / 'saved.tar')
        self.diatom('tag', 'loaded:v1', f'{self.way.host}/again:v1')
        self.diatom('push', f'{self.way.host}/again:v1')
        self.assertEqual(self.target.digest('again:v1'), self.loaded.manifest.digest)


if __name__ == '__main__':
    main()
