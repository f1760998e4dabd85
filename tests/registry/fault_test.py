#!/usr/bin/env python3
"""A network and a registry that break, stall and lie: what can be saved is, and digests always win."""
import email.utils
import hashlib
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import main  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import OCI, layer, noise  # noqa: E402

PULL_LIMIT = 60  # seconds, for what must not run into the limit of retries


def sha256(data: bytes) -> str:
    return 'sha256:' + hashlib.sha256(data).hexdigest()


class BrokenConnections(RegistryTest):
    @classmethod
    def push_images(cls):
        cls.data = noise(3_000_000, 1)
        cls.image = cls.layout.image('app', [layer({'small': noise(5_000, 2)}), layer({'big': cls.data})])
        cls.push('app')

    def setUp(self):
        super().setUp()
        self.name = f'{self.proxy.host}/app:latest'
        self.big = self.image.layers[1]

    def pull(self):
        self.diatom('pull', self.name, timeout=PULL_LIMIT)
        self.assert_is(self.name, self.image)
        self.assertEqual(self.content(self.name, 'big'), self.data)

    def test_a_blob_goes_on_where_it_broke(self):
        for cut in (0, 1, 4096, 1_000_000, self.big.size - 1):
            for reset in (False, True):
                with self.subTest(cut=cut, reset=reset):
                    self.proxy.heal()
                    self.proxy.add('GET .*' + self.big.digest, cut=cut, reset=reset, times=1)
                    self.pull()
                    self.assertLess(self.proxy.blob_bytes(self.big.digest), 2 * self.big.size)
                    requests = self.proxy.blob_requests(self.big.digest)
                    self.assertEqual(len(requests), 2)
                    if cut >= 4096 and not reset:  # RST may take with it what was on its way
                        self.assertEqual(requests[1].range, f'bytes={cut}-')
                    self.diatom('rmi', self.name)

    def test_a_blob_that_breaks_again_and_again_arrives_as_long_as_it_gets_on(self):
        self.proxy.add('GET .*' + self.big.digest, cut=700_000)
        self.pull()
        self.assertLess(self.proxy.blob_bytes(self.big.digest), 2 * self.big.size)

    def test_a_registry_without_ranges_sends_it_again(self):
        self.proxy.add('GET .*' + self.big.digest, cut=2_000_000, times=1, no_range=True)
        self.proxy.add('GET .*' + self.big.digest, no_range=True)
        self.pull()

    def test_what_ends_early_in_good_order_goes_on_too(self):
        self.proxy.add('GET .*' + self.big.digest, truncate=1000, times=1)
        self.pull()

    def test_the_config_is_asked_for_again(self):
        for on in ('GET .*' + self.image.config.digest,):
            for cut in (0, 50):
                with self.subTest(on=on, cut=cut):
                    self.proxy.heal()
                    self.proxy.add(on, cut=cut, times=1)
                    self.pull()
                    self.diatom('rmi', self.name)

    def test_a_slow_drip_arrives(self):
        self.proxy.add('GET .*' + self.image.layers[0].digest, drip=(500, 0.1))
        self.pull()

    def test_a_body_that_does_not_end_is_cut_off(self):
        self.proxy.add('GET .*' + self.big.digest, body=self.layout.read(self.big) + noise(1_000_000, 9))
        self.refused('pull', self.name, naming=(self.big.digest[7:19],), timeout=PULL_LIMIT)
        self.assert_nothing_here()


