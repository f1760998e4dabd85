"""A reverse proxy between a client and a registry that breaks what it is told to break, and keeps a record."""
import dataclasses
import http.client
import re
import socket
import threading

from certificates import KeyPair
from diatom import DEADLINE
from http_server import Handler, LoopbackServer, Request, Signal, wait_readable

HOP_BY_HOP = {'connection', 'keep-alive', 'transfer-encoding', 'te', 'upgrade', 'proxy-connection'}


@dataclasses.dataclass
class Fault:
    on: str  # a regular expression that "METHOD /path" contains
    times: int | None = None  # so often; None is always
    status: int = 0  # answered at once, without asking the registry
    headers: dict[str, str] = dataclasses.field(default_factory=dict)  # these instead of the registry's
    body: bytes | None = None  # this instead of the registry's, with the Content-Length that fits
    redirect: str = ''  # scheme://host:port to send the client to, with the same path
    delay: float = 0  # seconds before anything else
    cut: int | None = None  # the connection ends after so many bytes of the body
    reset: bool = False  # with `cut`: by RST
    stall: int | None = None  # nothing more comes after so many bytes, until released
    corrupt: int | None = None  # the byte at this place of the body is another
    truncate: int | None = None  # the body is so much shorter, and Content-Length says so
    drip: tuple[int, float] | None = None  # so many bytes at a time, so many seconds apart
    no_range: bool = False  # Range is not passed on: 200 instead of 206

    def __post_init__(self):
        self.reached = Signal()  # somebody hangs at `stall`
        self.released = Signal()

    def release(self):
        self.released.set()


NO_FAULT = Fault('')


class FaultProxy(LoopbackServer):
    def __init__(self, upstream: str, tls: KeyPair | None = None):
        """`upstream` is the registry's host:port, asked in plain HTTP."""
        super().__init__(tls)
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.relative_locations = False  # Location without scheme and host
        self.without_mounts = False  # an upload that asks for a mount becomes an ordinary one

    def add(self, on: str, **how) -> Fault:
        fault = Fault(on, **how)
        with self.changed:
            self.faults.append(fault)
        return fault

    def heal(self):
        """No more faults; what hangs goes on. The record is emptied, too."""
        with self.changed:
            faults, self.faults = self.faults, []
            self.requests.clear()
        for fault in faults:
            fault.release()

    def blob_requests(self, digest: str = '') -> list[Request]:
        return [r for r in self.asked('GET', '/blobs/' + digest)]

    def blob_bytes(self, digest: str = '') -> int:
        return sum(r.sent for r in self.blob_requests(digest))

    def take(self, request: Request) -> Fault:
        with self.changed:
            for fault in self.faults:
                if fault.times != 0 and re.search(fault.on, f'{request.method} {request.path}'):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return NO_FAULT

    def pause(self, handler: Handler, seconds: float, *more) -> bool:
        """Waits until one of `more` (True), the time is up, or the client or the test goes (OSError)."""
        fds = [handler.connection.fileno(), self.closing.fd, *more]
        if not wait_readable(*fds, timeout=seconds):
            return False
        if wait_readable(self.closing.fd, timeout=0):
            raise ConnectionError('the proxy closes')
        if not any(wait_readable(fd, timeout=0) for fd in more):
            raise ConnectionError('the client has gone')
        return True

    def serve(self, handler: Handler, request: Request):
        fault = self.take(request)
        sent_body = handler.body()
        if fault.delay:
            self.pause(handler, fault.delay)
        if fault.status or fault.redirect:
            request.status = fault.status or 307
            where = {'Location': fault.redirect + request.path} if fault.redirect else {}
            return handler.answer(request.status, fault.body or b'', where | fault.headers)
        status, headers, body = self.ask(request, sent_body, fault)
        request.status = status
        body, headers = damaged(body, headers, fault)
        handler.send_response_only(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        if request.method != 'HEAD':
            self.send(handler, request, body, fault)

    def ask(self, request: Request, body: bytes, fault: Fault):
        drop = HOP_BY_HOP | ({'range', 'if-range'} if fault.no_range else set())
        headers = {k: v for k, v in request.headers.items() if k not in drop}
        if 'transfer-encoding' in request.headers:
            headers['content-length'] = str(len(body))
        upstream = http.client.HTTPConnection(self.upstream, timeout=DEADLINE)
        path = request.path.partition('?')[0] if self.without_mounts and 'mount=' in request.path else request.path
        upstream.request(request.method, path, body or None, headers)
        answer = upstream.getresponse()
        data = answer.read()
        kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in HOP_BY_HOP]
        if request.method != 'HEAD':
            kept = [(k, v) for k, v in kept if k.lower() != 'content-length'] + [('Content-Length', str(len(data)))]
        if self.relative_locations:
            kept = [(k, re.sub('^https?://[^/]+', '', v) if k.lower() == 'location' else v) for k, v in kept]
        if fault.no_range:
            kept = [(k, v) for k, v in kept if k.lower() not in ('accept-ranges', 'etag')]
        upstream.close()
        return answer.status, kept, data

    def send(self, handler: Handler, request: Request, body: bytes, fault: Fault):
        def write(data: bytes):
            handler.wfile.write(data)
            with self.changed:
                request.sent += len(data)
                self.changed.notify_all()

        if fault.drip:
            size, seconds = fault.drip
            for at in range(0, len(body), size):
                write(body[at:at + size])
                self.pause(handler, seconds)
        elif fault.cut is not None:
            write(body[:fault.cut])
            handler.hang_up(fault.reset)
        elif fault.stall is not None:
            write(body[:fault.stall])
            fault.reached.set()
            self.pause(handler, DEADLINE, fault.released.fd)
            write(body[fault.stall:])
        else:
            for at in range(0, len(body), 1 << 16):
                write(body[at:at + (1 << 16)])


