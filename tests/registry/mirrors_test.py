#!/usr/bin/env python3
"""Mirrors: asked first, never trusted, never needed."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import main  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from http_server import closed_port  # noqa: E402
from registry import Registry  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import layer, noise  # noqa: E402


class Mirrors(RegistryTest):
    """`self.proxy` is the registry's own name; `self.mirror` another way to the same content."""

    @classmethod
    def make_registry(cls):
        return Registry(users={'ann': 'secret'})

    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({'a': noise(50_000, 1)}), layer({'b': noise(50_000, 2)})])
        cls.push('app')
        cls.copy = Registry()
        cls.addClassCleanup(cls.copy.close)
        cls.copy.push(cls.layout.folder, 'app', 'app')
        cls.mirror = FaultProxy(cls.copy.host)
        cls.addClassCleanup(cls.mirror.close)

    def setUp(self):
        super().setUp()
        self.mirror.heal()
        self.name = f'{self.proxy.host}/app:latest'
        self.home.mirrors(self.proxy.host, self.mirror.url)

    def pull(self, **more):
        self.diatom('pull', '--creds', 'ann:secret', self.name, timeout=60, **more)
        self.assert_is(self.name, self.image)

    def test_the_mirror_is_enough(self):
        self.pull()
        self.assertEqual(self.proxy.asked(), [])
        self.assertEqual(len(self.mirror.blob_requests()), 3)

    def test_the_mirror_does_not_hear_the_registrys_credentials(self):
        self.pull()
        self.assertEqual({r.authorization for r in self.mirror.asked()}, {None})

    def test_one_that_nobody_listens_on_falls_through(self):
        self.home.mirrors(self.proxy.host, f'http://127.0.0.1:{closed_port()}')
        self.pull()
        self.assertTrue(self.proxy.blob_requests())

    def test_they_are_asked_in_turn(self):
        self.home.mirrors(self.proxy.host, f'http://127.0.0.1:{closed_port()}', self.mirror.url)
        self.pull()
        self.assertEqual(self.proxy.asked(), [])

    def test_one_that_has_no_such_image_falls_through(self):
        for status in (404, 401, 403):
            with self.subTest(status):
                self.proxy.heal()
                self.mirror.heal()
                self.mirror.add('.', status=status)
                self.pull()
                self.diatom('rmi', self.name)
                self.assertTrue(self.proxy.blob_requests())

    def test_one_that_fails_falls_through(self):
        self.mirror.add('.', status=503)
        self.pull()
        self.assertTrue(self.proxy.blob_requests())

    def test_one_that_has_the_manifest_and_not_the_blobs_falls_through(self):
        self.mirror.add('/blobs/', status=404)
        self.pull()
        self.assertTrue(self.proxy.blob_requests())

    def test_one_that_alters_a_blob_is_not_believed(self):
        self.mirror.add('GET .*' + self.image.layers[0].digest, corrupt=20_000)
        result = self.home.run('pull', '--creds', 'ann:secret', self.name, timeout=60)
        if result.returncode == 0:
            self.assert_is(self.name, self.image)
        else:
            self.assertIn(self.image.layers[0].digest[7:19], result.stderr.decode())
            self.assert_nothing_here()

    def test_one_that_alters_the_manifest_of_a_digest_is_not_believed(self):
        name = f'{self.proxy.host}/app@{self.image.manifest.digest}'
        self.mirror.add('GET .*/manifests/', corrupt=30)
        result = self.home.run('pull', '--creds', 'ann:secret', name, timeout=60)
        if result.returncode == 0:
            self.assert_is(name, self.image)
        else:
            self.assertIn(self.image.manifest.digest[7:19], result.stderr.decode())
            self.assert_nothing_here()

    def test_a_push_does_not_go_to_mirrors(self):
        self.pull()
        self.mirror.heal()
        self.diatom('push', '--creds', 'ann:secret', self.name)
        self.assertEqual(self.mirror.asked(), [])

    def test_without_any_the_error_names_what_was_tried(self):
        self.mirror.add('.', status=404)
        said = self.refused('pull', '--creds', 'ann:secret', f'{self.proxy.host}/none:latest', naming=(self.proxy.host,))
        self.assertIn('none', said)

    def test_a_broken_file_is_named(self):
        (self.home.path / 'registries.json').write_text('{"registries": [')
        self.refused('pull', self.name, naming=('registries.json',))


if __name__ == '__main__':
    main()
