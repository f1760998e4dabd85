"""Debian's docker-registry on a free port of the loopback, for the benches: `with Registry(storage) as registry:`."""
import pathlib
import socket
import subprocess
import tempfile
import time


def connect_until(address, family=socket.AF_INET, deadline_s: float = 20, alive=lambda: True) -> None:
    """Returns when somebody listens there; there is no event for that, so it knocks."""
    end = time.monotonic() + deadline_s
    while True:
        with socket.socket(family) as probe:
            try:
                return probe.connect(address)
            except OSError as error:
                if time.monotonic() > end or not alive():
                    raise TimeoutError(f'nobody answers at {address}: {error}') from error
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Registry:
    def __init__(self, storage: pathlib.Path):
        self.storage = storage
        self.address = f'127.0.0.1:{free_port()}'

    def __enter__(self):
        self.storage.mkdir(parents=True, exist_ok=True)
        self.log = tempfile.TemporaryFile()
        with tempfile.NamedTemporaryFile('w', suffix='.yml') as config:
            config.write(f'version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n'
                         f'storage: {{filesystem: {{rootdirectory: "{self.storage}"}}, delete: {{enabled: true}}}}\n'
                         f'http: {{addr: "{self.address}"}}\n')
            config.flush()
            self.process = subprocess.Popen(['docker-registry', 'serve', config.name], stdin=subprocess.DEVNULL,
                                            stdout=self.log, stderr=self.log)
            host, port = self.address.split(':')
            try:
                connect_until((host, int(port)), alive=lambda: self.process.poll() is None)
            except TimeoutError:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
