"""Debian's docker-registry on a loopback port of its own, with storage of its own."""
import base64
import ctypes
import hashlib
import json
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading

from certificates import KeyPair
from diatom import DEADLINE
from token_server import TokenServer

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_parent():
    """In the child, before exec: a test that ctest kills at its deadline leaves no registry behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Registry:
    """`users` makes it ask for Basic credentials, `token` for those of a token server, `tls` makes it speak TLS only,
    and `clients` only with clients that have a certificate of this authority."""

    def __init__(self, tls: KeyPair | None = None, users: dict[str, str] | None = None, token: TokenServer | None = None,
                 clients: pathlib.Path | None = None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='diatom-registry-'))
        self.tls, self.users, self.token = tls, users, token
        config = {'version': '0.1', 'log': {'level': 'info'},
                  'storage': {'filesystem': {'rootdirectory': str(self.folder / 'data')}, 'delete': {'enabled': True}},
                  'http': {'addr': '127.0.0.1:0'}}
        if tls:
            config['http']['tls'] = {'certificate': str(tls.certificate), 'key': str(tls.key)}
            if clients:
                config['http']['tls']['clientcas'] = [str(clients)]
        if users:
            config['auth'] = {'htpasswd': {'realm': 'tests', 'path': str(self.htpasswd())}}
        if token:
            config['auth'] = token.registry_config()
        path = self.folder / 'config.yml'
        path.write_text(json.dumps(config))  # JSON is YAML
        self.process = subprocess.Popen(['docker-registry', 'serve', path], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        self.log: list[str] = []
        listening: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self.read_log, args=(listening,), daemon=True)
        self.reader.start()
        # It listens before it says so: who reads this line can connect.
        self.host = listening.get(timeout=DEADLINE)
        if not self.host:
            raise AssertionError(f'docker-registry did not start: {self.log[-5:]}')
        self.url = ('https://' if tls else 'http://') + self.host

    def htpasswd(self) -> pathlib.Path:
        path = self.folder / 'htpasswd'
        path.touch()
        for user, password in self.users.items():
            subprocess.run(['htpasswd', '-bB', '-C', '4', path, user, password], check=True, capture_output=True, timeout=30)
        return path

    def read_log(self, listening: queue.Queue):
        for line in self.process.stderr:
            self.log.append(line.decode(errors='replace'))
            if match := re.search(r'listening on ([0-9.]+:[0-9]+)', self.log[-1]):
                listening.put(match[1])
        listening.put('')

    def close(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def credentials(self) -> str:
        users = self.users or (self.token and self.token.users) or {}
        return ':'.join(next(iter(users.items()))) if users else ''

    def push(self, layout: pathlib.Path, tag: str, name: str, *options):
        """`oci:LAYOUT:TAG` → our NAME, by skopeo, with every platform of an index."""
        creds = ['--dest-creds', self.credentials()] if self.credentials() else []
        # Else skopeo packs what is not packed.
        keep = [] if '--format' in options else ['--preserve-digests']
        skopeo('copy', '--all', '--dest-tls-verify=false', *keep, *creds, *options, f'oci:{layout}:{tag}',
               f'docker://{self.host}/{name}')

    def inspect(self, name: str, *options) -> dict:
        creds = ['--creds', self.credentials()] if self.credentials() else []
        return json.loads(skopeo('inspect', '--tls-verify=false', *creds, *options, f'docker://{self.host}/{name}'))

    def digest(self, name: str) -> str:
        """Of the manifest or index that is under the name."""
        creds = ['--creds', self.credentials()] if self.credentials() else []
        raw = skopeo('inspect', '--raw', '--tls-verify=false', *creds, f'docker://{self.host}/{name}')
        return 'sha256:' + hashlib.sha256(raw).hexdigest()


def skopeo(*words) -> bytes:
    result = subprocess.run(['skopeo', '--insecure-policy', *map(str, words)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=DEADLINE)
    if result.returncode != 0:
        raise AssertionError(f'skopeo {" ".join(map(str, words))}: {result.stderr.decode()}')
    return result.stdout


def basic(user: str, password: str) -> str:
    return base64.b64encode(f'{user}:{password}'.encode()).decode()
