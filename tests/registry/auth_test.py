#!/usr/bin/env python3
"""Who one is to a registry: Basic and Bearer, what login leaves on the disk, helpers, and who must never hear of it."""
import base64
import json
import pathlib
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import main  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from registry import Registry, basic  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import layer, noise  # noqa: E402
from token_server import REFRESH_TOKEN, TokenServer  # noqa: E402

USERS = {'ann': 'se:cret', 'ben': 'other'}
# Keeps what it is given in a file beside it, and a line for each call (docker-credential-helpers' protocol).
HELPER = '''#!/bin/sh
here=$(dirname "$0")
input=$(cat)
echo "$1 $(echo "$input" | head -c 200)" >> "$here/calls"
case "$1" in
  store) echo "$input" > "$here/stored" ;;
  get) [ -s "$here/stored" ] && cat "$here/stored" || { echo "credentials not found in native keychain"; exit 1; } ;;
  erase) rm -f "$here/stored" ;;
  list) echo "{}" ;;
esac
'''


class Basic(RegistryTest):
    @classmethod
    def make_registry(cls):
        return Registry(users=USERS)

    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({'a': noise(3000, 1)}), layer({'b': b'b'})])
        cls.push('app', 'team/app')

    def setUp(self):
        super().setUp()
        self.host = self.proxy.host
        self.name = f'{self.host}/team/app:latest'

    def login(self, user: str = 'ann', password: str | None = None, *more, code: int = 0):
        return self.diatom('login', '-u', user, '--password-stdin', *more, self.host, code=code,
                           stdin=(USERS.get(user, '') if password is None else password).encode() + b'\n')

    def helper(self, config: dict) -> pathlib.Path:
        folder = self.home.path / 'helpers'
        folder.mkdir()
        (folder / 'docker-credential-test').write_text(HELPER)
        (folder / 'docker-credential-test').chmod(0o755)
        self.home.env['PATH'] = f'{folder}:{self.home.env["PATH"]}'
        self.write_config(config)
        return folder

    def write_config(self, config: dict, path: str = 'user/.docker/config.json') -> pathlib.Path:
        file = self.home.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(config))
        return file

    def test_without_credentials_the_error_says_what_to_do(self):
        self.refused('pull', self.name, naming=(self.host, f'diatom login {self.host}'))
        self.assert_nothing_here()

    def test_credentials_by_word(self):
        self.diatom('pull', '--creds', 'ann:se:cret', self.name)
        self.assert_is(self.name, self.image)
        self.assertEqual(self.home.docker_config(), {})

    def test_wrong_credentials_by_word(self):
        said = self.refused('pull', '--creds', 'ann:wrong-one', self.name, naming=(self.host,))
        self.assertNotIn('wrong-one', said)
        self.assert_nothing_here()

    def test_login_pull_logout(self):
        self.assertIn(b'Login Succeeded', self.login().stdout)
        config = self.home.path / 'user/.docker/config.json'
        self.assertEqual(self.home.docker_config()['auths'][self.host]['auth'], basic('ann', 'se:cret'))
        self.assertEqual(stat.S_IMODE(config.stat().st_mode), 0o600)
        self.diatom('pull', self.name)
        self.assert_is(self.name, self.image)
        self.diatom('logout', self.host)
        self.assertEqual(self.home.docker_config().get('auths', {}), {})
        self.diatom('rmi', self.name)
        self.refused('pull', self.name)

    def test_a_wrong_password_stores_nothing(self):
        said = self.login('ann', 'wrong-one', code=1).stderr.decode()
        self.assertIn(self.host, said)
        self.assertNotIn('wrong-one', said)
        self.assertNotIn(self.host, self.home.docker_config().get('auths', {}))

    def test_a_wrong_password_leaves_the_right_one_stored(self):
        self.login()
        self.login('ann', 'wrong-one', code=1)
        self.assertEqual(self.home.docker_config()['auths'][self.host]['auth'], basic('ann', 'se:cret'))

    def test_login_keeps_what_it_does_not_know(self):
        other = {'auths': {'other.example': {'auth': basic('x', 'y')}}, 'HttpHeaders': {'X': '1'}, 'detachKeys': 'ctrl-x'}
        self.write_config(other)
        self.login()
        self.diatom('logout', self.host)
        self.assertEqual(self.home.docker_config(), other)

    def test_a_broken_config_is_named_and_not_overwritten(self):
        file = self.write_config({})
        file.write_text('{"auths": ')
        self.assertIn('config.json', self.login(code=1).stderr.decode())
        self.assertEqual(file.read_text(), '{"auths": ')

    def test_a_file_of_ones_own(self):
        mine = self.home.path / 'mine.json'
        self.login('ann', None, '--authfile', mine)
        self.assertEqual(json.loads(mine.read_text())['auths'][self.host]['auth'], basic('ann', 'se:cret'))
        self.assertEqual(self.home.docker_config(), {})
        self.refused('pull', self.name)
        self.diatom('pull', '--authfile', mine, self.name)
        self.diatom('pull', self.name, env={'REGISTRY_AUTH_FILE': str(mine)})
        self.diatom('logout', '--authfile', mine, self.host)
        self.refused('pull', '--authfile', mine, self.name)

    def test_the_files_of_docker_and_of_containers_are_read(self):
        entry = {'auths': {self.host: {'auth': basic('ann', 'se:cret')}}}
        runtime = self.home.path / 'runtime'
        cases = [('user/.docker/config.json', {}), ('elsewhere/config.json', {'DOCKER_CONFIG': str(self.home.path / 'elsewhere')}),
                 ('user/.config/containers/auth.json', {}),
                 ('runtime/containers/auth.json', {'XDG_RUNTIME_DIR': str(runtime)}),
                 ('config/containers/auth.json', {'XDG_CONFIG_HOME': str(self.home.path / 'config')})]
        for path, env in cases:
            with self.subTest(path):
                file = self.write_config(entry, path)
                self.diatom('pull', self.name, env=env)
                file.unlink()
                self.refused('pull', self.name, env=env)

    def test_the_longest_key_that_fits_counts(self):
        self.write_config({'auths': {f'{self.host}/team': {'auth': basic('ann', 'se:cret')}, self.host: {'auth': basic('ann', 'x')},
                                     f'{self.host}/tea': {'auth': basic('ann', 'y')}}}, 'user/.config/containers/auth.json')
        self.diatom('pull', self.name)

    def test_a_key_may_be_a_url(self):
        self.write_config({'auths': {f'https://{self.host}/v1/': {'auth': basic('ann', 'se:cret')}}})
        self.diatom('pull', self.name)

    def test_a_helper_for_all_registries(self):
        folder = self.helper({'credsStore': 'test'})
        self.login()
        self.assertEqual(json.loads((folder / 'stored').read_text()),
                         {'ServerURL': self.host, 'Username': 'ann', 'Secret': 'se:cret'})
        self.assertNotIn('auth', self.home.docker_config().get('auths', {}).get(self.host, {}))
        self.assertNotIn(basic('ann', 'se:cret'), json.dumps(self.home.docker_config()))
        self.diatom('pull', self.name)
        self.assertIn(f'get {self.host}', (folder / 'calls').read_text())
        self.diatom('logout', self.host)
        self.assertIn(f'erase {self.host}', (folder / 'calls').read_text())
        self.assertFalse((folder / 'stored').exists())
        self.diatom('rmi', self.name)
        self.refused('pull', self.name, naming=(f'diatom login {self.host}',))

    def test_a_helper_for_one_registry(self):
        folder = self.helper({'credHelpers': {self.host: 'test'}, 'credsStore': 'none-such'})
        self.login()
        self.diatom('pull', self.name)
        self.assertTrue((folder / 'stored').exists())

    def test_a_helper_that_is_not_there_is_named(self):
        self.write_config({'credHelpers': {self.host: 'none-such'}})
        self.assertIn('docker-credential-none-such', self.login(code=1).stderr.decode())

    def test_a_helper_never_sees_another_registry(self):
        folder = self.helper({'credHelpers': {'other.example': 'test'}})
        self.refused('pull', self.name)
        self.assertFalse((folder / 'calls').exists())

    def test_the_password_is_asked_from_nobody_without_a_terminal(self):
        self.assertEqual(self.home.run('login', '-u', 'ann', self.host, stdin=b'', timeout=30).returncode, 1)

    def test_another_host_does_not_hear_the_credentials(self):
        storage = Registry()
        self.addCleanup(storage.close)
        storage.push(self.layout.folder, 'app', 'team/app')
        elsewhere = FaultProxy(storage.host)
        self.addCleanup(elsewhere.close)
        for status in (301, 302, 303, 307, 308):
            with self.subTest(status):
                self.proxy.heal()
                elsewhere.forget()
                self.proxy.add('GET .*/blobs/', redirect=elsewhere.url, status=status)
                self.diatom('pull', '--creds', 'ann:se:cret', self.name)
                self.assert_is(self.name, self.image)
                self.diatom('rmi', self.name)
                self.assertEqual({r.authorization for r in self.proxy.blob_requests()}, {'Basic ' + basic('ann', 'se:cret')})
                self.assertEqual({r.authorization for r in elsewhere.asked()}, {None})
                self.assertGreaterEqual(len(elsewhere.blob_requests()), 3)

    def test_another_host_does_not_hear_the_credentials_of_an_upload(self):
        storage = Registry()
        self.addCleanup(storage.close)
        elsewhere = FaultProxy(storage.host)
        self.addCleanup(elsewhere.close)
        self.diatom('pull', '--creds', 'ann:se:cret', self.name)
        for status in (307, 308):
            with self.subTest(status):
                self.proxy.heal()
                elsewhere.forget()
                new = f'{self.host}/moved/app{status}:latest'
                self.diatom('tag', self.name, new)
                # The first of all requests is challenged; the manifest goes where its blobs have gone.
                self.proxy.add('(POST|PUT) ', redirect=elsewhere.url, status=status)
                self.diatom('push', '--creds', 'ann:se:cret', new)
                self.assertEqual(storage.digest(f'moved/app{status}'), self.image.manifest.digest)
                self.assertEqual({r.authorization for r in self.proxy.asked('PUT')}, {'Basic ' + basic('ann', 'se:cret')})
                self.assertEqual({r.authorization for r in elsewhere.asked()}, {None})

    def test_a_redirected_blob_is_resumed_where_it_lies(self):
        storage = Registry()
        self.addCleanup(storage.close)
        storage.push(self.layout.folder, 'app', 'team/app')
        elsewhere = FaultProxy(storage.host)
        self.addCleanup(elsewhere.close)
        self.proxy.add('GET .*/blobs/', redirect=elsewhere.url)
        elsewhere.add('GET .*' + self.image.layers[0].digest, cut=1000, times=1)
        self.diatom('pull', '--creds', 'ann:se:cret', self.name)
        self.assertEqual({r.authorization for r in elsewhere.asked()}, {None})
        self.assertLess(elsewhere.blob_bytes(self.image.layers[0].digest), 2 * self.image.layers[0].size)


