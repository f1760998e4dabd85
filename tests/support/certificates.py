"""A certificate authority of a test's own, made by openssl."""
import dataclasses
import pathlib
import subprocess


@dataclasses.dataclass(frozen=True)
class KeyPair:
    certificate: pathlib.Path
    key: pathlib.Path


def openssl(*words, stdin: bytes = b'') -> bytes:
    return subprocess.run(['openssl', *map(str, words)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=True, timeout=30).stdout


def make(folder: pathlib.Path, name: str, key: str, *words) -> KeyPair:
    pair = KeyPair(folder / f'{name}.crt', folder / f'{name}.key')
    algorithm = {'ec': ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'), 'rsa': ('-newkey', 'rsa:2048')}[key]
    openssl('req', '-x509', *algorithm, '-nodes', '-days', '2', '-subj', f'/CN={name}', '-keyout', pair.key, '-out',
            pair.certificate, *words)
    return pair


class Authority:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.root = make(folder, 'authority', 'ec')

    def issue(self, *hosts: str) -> KeyPair:
        """For a server that is reached by these names and addresses; the first one names the files."""
        names = ','.join(('IP:' if host[0].isdigit() else 'DNS:') + host for host in hosts)
        return make(self.folder, hosts[0], 'ec', '-CA', self.root.certificate, '-CAkey', self.root.key, '-addext',
                    f'subjectAltName={names}', '-addext', 'basicConstraints=critical,CA:FALSE')


def signing_key(folder: pathlib.Path) -> KeyPair:
    """RSA: its signatures go into a token as openssl makes them."""
    return make(folder, 'signer', 'rsa')