class Retries(RegistryTest):
    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({'a': noise(20_000, 1)})])
        cls.push('app')

    def setUp(self):
        super().setUp()
        self.name = f'{self.proxy.host}/app:latest'

    def test_what_fails_at_first_is_tried_again(self):
        for status in (500, 502, 503, 504):
            for on in ('/manifests/', 'GET .*/blobs/'):
                with self.subTest(status=status, on=on):
                    self.proxy.heal()
                    self.proxy.add(on, status=status, times=2)
                    self.diatom('pull', self.name, timeout=PULL_LIMIT)
                    self.assert_is(self.name, self.image)
                    self.diatom('rmi', self.name)

    def test_too_many_requests_waits_as_long_as_it_is_told(self):
        for told in (lambda: '2', lambda: email.utils.formatdate(time.time() + 10, usegmt=True)):
            with self.subTest(told()):
                self.proxy.heal()
                self.proxy.add('GET .*' + self.image.layers[0].digest, status=429, headers={'Retry-After': told()}, times=1)
                self.diatom('pull', self.name, timeout=PULL_LIMIT)
                first, second = self.proxy.blob_requests(self.image.layers[0].digest)
                self.assertGreaterEqual(second.at - first.at, 1.9)
                self.assertLess(second.at - first.at, 20)
                self.assert_is(self.name, self.image)
                self.diatom('rmi', self.name)

    def test_what_will_not_pass_by_itself_is_not_tried_again(self):
        for status in (400, 404, 403, 410):
            with self.subTest(status):
                self.proxy.heal()
                self.proxy.add('/manifests/', status=status)
                self.refused('pull', self.name, naming=(self.proxy.host, 'app'), timeout=PULL_LIMIT)
                self.assertLessEqual(len(self.proxy.asked(path='/manifests/')), 2)
        self.assert_nothing_here()

    def test_a_blob_that_is_not_there_is_named(self):
        self.proxy.add('GET .*' + self.image.layers[0].digest, status=404)
        self.refused('pull', self.name, naming=(self.image.layers[0].digest[7:19],), timeout=PULL_LIMIT)
        self.assert_nothing_here()

    def test_what_the_registry_says_is_passed_on(self):
        body = json.dumps({'errors': [{'code': 'DENIED', 'message': 'come back \x1b[31m tomorrow'}]}).encode()
        self.proxy.add('/manifests/', status=403, body=body, headers={'Content-Type': 'application/json'})
        said = self.refused('pull', self.name, naming=('tomorrow',))
        self.assertNotIn('\x1b', said)

    def test_redirects_in_a_circle_end(self):
        self.proxy.add('GET .*/blobs/', redirect=self.proxy.url)
        self.refused('pull', self.name, naming=(self.proxy.host,), timeout=PULL_LIMIT)
        self.assertLess(len(self.proxy.blob_requests()), 200)
        self.assert_nothing_here()


class FailsAtOnce(RegistryTest):
    def test_a_layer_that_cannot_be_had_ends_those_on_their_way(self):
        image = self.layout.image('app', [layer({'small': noise(200_000, 1)}), layer({'big': noise(400_000, 2)})])
        small, big = image.layers
        self.push('app')
        self.proxy.add('GET .*' + big.digest, status=404, delay=1)
        self.proxy.add('GET .*' + small.digest, drip=(500, 0.1))
        self.refused('pull', f'{self.proxy.host}/app', naming=(big.digest, 'not found'), timeout=PULL_LIMIT)
        self.assertLess(self.proxy.blob_bytes(small.digest), small.size)
        self.assert_nothing_here()


class RetriesExhausted(RegistryTest):
    """In a class of its own: it waits as long as people would."""

    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({'a': noise(20_000, 1)})])
        cls.push('app')

    def test_a_registry_that_stays_broken_is_an_error_in_bounded_time(self):
        self.proxy.add('GET .*' + self.image.layers[0].digest, status=503)
        self.refused('pull', f'{self.proxy.host}/app', naming=('503', self.image.layers[0].digest[7:19]), timeout=180)
        self.assertGreater(len(self.proxy.blob_requests(self.image.layers[0].digest)), 2)
        self.assert_nothing_here()
        self.proxy.heal()
        self.diatom('pull', f'{self.proxy.host}/app')
        self.assert_is(f'{self.proxy.host}/app', self.image)