class Bearer(RegistryTest):
    @classmethod
    def make_registry(cls):
        cls.tokens = TokenServer(cls.folder, {'ann': 'secret'})
        cls.addClassCleanup(cls.tokens.close)
        return Registry(token=cls.tokens)

    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({f'file{i}': noise(2000, i)}) for i in range(8)])
        cls.push('app', 'public/app')
        cls.push('app', 'private/app')

    def setUp(self):
        super().setUp()
        self.public, self.private = (f'{self.proxy.host}/{kind}/app:latest' for kind in ('public', 'private'))
        self.tokens.stale = self.tokens.failures = 0
        self.tokens.delay = 0.0
        self.tokens.granted.clear()
        self.tokens.forget()

    def scopes(self) -> list[str]:
        return [' '.join(r.form.get('scope', [])) for r in self.tokens.asked()]

    def test_anybody_may_pull_what_is_public(self):
        self.diatom('pull', self.public)
        self.assert_is(self.public, self.image)
        self.assertEqual(set(self.scopes()), {'repository:public/app:pull'})
        self.assertEqual({r.authorization for r in self.tokens.asked()}, {None})
        self.assertEqual([r.form['service'] for r in self.tokens.asked()], [[self.tokens.service]])

    def test_one_token_serves_all_layers(self):
        self.diatom('pull', self.public)
        self.assertEqual(len(self.tokens.asked()), 1)

    def test_what_is_private_needs_credentials(self):
        self.refused('pull', self.private, naming=(self.proxy.host, f'diatom login {self.proxy.host}'))
        self.assert_nothing_here()
        self.diatom('pull', '--creds', 'ann:secret', self.private)
        self.assert_is(self.private, self.image)
        self.assertEqual(self.tokens.granted[-1], ('ann', [{'type': 'repository', 'name': 'private/app', 'actions': ['pull']}]))

    def test_the_registry_gets_tokens_and_no_passwords(self):
        self.diatom('pull', '--creds', 'ann:secret', self.private)
        for request in self.proxy.asked():
            self.assertIn((request.authorization or 'Bearer').split()[0], 'Bearer')
        self.assertTrue(self.proxy.blob_requests()[0].authorization.startswith('Bearer '))

    def test_a_wrong_password_is_refused(self):
        self.refused('pull', '--creds', 'ann:wrong-one', self.private, naming=(self.proxy.host,))
        self.assertLess(len(self.tokens.asked()), 5)
        self.assert_nothing_here()

    def test_a_token_that_ends_in_the_middle_is_replaced(self):
        challenge = (f'Bearer realm="{self.tokens.url}/token",service="{self.tokens.service}",'
                     'scope="repository:private/app:pull",error="invalid_token"')
        self.proxy.add('GET .*' + self.image.layers[3].digest, status=401, headers={'Www-Authenticate': challenge}, times=1)
        self.diatom('pull', '--creds', 'ann:secret', self.private)
        self.assert_is(self.private, self.image)
        self.assertEqual(len(self.tokens.granted), 2)

    def test_a_fresh_token_that_is_refused_is_replaced_once(self):
        self.tokens.stale = 1
        self.diatom('pull', '--creds', 'ann:secret', self.private)
        self.assert_is(self.private, self.image)
        self.assertEqual(len(self.tokens.granted), 2)

    def test_a_token_that_was_taken_back_is_replaced_once(self):
        challenge = (f'Bearer realm="{self.tokens.url}/token",service="{self.tokens.service}",'
                     'scope="repository:private/app:pull",error="invalid_token"')
        on = 'GET .*' + self.image.layers[3].digest
        self.proxy.add(on, status=401, headers={'Www-Authenticate': challenge})
        said = self.refused('pull', '--creds', 'ann:secret', self.private, naming=(self.proxy.host,))
        self.assertIn('access denied', said)
        self.assertEqual(len(self.proxy.asked('GET', self.image.layers[3].digest)), 2)
        self.assertEqual(len(self.tokens.granted), 2)
        self.assert_nothing_here()

    def test_a_fresh_token_that_does_not_suffice_is_not_replaced(self):
        self.proxy.add('GET .*/manifests/', status=401, headers={'Www-Authenticate': (
            f'Bearer realm="{self.tokens.url}/token",service="{self.tokens.service}",'
            'scope="repository:private/app:pull",error="insufficient_scope"')})
        self.refused('pull', '--creds', 'ann:secret', self.private)
        self.assertEqual(len(self.tokens.granted), 1)

    def test_tokens_that_never_hold_are_given_up_on(self):
        self.tokens.stale = 1000
        self.refused('pull', '--creds', 'ann:secret', self.private, naming=(self.proxy.host,), timeout=60)
        self.assertLess(len(self.tokens.granted), 6)
        self.assert_nothing_here()

    def test_a_token_server_that_fails_at_first_is_asked_again(self):
        self.tokens.failures = 2
        self.diatom('pull', self.public)
        self.assertGreaterEqual(len(self.tokens.asked()), 3)
        self.assert_is(self.public, self.image)

    def test_a_slow_token_server_is_waited_for(self):
        self.tokens.delay = 1.0
        self.diatom('pull', self.public)
        self.assert_is(self.public, self.image)

    def test_what_is_no_token_is_an_error(self):
        liar = FaultProxy(self.registry.host)
        self.addCleanup(liar.close)
        for body in (b'{}', b'[]', b'{"token": 7}', b'garbage', b'{"token": "a\\nb: c"}', b'{"token": ""}'):
            with self.subTest(body):
                self.proxy.heal()
                liar.heal()
                liar.add('/token', status=200, body=body)
                challenge = f'Bearer realm="{liar.url}/token",service="x",scope="repository:public/app:pull"'
                self.proxy.add('.', status=401, headers={'Www-Authenticate': challenge})
                self.refused('pull', self.public, timeout=60)
        self.assert_nothing_here()

    def redirecting_realm(self, to: str, status: int) -> FaultProxy:
        """A token server that sends everybody on to another; the registry names it."""
        front = FaultProxy(self.registry.host)
        self.addCleanup(front.close)
        front.add('/token', status=status, redirect=to)
        challenge = f'Bearer realm="{front.url}/token",service="{self.tokens.service}",scope="repository:public/app:pull"'
        self.proxy.add('.', status=401, headers={'Www-Authenticate': challenge}, times=1)
        return front

    def test_a_token_server_that_has_moved_is_followed(self):
        for status in (301, 302, 303, 307, 308):
            with self.subTest(status):
                self.proxy.heal()
                self.tokens.forget()
                front = self.redirecting_realm(self.tokens.url, status)
                self.diatom('pull', '--creds', 'ann:secret', self.public)
                self.assertEqual({r.authorization for r in front.asked()}, {'Basic ' + basic('ann', 'secret')})
                self.assertEqual({r.authorization for r in self.tokens.asked()}, {None})
                self.assertEqual(set(self.scopes()), {'repository:public/app:pull'})
                self.diatom('rmi', self.public)

    def test_on_one_token_server_the_credentials_go_along(self):
        self.proxy.heal()
        front = FaultProxy(self.tokens.host)
        self.addCleanup(front.close)
        front.add('/old', status=302, headers={'Location': f'/token?service={self.tokens.service}&scope=repository:private/app:pull'
                                               .replace(' ', '%20')})
        challenge = f'Bearer realm="{front.url}/old",service="x",scope="repository:private/app:pull"'
        self.proxy.add('.', status=401, headers={'Www-Authenticate': challenge}, times=1)
        self.diatom('pull', '--creds', 'ann:secret', self.private)
        self.assertEqual(self.tokens.granted[-1][0], 'ann')

    def test_token_servers_that_send_one_on_for_ever(self):
        front = self.redirecting_realm('', 302)
        front.faults[0].headers = {'Location': '/token'}
        self.assertIn('one too many', self.refused('pull', self.public, naming=(self.proxy.host,)))
        self.assertEqual(len(front.asked()), 6)

    def test_a_refresh_token_is_not_sent_on_to_another(self):
        config = self.home.path / 'user/.docker/config.json'
        config.parent.mkdir()
        config.write_text(json.dumps({'auths': {self.proxy.host: {'auth': basic('ann', ''), 'identitytoken': REFRESH_TOKEN}}}))
        for status in (302, 307, 308):
            with self.subTest(status):
                self.proxy.heal()
                front = self.redirecting_realm(self.tokens.url, status)
                self.refused('pull', self.public, naming=(front.host.split(':')[0],))
                self.assertEqual(self.tokens.asked(), [])
        self.assert_nothing_here()

    def test_login_asks_the_token_server(self):
        words = ('login', '-u', 'ann', '--password-stdin', self.proxy.host)
        self.diatom(*words, stdin=b'wrong-one', code=1)
        self.assertEqual(self.home.docker_config().get('auths', {}), {})
        self.diatom(*words, stdin=b'secret')
        self.diatom('pull', self.private)
        self.assertEqual(self.tokens.granted[-1][0], 'ann')

    def test_an_identity_token_instead_of_a_password(self):
        config = self.home.path / 'user/.docker/config.json'
        config.parent.mkdir()
        user = base64.b64encode(b'00000000-0000-0000-0000-000000000000:').decode()
        config.write_text(json.dumps({'auths': {self.proxy.host: {'auth': user, 'identitytoken': REFRESH_TOKEN}}}))
        self.diatom('pull', self.private)
        asked = self.tokens.asked('POST')
        self.assertEqual(asked[0].form['grant_type'], ['refresh_token'])
        self.assertEqual(asked[0].form['scope'], ['repository:private/app:pull'])

    def test_to_push_the_token_says_push(self):
        self.diatom('pull', self.public)
        target = f'{self.proxy.host}/private/copy:latest'
        self.diatom('tag', self.public, target)
        self.tokens.forget()
        self.refused('push', target, naming=(f'diatom login {self.proxy.host}',))
        self.tokens.forget()
        self.diatom('push', '--creds', 'ann:secret', target)
        self.assertIn('repository:private/copy:pull,push', ' '.join(self.scopes()))
        self.assertEqual(self.registry.digest('private/copy'), self.image.manifest.digest)


if __name__ == '__main__':
    main()
