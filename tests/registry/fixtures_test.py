#!/usr/bin/env python3
"""The fixtures themselves, with skopeo as the client: what these tests stand on does what it says."""
import http.client
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from certificates import Authority  # noqa: E402
from diatom import DEADLINE, main  # noqa: E402
from fault_proxy import FaultProxy, ForwardProxy  # noqa: E402
from http_server import wait_readable  # noqa: E402
from registry import Registry, skopeo  # noqa: E402
from registry_case import RegistryTest  # noqa: E402
from registry_images import layer, noise  # noqa: E402
from token_server import TokenServer  # noqa: E402


class Fixtures(RegistryTest):
    @classmethod
    def push_images(cls):
        cls.image = cls.layout.image('app', [layer({'data': noise(100_000, 1)})])
        cls.push('app')

    def get(self, path: str, headers: dict | None = None):
        connection = http.client.HTTPConnection(self.proxy.host, timeout=DEADLINE)
        self.addCleanup(connection.close)
        connection.request('GET', path, headers=headers or {})
        return connection.getresponse()

    @property
    def blob_path(self):
        return '/v2/app/blobs/' + self.image.layers[0].digest

    def test_the_proxy_passes_on_and_records(self):
        skopeo('copy', '--src-tls-verify=false', f'docker://{self.proxy.host}/app', f'dir:{self.folder}/copied')
        [request] = self.proxy.blob_requests(self.image.layers[0].digest)
        self.assertEqual((request.status, request.sent, request.authorization), (200, self.image.layers[0].size, None))
        part = self.get(self.blob_path, {'Range': 'bytes=10-19'})
        self.assertEqual((part.status, part.read()), (206, self.layout.read(self.image.layers[0])[10:20]))

    def test_each_fault_does_what_it_says(self):
        whole = self.layout.read(self.image.layers[0])
        self.proxy.add('GET .*/blobs/', cut=10, times=1)
        with self.assertRaises(http.client.IncompleteRead) as cut:
            self.get(self.blob_path).read()
        self.assertEqual(cut.exception.partial, whole[:10])
        self.assertEqual(self.get(self.blob_path).read(), whole)  # only once

        cases = [({'corrupt': 5}, 200, whole[:5] + bytes([whole[5] ^ 0x55]) + whole[6:]), ({'truncate': 7}, 200, whole[:-7]),
                 ({'body': b'other'}, 200, b'other'), ({'status': 503}, 503, b''), ({'no_range': True}, 200, whole),
                 ({'drip': (50_000, 0.01)}, 200, whole)]
        for how, status, body in cases:
            with self.subTest(how):
                self.proxy.heal()
                self.proxy.add('GET .*/blobs/', **how)
                answer = self.get(self.blob_path, {'Range': 'bytes=1-'} if 'no_range' in how else {})
                self.assertEqual((answer.status, answer.read()), (status, body))

        self.proxy.heal()
        fault = self.proxy.add('GET .*/blobs/', stall=3)
        answer = self.get(self.blob_path)
        self.assertEqual(answer.read(3), whole[:3])
        self.assertTrue(wait_readable(fault.reached.fd))
        fault.release()
        self.assertEqual(answer.read(), whole[3:])

    def test_the_token_server_grants_what_the_registry_accepts(self):
        tokens = TokenServer(self.folder, {'ann': 'secret'})
        self.addCleanup(tokens.close)
        registry = Registry(token=tokens)
        self.addCleanup(registry.close)
        registry.push(self.layout.folder, 'app', 'public/app')
        self.assertEqual(tokens.granted[-1][0], 'ann')
        skopeo('inspect', '--no-creds', '--tls-verify=false', f'docker://{registry.host}/public/app')
        self.assertEqual(tokens.granted[-1], ('', [{'type': 'repository', 'name': 'public/app', 'actions': ['pull']}]))
        with self.assertRaisesRegex(AssertionError, 'refuses|unauthorized|denied'):
            skopeo('inspect', '--creds', 'ann:wrong', '--tls-verify=false', f'docker://{registry.host}/public/app')
        tokens.stale = 1
        with self.assertRaisesRegex(AssertionError, 'unauthorized|authentication|denied'):
            registry.inspect('public/app')  # skopeo 1.9 does not ask for another

    def test_the_htpasswd_registry_and_the_private_authority(self):
        authority = Authority(self.folder)
        registry = Registry(tls=authority.issue('127.0.0.1'), users={'ann': 'secret'})
        self.addCleanup(registry.close)
        registry.push(self.layout.folder, 'app', 'app')
        certificates = self.folder / 'certificates'
        certificates.mkdir()
        target = f'docker://{registry.host}/app'
        with self.assertRaisesRegex(AssertionError, 'certificate'):
            skopeo('inspect', '--creds', 'ann:secret', '--cert-dir', certificates, target)
        (certificates / 'ca.crt').write_bytes(authority.root.certificate.read_bytes())
        skopeo('inspect', '--creds', 'ann:secret', '--cert-dir', certificates, target)
        with self.assertRaisesRegex(AssertionError, 'auth'):
            skopeo('inspect', '--no-creds', '--cert-dir', certificates, target)

    def test_the_forward_proxy_alone_knows_its_names(self):
        proxy = ForwardProxy({'registry.example:5000': self.registry.host})
        self.addCleanup(proxy.close)
        command = ['skopeo', 'inspect', '--tls-verify=false', 'docker://registry.example:5000/app']
        env = {**self.home.env, 'HTTP_PROXY': proxy.url, 'HTTPS_PROXY': proxy.url}
        self.assertEqual(subprocess.run(command, env=env, capture_output=True, timeout=DEADLINE).returncode, 0)
        self.assertTrue(proxy.asked('CONNECT', 'registry.example:5000'))
        self.assertTrue(proxy.asked('GET', 'http://registry.example:5000/v2/app/manifests/latest'))

    def test_a_proxy_with_tls(self):
        authority = Authority(self.folder)
        proxy = FaultProxy(self.registry.host, authority.issue('127.0.0.1'))
        self.addCleanup(proxy.close)
        skopeo('inspect', '--tls-verify=false', f'docker://{proxy.host}/app')
        self.assertTrue(proxy.asked('GET', '/manifests/latest'))


if __name__ == '__main__':
    main()
