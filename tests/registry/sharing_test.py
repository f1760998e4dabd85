#!/usr/bin/env python3
"""What is fetched once is not fetched again: by the next pull, and by the one beside it."""
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, main  # noqa: E402
from registry import Registry  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import layer, noise  # noqa: E402


class Sharing(RegistryTest):
    @classmethod
    def push_images(cls):
        base = layer({'base': noise(300_000, 1)})
        cls.one = cls.layout.image('one', [base, layer({'one': noise(30_000, 2)})])
        cls.two = cls.layout.image('two', [base, layer({'two': noise(30_000, 3)})])
        cls.push('one')
        cls.push('two')
        # The same contents, packed by another: other blobs, the same layers.
        cls.zstd = cls.layout.image('zstd', [base], 'zstd')
        cls.push('zstd')

    def start(self, name: str) -> subprocess.Popen:
        process = self.home.popen('pull', f'{self.proxy.host}/{name}', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        self.addCleanup(process.wait, DEADLINE)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def assert_ended(self, process: subprocess.Popen, name: str, image):
        _, said = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 0, said)
        self.assert_is(f'{self.proxy.host}/{name}', image)

    def assert_each_once(self, *images):
        """Every layer of the images was asked for once, and came over the wire once."""
        for blob in {blob for image in images for blob in image.layers}:
            self.assertEqual([r.sent for r in self.proxy.blob_requests(blob.digest)], [blob.size], blob)

    def hold(self, blob, at: int = 1000):
        return self.proxy.add('GET .*' + blob.digest, stall=at, times=1)

    def test_the_next_image_costs_what_is_new(self):
        self.diatom('pull', f'{self.proxy.host}/one')
        self.diatom('pull', f'{self.proxy.host}/two')
        self.assert_each_once(self.one, self.two)
        files = self.home.files()
        self.diatom('rmi', f'{self.proxy.host}/one')
        self.assertLess(len(self.home.files()), len(files))
        self.assert_is(f'{self.proxy.host}/two', self.two)

    def test_two_at_once_fetch_each_layer_once(self):
        fault = self.hold(self.one.layers[0])
        first = self.start('one')
        self.assert_reached(fault, first)
        second = self.start('one')
        self.proxy.wait_for(lambda: len({r.at for r in self.proxy.requests if '/manifests/' in r.path}) >= 2)
        fault.release()
        for process in (first, second):
            self.assert_ended(process, 'one', self.one)
        self.assert_each_once(self.one)
        self.assertEqual(self.here(), [self.one.id])

    def test_two_images_at_once_fetch_what_they_share_once(self):
        fault = self.hold(self.one.layers[0])
        first = self.start('one')
        self.assert_reached(fault, first)
        second = self.start('two')
        self.proxy.wait_for(lambda: any('/two/manifests/' in r.path for r in self.proxy.requests))
        fault.release()
        self.assert_ended(first, 'one', self.one)
        self.assert_ended(second, 'two', self.two)
        self.assert_each_once(self.one, self.two)

    def test_eight_at_once(self):
        started = [(self.start(name), name, image) for name, image in (('one', self.one), ('two', self.two)) * 4]
        for process, name, image in started:
            self.assert_ended(process, name, image)
        self.assert_each_once(self.one, self.two)
        self.assertEqual(set(self.here()), {self.one.id, self.two.id})

    def test_when_the_first_is_killed_the_second_goes_on(self):
        for how in (signal.SIGKILL, signal.SIGINT):
            with self.subTest(how.name):
                self.proxy.heal()
                fault = self.hold(self.one.layers[0])
                first = self.start('one')
                self.assert_reached(fault, first)
                second = self.start('one')
                self.proxy.wait_for(lambda: sum('/manifests/' in r.path for r in self.proxy.requests) >= 2)
                first.send_signal(how)
                first.wait(DEADLINE)
                self.assert_ended(second, 'one', self.one)
                self.diatom('rmi', f'{self.proxy.host}/one')

    def test_the_same_contents_in_another_packing_are_stored_once(self):
        self.diatom('pull', f'{self.proxy.host}/one')
        before = {e['Path'] for e in self.inspect(f'{self.proxy.host}/one')['RootDevice']}
        self.diatom('pull', f'{self.proxy.host}/zstd')
        info = self.assert_is(f'{self.proxy.host}/zstd', self.zstd)
        self.assertIn(info['RootDevice'][1]['Path'], before)

    def test_two_names_of_one_image_keep_the_packings_they_came_by(self):
        """One config, two manifests: the same layers, gzip and zstd."""
        name = f'{self.proxy.host}/twice'
        tars = [layer({'base': noise(50_000, 7)}), layer({'top': noise(5_000, 8)})]
        gzip, zstd = (self.layout.image(packing, tars, packing) for packing in ('gzip', 'zstd'))
        self.assertEqual(gzip.id, zstd.id)
        self.assertNotEqual(gzip.manifest.digest, zstd.manifest.digest)
        both = {'gzip': gzip, 'zstd': zstd}
        for tag in both:
            self.push(tag, f'twice:{tag}')
            self.diatom('pull', f'{name}:{tag}')
        self.assertEqual(self.here(), [gzip.id, gzip.id])
        self.assertEqual(set(self.inspect(f'{name}:gzip')['RepoDigests']),
                         {f'{name}@{image.manifest.digest}' for image in both.values()})
        target = Registry()
        self.addCleanup(target.close)
        for tag, image in both.items():
            self.diatom('tag', f'{name}:{tag}', f'{target.host}/copy:{tag}')
            self.assertIn(image.manifest.digest, self.diatom('push', f'{target.host}/copy:{tag}').stdout.decode())
        for tag, image in both.items():
            self.assertEqual(target.digest(f'copy:{tag}'), image.manifest.digest)
            self.assertEqual(target.inspect(f'copy:{tag}')['Layers'], [blob.digest for blob in image.layers])
        # Its names go, what the registries call it among them; and with the last one that packing's blobs.
        digest = gzip.manifest.digest
        for gone in (f'{target.host}/copy:gzip', f'{name}:gzip', f'{target.host}/copy@{digest}', f'{name}@{digest}'):
            self.diatom('rmi', gone)
            self.assert_is(f'{name}:zstd', zstd)
        self.diatom('push', f'{target.host}/copy:zstd')
        self.diatom('tag', f'{name}:zstd', f'{target.host}/again:v1')
        self.diatom('push', f'{target.host}/again:v1')
        self.assertEqual(target.digest('again:v1'), zstd.manifest.digest)
        self.diatom('image', 'prune', '-f')  # which sweeps
        for packing, kept in ((zstd, True), (gzip, False)):
            self.assertEqual([f'blobs/sha256/{b.digest[7:]}' in self.home.files() for b in packing.layers], [kept] * 2, packing)

    def test_an_image_that_is_removed_while_it_is_pulled_again(self):
        self.diatom('pull', f'{self.proxy.host}/one')
        fault = self.hold(self.two.layers[1])
        second = self.start('two')
        self.assert_reached(fault, second)
        self.diatom('rmi', f'{self.proxy.host}/one')  # takes the layer with it that the other one counts on, or does not
        self.diatom('image', 'prune', '-a', '-f')
        fault.release()
        self.assert_ended(second, 'two', self.two)


if __name__ == '__main__':
    main()
