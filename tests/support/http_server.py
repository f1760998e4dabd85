"""What the test's own HTTP servers share: threads on a loopback port, a record of what was asked, an orderly end."""
import dataclasses
import http.server
import os
import select
import socket
import ssl
import threading
import time

from certificates import KeyPair
from diatom import DEADLINE


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    status: int = 0  # that was answered
    sent: int = 0  # bytes of the body of the answer
    at: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def range(self) -> str | None:
        return self.headers.get('range')

    @property
    def authorization(self) -> str | None:
        return self.headers.get('authorization')


class Signal:
    """An event that select() can wait for beside sockets."""

    def __init__(self):
        self.fd = os.eventfd(0)

    def set(self):
        os.eventfd_write(self.fd, 1)

    def close(self):
        os.close(self.fd)


def wait_readable(*fds, timeout: float = DEADLINE) -> bool:
    return bool(select.select(fds, [], [], timeout)[0])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    owner: 'LoopbackServer'

    def log_message(self, *_):
        pass

    def body(self) -> bytes:
        if self.headers.get('Transfer-Encoding', '').lower() == 'chunked':
            whole = b''
            while size := int(self.rfile.readline().split(b';')[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return whole
        return self.rfile.read(int(self.headers.get('Content-Length', 0)))

    def answer(self, status: int, body: bytes = b'', headers: dict[str, str] | None = None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def hang_up(self, reset: bool = False):
        self.close_connection = True
        if reset:  # lingering for 0 seconds sends RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def handle_any(self):
        names = {name.lower() for name in self.headers}  # Go writes one Accept line for each media type
        request = Request(self.command, self.path, {name: ', '.join(self.headers.get_all(name)) for name in names})
        with self.owner.changed:
            self.owner.requests.append(request)
            self.owner.changed.notify_all()
        try:
            self.owner.serve(self, request)
        except OSError:  # the client has gone, or the server goes
            self.close_connection = True
        with self.owner.changed:
            self.owner.changed.notify_all()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, handler, tls: KeyPair | None):
        super().__init__(('127.0.0.1', 0), handler)
        self.tls = None
        self.connections: set[socket.socket] = set()
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(tls.certificate, tls.key)

    def finish_request(self, request, client_address):
        self.connections.add(request)
        try:
            if self.tls:  # here, in the connection's own thread, so that a slow handshake holds up nobody else
                request = self.tls.wrap_socket(request, server_side=True)
                self.connections.add(request)
            super().finish_request(request, client_address)
        finally:
            self.connections.discard(request)
            request.close()

    def handle_error(self, *_):  # a client that hangs up in the middle is what these tests are about
        pass


class LoopbackServer:
    """serve() answers one request, in the thread of its connection."""

    def __init__(self, tls: KeyPair | None = None):
        self.requests: list[Request] = []
        self.changed = threading.Condition()
        self.closing = Signal()
        self.server = Server(type('BoundHandler', (Handler,), {'owner': self}), tls)
        self.port = self.server.server_address[1]
        self.host = f'127.0.0.1:{self.port}'
        self.scheme = 'https' if tls else 'http'
        self.url = f'{self.scheme}://{self.host}'
        # Asked every 20 ms whether to stop: that is serve_forever's way.
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def serve(self, handler: Handler, request: Request):
        raise NotImplementedError

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.server.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(DEADLINE)

    def asked(self, method: str = '', path: str = '') -> list[Request]:
        """The requests so far, by their method (any when empty) and a part of their path."""
        with self.changed:
            return [r for r in self.requests if method in ('', r.method) and path in r.path]

    def forget(self):
        with self.changed:
            self.requests.clear()

    def wait_for(self, condition, what: str = 'a request', timeout: float = DEADLINE):
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise AssertionError(f'{what} did not come; seen: {[(r.method, r.path) for r in self.requests]}')


def closed_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