def damaged(body: bytes, headers: list[tuple[str, str]], fault: Fault):
    changed = dict(fault.headers)
    if fault.body is not None:
        body = fault.body
    if fault.corrupt is not None and fault.corrupt < len(body):
        body = body[:fault.corrupt] + bytes([body[fault.corrupt] ^ 0x55]) + body[fault.corrupt + 1:]
    if fault.truncate is not None:
        body = body[:-fault.truncate]
    if fault.body is not None or fault.truncate is not None:
        changed.setdefault('Content-Length', str(len(body)))
    names = {name.lower() for name in changed}
    return body, [(k, v) for k, v in headers if k.lower() not in names] + list(changed.items())


class ForwardProxy(LoopbackServer):
    """An HTTP proxy as a company has one: CONNECT, and absolute URLs. It alone knows the hosts in `names`
    ("registry.example:5000" → "127.0.0.1:4711"), so that who reaches them has come through here."""

    def __init__(self, names: dict[str, str]):
        super().__init__()
        self.names = names

    def serve(self, handler: Handler, request: Request):
        if request.method == 'CONNECT':
            return self.tunnel(handler, request)
        match = re.match(r'http://([^/]+)(/.*)', request.path)
        target = match and self.names.get(match[1])
        if not target:
            return handler.answer(502, b'no such host')
        headers = {k: v for k, v in request.headers.items() if k not in HOP_BY_HOP}
        upstream = http.client.HTTPConnection(target, timeout=DEADLINE)
        upstream.request(request.method, match[2], handler.body() or None, headers)
        answer = upstream.getresponse()
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in HOP_BY_HOP | {'content-length'}}
        request.status = answer.status
        if request.method == 'HEAD':
            kept |= {k: v for k, v in answer.getheaders() if k.lower() == 'content-length'}
            handler.send_response_only(answer.status)
            for name, value in kept.items():
                handler.send_header(name, value)
            handler.end_headers()
        else:
            handler.answer(answer.status, answer.read(), kept)
        upstream.close()

    def tunnel(self, handler: Handler, request: Request):
        handler.close_connection = True
        target = self.names.get(request.path)
        if not target:
            return handler.answer(502, b'no such host')
        host, port = target.split(':')
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as upstream:
            handler.send_response_only(200, 'Connection established')
            handler.end_headers()
            request.status = 200
            back = threading.Thread(target=copy, args=(upstream, handler.connection), daemon=True)
            back.start()
            copy(handler.connection, upstream)
            back.join(DEADLINE)


def copy(source: socket.socket, target: socket.socket):
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
