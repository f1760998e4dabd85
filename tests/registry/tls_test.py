#!/usr/bin/env python3
"""Certificates, and proxies on the way: a private authority, a client's certificate, HTTP_PROXY and NO_PROXY."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from certificates import Authority  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402
from fault_proxy import FaultProxy, ForwardProxy  # noqa: E402
from registry import Registry  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import layer  # noqa: E402


class PrivateAuthority(RegistryTest):
    @classmethod
    def make_registry(cls):
        cls.authority = Authority(cls.folder)
        cls.server = cls.authority.issue('127.0.0.1')  # and not for "localhost"
        cls.certificates = cls.folder / 'certificates'
        cls.certificates.mkdir()
        (cls.certificates / 'ca.crt').write_bytes(cls.authority.root.certificate.read_bytes())
        return Registry(tls=cls.server)

    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({'a': b'a'})])
        cls.push('app')

    def setUp(self):
        super().setUp()
        self.name = f'{self.registry.host}/app:latest'

    def test_an_authority_that_nobody_knows_is_refused(self):
        self.refused('pull', self.name, naming=(self.registry.host, 'certificate'), timeout=60)
        self.assert_nothing_here()

    def test_a_folder_with_its_certificate(self):
        self.diatom('pull', '--cert-dir', self.certificates, self.name)
        self.assert_is(self.name, self.image)

    def test_the_wrong_authority_is_refused(self):
        folder = self.home.path / 'other'
        folder.mkdir()
        (folder / 'ca.crt').write_bytes(Authority(folder).root.certificate.read_bytes())
        self.refused('pull', '--cert-dir', folder, self.name, naming=('certificate',), timeout=60)

    def test_a_certificate_of_another_host_is_refused(self):
        name = self.name.replace('127.0.0.1', 'localhost')
        self.refused('pull', '--cert-dir', self.certificates, name, naming=('localhost',), timeout=60)

    def test_no_verification_by_word(self):
        self.diatom('pull', '--tls-verify=false', self.name)
        self.assert_is(self.name, self.image)
        self.diatom('rmi', self.name)
        self.refused('pull', '--tls-verify=true', self.name, timeout=60)

    def test_certificates_of_the_machine(self):
        if os.geteuid() != 0:
            self.skipTest('needs root, for folders of its own over /etc')
        for place in ('/etc/docker', '/etc/containers'):
            if not os.path.isdir(place):
                continue
            with self.subTest(place):
                script = ('mount -t tmpfs none "$1" && mkdir -p "$1/certs.d/$2" && cp "$3" "$1/certs.d/$2/ca.crt" && '
                          'shift 3 && exec "$@"')
                command = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', place, self.registry.host,
                           self.certificates / 'ca.crt', *self.home.command('pull', self.name)]
                result = subprocess.run(command, env=self.home.env, capture_output=True, timeout=DEADLINE)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assert_is(self.name, self.image)
                self.diatom('rmi', self.name)

    def test_login_and_push_know_certificates_too(self):
        words = ('login', '-u', 'x', '--password-stdin', self.registry.host)
        self.assertIn('certificate', self.diatom(*words, code=1, stdin=b'y', timeout=60).stderr.decode())
        self.assertEqual(self.home.docker_config(), {})
        self.diatom('pull', '--cert-dir', self.certificates, self.name)
        target = f'{self.registry.host}/copy:latest'
        self.diatom('tag', self.name, target)
        self.refused('push', target, naming=('certificate',), timeout=60)
        self.diatom('push', '--cert-dir', self.certificates, target)
        self.assertEqual(self.registry.digest('copy'), self.image.manifest.digest)

    def test_https_is_not_left_for_http(self):
        plain = FaultProxy(self.registry.host)
        self.addCleanup(plain.close)
        front = FaultProxy(self.registry.host, self.server)
        self.addCleanup(front.close)
        front.add('.', redirect=plain.url)
        self.refused('pull', '--cert-dir', self.certificates, f'{front.host}/app:latest', naming=(front.host,), timeout=60)
        self.assertEqual(plain.asked(), [])

    def test_credentials_for_a_token_do_not_go_on_by_http(self):
        plain = FaultProxy(self.registry.host)
        self.addCleanup(plain.close)
        front = FaultProxy(self.registry.host, self.server)
        self.addCleanup(front.close)
        front.add('/token', redirect=plain.url)
        front.add('.', status=401, headers={'Www-Authenticate': f'Bearer realm="{front.url}/token",service="x"'})
        self.refused('pull', '--creds', 'ann:secret', '--cert-dir', self.certificates, f'{front.host}/app:latest',
                     naming=(front.host, 'plain HTTP'), timeout=60)
        self.assertEqual(plain.asked(), [])

    def test_an_upload_does_not_go_on_by_http(self):
        self.diatom('pull', '--cert-dir', self.certificates, self.name)
        plain = FaultProxy(self.registry.host)
        self.addCleanup(plain.close)
        front = FaultProxy(self.registry.host, self.server)
        self.addCleanup(front.close)
        front.add('HEAD', status=404)
        front.add('POST', status=202, headers={'Location': plain.url + '/v2/copy/blobs/uploads/1'})
        self.diatom('tag', self.name, f'{front.host}/copy:latest')
        self.refused('push', '--cert-dir', self.certificates, f'{front.host}/copy:latest', naming=(front.host, 'plain HTTP'),
                     timeout=60)
        self.assertEqual(plain.asked(), [])


class ClientCertificate(RegistryTest):
    @classmethod
    def make_registry(cls):
        cls.authority = Authority(cls.folder)
        cls.client = cls.authority.issue('client')
        return Registry(tls=cls.authority.issue('127.0.0.1'), clients=cls.authority.root.certificate)

    def test_is_asked_for_and_given(self):
        folder = self.home.path / 'certificates'
        folder.mkdir()
        (folder / 'ca.crt').write_bytes(self.authority.root.certificate.read_bytes())
        name = f'{self.registry.host}/none:latest'
        words = ('pull', '--cert-dir', folder, name)
        without = self.refused(*words, timeout=60)
        (folder / 'client.cert').write_bytes(self.client.certificate.read_bytes())
        (folder / 'client.key').write_bytes(self.client.key.read_bytes())
        said = self.refused(*words, naming=('none',), timeout=60)  # the registry answers now: it has no such image
        self.assertNotEqual(without, said)
        self.assertRegex(said.lower(), 'manifest unknown|not found|no such')


class HttpProxies(RegistryTest):
    @classmethod
    def make_registry(cls):
        cls.authority = Authority(cls.folder)
        cls.certificates = cls.folder / 'certificates'
        cls.certificates.mkdir()
        (cls.certificates / 'ca.crt').write_bytes(cls.authority.root.certificate.read_bytes())
        cls.secure = Registry(tls=cls.authority.issue('secure.example'))
        cls.addClassCleanup(cls.secure.close)
        return Registry()

    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({'a': b'a'})])
        cls.push('app')
        cls.secure.push(cls.layout.folder, 'app', 'app')
        cls.way = ForwardProxy({'plain.example:5000': cls.registry.host, 'secure.example:5000': cls.secure.host,
                                'secure.example:443': cls.secure.host})
        cls.addClassCleanup(cls.way.close)

    def setUp(self):
        super().setUp()
        self.way.forget()

    def test_https_goes_through_a_tunnel(self):
        for variable in ('HTTPS_PROXY', 'https_proxy'):
            for name in ('secure.example:5000/app', 'secure.example/app'):
                with self.subTest(variable=variable, name=name):
                    self.way.forget()
                    self.diatom('pull', '--policy', 'always', '--cert-dir', self.certificates, name, env={variable: self.way.url})
                    self.assertTrue(self.way.asked('CONNECT', 'secure.example'))
                    self.assert_is(name, self.image)

    def test_http_is_asked_of_the_proxy(self):
        for variables in (('HTTP_PROXY', 'HTTPS_PROXY'), ('http_proxy', 'https_proxy')):
            with self.subTest(variables):
                self.way.forget()
                env = {variable: self.way.url for variable in variables}
                self.diatom('pull', '--policy', 'always', '--tls-verify=false', 'plain.example:5000/app', env=env)
                self.assertTrue(self.way.asked('GET', 'http://plain.example:5000/v2/app/manifests/'))
                self.assert_is('plain.example:5000/app', self.image)

    def test_a_host_that_is_not_loopback_is_not_asked_in_plain_http(self):
        env = {'HTTP_PROXY': self.way.url, 'HTTPS_PROXY': self.way.url}
        self.refused('pull', 'plain.example:5000/app', naming=('plain.example:5000', '--tls-verify=false'), env=env, timeout=100)
        self.assertEqual(self.way.asked('GET'), [])

    def test_no_proxy_goes_past_it(self):
        """To a mirror on loopback that can be reached without the proxy, by its own name in NO_PROXY."""
        for variable, value in (('NO_PROXY', '127.0.0.1'), ('no_proxy', 'other.example,127.0.0.1'), ('NO_PROXY', '*')):
            with self.subTest(variable=variable, value=value):
                env = {'HTTP_PROXY': self.way.url, 'http_proxy': self.way.url, variable: value}
                self.diatom('pull', f'{self.registry.host}/app', env=env)
                self.assertEqual(self.way.asked(), [])


if __name__ == '__main__':
    main()