class Corruption(RegistryTest):
    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({'a': noise(200_000, 1)}), layer({'b': noise(200_000, 2)})])
        cls.push('app')
        cls.zstd = cls.layout.image('zstd', [layer({'a': noise(100_000, 3)})], 'zstd')
        cls.push('zstd', 'app:zstd')
        cls.plain = cls.layout.image('plain', [layer({'a': noise(100_000, 4)})], 'plain')
        cls.push('plain', 'app:plain')

    def setUp(self):
        super().setUp()
        self.name = f'{self.proxy.host}/app:latest'

    def assert_refused(self, name: str, *naming: str):
        self.refused('pull', name, naming=naming, timeout=PULL_LIMIT)
        self.assert_nothing_here()

    def test_a_byte_of_a_layer(self):
        cases = [(self.name, self.image.layers[1]), (f'{self.proxy.host}/app:zstd', self.zstd.layers[0]),
                 (f'{self.proxy.host}/app:plain', self.plain.layers[0])]
        for name, blob in cases:
            # In the header, in the data, in the very end, behind which there is nothing more to read.
            for at in (0, 5, blob.size // 2, blob.size - 1):
                with self.subTest(name=name, at=at):
                    self.proxy.heal()
                    self.proxy.add('GET .*' + blob.digest, corrupt=at)
                    self.assert_refused(name, blob.digest[7:19])
        self.proxy.heal()
        self.diatom('pull', self.name)
        self.assert_is(self.name, self.image)

    def test_a_byte_of_the_config(self):
        self.proxy.add('GET .*' + self.image.config.digest, corrupt=20)
        self.assert_refused(self.name, self.image.config.digest[7:19])

    def test_another_blob_of_the_same_length(self):
        blob = self.image.layers[0]
        self.proxy.add('GET .*' + blob.digest, body=noise(blob.size, 77))
        self.assert_refused(self.name, blob.digest[7:19])

    def test_what_comes_after_a_cut_is_checked_as_well(self):
        blob = self.image.layers[0]
        self.proxy.add('GET .*' + blob.digest, cut=50_000, times=1)
        self.proxy.add('GET .*' + blob.digest, corrupt=100)
        self.assert_refused(self.name, blob.digest[7:19])

    def test_a_range_that_is_not_the_one_asked_for(self):
        blob = self.image.layers[0]
        self.proxy.add('GET .*' + blob.digest, cut=50_000, times=1)
        self.proxy.add('GET .*' + blob.digest, headers={'Content-Range': f'bytes 1-{blob.size - 50_000}/{blob.size}'}, times=1)
        result = self.home.run('pull', self.name, timeout=PULL_LIMIT)
        if result.returncode == 0:
            self.assert_is(self.name, self.image)
        else:
            self.assertIn(blob.digest[7:19], result.stderr.decode())
            self.assert_nothing_here()

    def test_a_manifest_that_is_not_what_was_announced(self):
        self.proxy.add('GET .*/manifests/', corrupt=30)
        self.assert_refused(self.name, self.proxy.host)

    def test_an_announcement_that_is_wrong(self):
        self.proxy.add('/manifests/', headers={'Docker-Content-Digest': 'sha256:' + '1' * 64})
        self.assert_refused(self.name, '1' * 12)

    def test_a_manifest_that_is_not_what_was_asked_for_by_digest(self):
        """Neither altered in place, nor another document that is consistent in itself."""
        name = f'{self.proxy.host}/app@{self.image.manifest.digest}'
        other = self.layout.read(self.zstd.manifest)
        for how in ({'corrupt': 30}, {'body': other, 'headers': {'Docker-Content-Digest': sha256(other)}}):
            with self.subTest(list(how)):
                self.proxy.heal()
                self.proxy.add('/manifests/', **how)
                self.assert_refused(name, self.image.manifest.digest[7:19])


class LyingDocuments(RegistryTest):
    """Documents that are what their digest says, and nothing that can be believed."""

    @classmethod
    def push_images(cls):
        cls.tar = layer({'a': noise(20_000, 1)})
        cls.image = cls.layout.image('app', [cls.tar])
        cls.push('app')

    def setUp(self):
        super().setUp()
        self.name = f'{self.proxy.host}/app:latest'

    def serve(self, document: dict | bytes, media_type: str = OCI + 'manifest.v1+json'):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.proxy.heal()
        self.proxy.add('/manifests/', body=body, headers={'Docker-Content-Digest': sha256(body), 'Content-Type': media_type})

    def manifest(self, **changed) -> dict:
        return json.loads(self.layout.read(self.image.manifest)) | changed

    def serve_config(self, **changed):
        config = json.dumps(json.loads(self.layout.read(self.image.config)) | changed).encode()
        descriptor = self.image.config.descriptor() | {'digest': sha256(config), 'size': len(config)}
        self.serve(self.manifest(config=descriptor))
        self.proxy.add('GET .*' + sha256(config), status=200, body=config)

    def assert_refused(self, *naming: str):
        said = self.refused('pull', self.name, naming=naming, timeout=PULL_LIMIT)
        self.assert_nothing_here()
        return said

    def test_the_size_of_a_layer(self):
        for size in (0, 1, self.image.layers[0].size - 1, self.image.layers[0].size + 1, 1 << 40, -1, (1 << 63) - 1):
            with self.subTest(size):
                self.serve(self.manifest(layers=[self.image.layers[0].descriptor() | {'size': size}]))
                self.assert_refused()

    def test_the_contents_of_a_layer_by_the_config(self):
        self.serve_config(rootfs={'type': 'layers', 'diff_ids': ['sha256:' + '3' * 64]})
        self.assert_refused()

    def test_the_number_of_layers(self):
        for diff_ids in ([], self.image.diff_ids * 2):
            with self.subTest(len(diff_ids)):
                self.serve_config(rootfs={'type': 'layers', 'diff_ids': diff_ids})
                self.assert_refused()

    def test_what_is_no_manifest(self):
        digest = self.image.layers[0].digest
        for document in (b'', b'{}', b'[]', b'null', b'<html>', b'\xff\xfe', b'{"schemaVersion": 2, "layers": 3, "config": []}',
                         b'[' * 100_000, self.manifest(layers=[{'digest': digest}]),
                         self.manifest(layers=[self.image.layers[0].descriptor() | {'digest': '../../../etc/passwd'}]),
                         self.manifest(layers=[self.image.layers[0].descriptor() | {'digest': 'md5:' + '0' * 32}])):
            with self.subTest(document if isinstance(document, dict) else document[:40]):
                self.serve(document)
                self.assert_refused()

    def test_a_manifest_that_is_too_large(self):
        self.serve(self.manifest(annotations={'x': 'y' * (5 << 20)}))
        self.assert_refused(self.proxy.host)

    def test_an_index_without_images(self):
        for manifests in ([], [{'mediaType': OCI + 'manifest.v1+json', 'digest': 'sha256:' + '4' * 64, 'size': 10}]):
            with self.subTest(manifests):
                self.serve({'schemaVersion': 2, 'mediaType': OCI + 'index.v1+json', 'manifests': manifests}, OCI + 'index.v1+json')
                self.proxy.add('/manifests/sha256:4', status=404)
                self.assert_refused()

    def test_the_old_schema_is_refused_in_words(self):
        self.serve({'schemaVersion': 1, 'name': 'app', 'tag': 'latest', 'architecture': 'amd64',
                    'fsLayers': [{'blobSum': self.image.layers[0].digest}], 'history': [{'v1Compatibility': '{}'}]},
                   'application/vnd.docker.distribution.manifest.v1+prettyjws')
        self.assertRegex(self.assert_refused().lower(), 'schema ?(version)? ?1')

    def test_what_is_no_image_is_refused_in_words(self):
        artifact = b'{}'
        self.serve(self.manifest(config={'mediaType': 'application/vnd.cncf.helm.config.v1+json', 'digest': sha256(artifact),
                                         'size': len(artifact)}))
        self.proxy.add('GET .*' + sha256(artifact), status=200, body=artifact)
        self.assert_refused()


if __name__ == '__main__':
    main()
