#!/usr/bin/env python3
"""When the registry is asked, and for what: each policy, with its requests counted."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import main  # noqa: E402
from http_server import closed_port  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import layer  # noqa: E402


class Policies(RegistryTest):
    @classmethod
    def push_images(cls):
        cls.old = cls.layout.image('old', [layer({'base': b'same in both'}), layer({'version': b'old'})])
        cls.new = cls.layout.image('new', [layer({'base': b'same in both'}), layer({'version': b'new'})])

    def setUp(self):
        super().setUp()
        self.push('old', 'app:moving')
        self.name = f'{self.proxy.host}/app:moving'
        self.proxy.heal()

    def pull(self, policy: str, code: int = 0):
        return self.diatom('pull', '--policy', policy, self.name, code=code)

    def requests(self) -> list[str]:
        """The methods of the requests for manifests; and the requests for blobs must be none."""
        self.assertEqual(self.proxy.blob_requests(), [])
        return [r.method for r in self.proxy.asked(path='/manifests/')]

    def present_then(self, change: bool = False):
        self.diatom('pull', self.name)
        if change:
            self.push('new', 'app:moving')
        self.proxy.heal()

    def test_never_asks_nobody_and_an_absent_image_is_an_error(self):
        self.refused('pull', '--policy', 'never', self.name, naming=(self.name,))
        self.assertEqual(self.proxy.asked(), [])
        self.present_then(change=True)
        self.pull('never')
        self.assertEqual(self.proxy.asked(), [])
        self.assert_is(self.name, self.old)

    def test_missing_asks_nobody_when_the_image_is_there(self):
        self.pull('missing')
        self.assert_is(self.name, self.old)
        self.push('new', 'app:moving')
        self.proxy.heal()
        self.pull('missing')
        self.pull('ifmissing')
        self.assertEqual(self.proxy.asked(), [])
        self.assert_is(self.name, self.old)

    def test_newer_costs_one_head_when_nothing_changed(self):
        self.present_then()
        self.pull('newer')
        self.assertEqual(self.requests(), ['HEAD'])
        self.assert_is(self.name, self.old)

    def test_always_fetches_no_blob_again(self):
        self.present_then()
        self.pull('always')
        self.assertLessEqual(len(self.requests()), 2)
        self.assertGreaterEqual(len(self.requests()), 1)

    def test_newer_and_always_see_a_change_and_fetch_what_is_new(self):
        for policy in ('newer', 'always'):
            with self.subTest(policy):
                self.push('old', 'app:moving')
                self.present_then(change=True)
                self.pull(policy)
                self.assert_is(self.name, self.new)
                self.assertEqual(self.proxy.blob_requests(self.new.layers[0].digest), [])
                self.diatom('rmi', '-f', self.name)
                self.diatom('image', 'prune', '-f')

    def test_the_image_that_lost_its_name_stays_until_it_is_pruned(self):
        self.present_then(change=True)
        self.pull('always')
        self.assertEqual(set(self.here()), {self.old.id, self.new.id})
        self.assertEqual(self.inspect(self.old.id)['RepoTags'], [])
        self.diatom('image', 'prune', '-f')
        self.assertEqual(self.here(), [self.new.id])
        self.assert_is(self.name, self.new)

    def test_an_absent_image_is_pulled_by_all_but_never(self):
        for policy in ('always', 'newer', 'missing'):
            with self.subTest(policy):
                self.pull(policy)
                self.assert_is(self.name, self.old)
                self.diatom('rmi', self.name)

    def test_a_word_that_is_no_policy(self):
        self.refused('pull', '--policy', 'sometimes', self.name, naming=('sometimes',))
        self.assertEqual(self.proxy.asked(), [])

    def test_run_pulls_what_is_missing_and_not_with_never(self):
        said = self.diatom('run', '--rm', '--pull', 'never', self.name, 'true', code=125).stderr.decode()
        self.assertIn(self.name, said)
        self.assertEqual(self.proxy.asked(), [])

    def test_what_a_digest_names_cannot_change(self):
        name = f'{self.proxy.host}/app@{self.old.manifest.digest}'
        self.diatom('pull', name)
        self.proxy.heal()
        self.diatom('pull', '--policy', 'newer', name)
        self.assertLessEqual(len(self.requests()), 1)


class RegistryDown(RegistryTest):
    """Nobody listens, or everything is refused."""

    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({'a': b'a'})])
        cls.push('app')

    def setUp(self):
        super().setUp()
        self.name = f'{self.proxy.host}/app:latest'

    def test_newer_serves_what_is_there(self):
        # The name of a registry that is not there any more: the image gets it from one that is.
        gone = f'127.0.0.1:{closed_port()}/app:latest'
        self.diatom('pull', self.name)
        self.diatom('tag', self.name, gone)
        self.diatom('pull', '--policy', 'newer', gone, timeout=60)
        self.assert_is(gone, self.image)

    def test_always_fails_and_what_is_there_stays(self):
        gone = f'127.0.0.1:{closed_port()}/app:latest'
        self.diatom('pull', self.name)
        self.diatom('tag', self.name, gone)
        self.refused('pull', '--policy', 'always', gone, naming=(gone.split('/')[0],), timeout=60)
        self.assert_is(gone, self.image)

    def test_newer_and_absent_is_an_error(self):
        gone = f'127.0.0.1:{closed_port()}/app:latest'
        self.refused('pull', '--policy', 'newer', gone, naming=(gone.split('/')[0],), timeout=60)
        self.assert_nothing_here()


if __name__ == '__main__':
    main()
