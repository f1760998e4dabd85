"""A token server (distribution's specification of token authentication, and of OAuth2) whose tokens docker-registry accepts."""
import base64
import json
import pathlib
import re
import time
import urllib.parse

from certificates import KeyPair, openssl, signing_key
from http_server import Handler, LoopbackServer, Request

REFRESH_TOKEN = 'refresh-token-of-the-tests'
# docker-registry accepts a token for so long after its end, for clocks that differ.
LEEWAY = 60


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


class TokenServer(LoopbackServer):
    """Anybody may pull what is below `public/`; the users may pull and push anything.
    `stale`: so many tokens to come have ended before they are used. `failures`: so many requests to come get 503.
    `delay`: seconds before an answer."""
    service = 'registry of the tests'
    issuer = 'token server of the tests'

    def __init__(self, folder: pathlib.Path, users: dict[str, str], tls: KeyPair | None = None):
        self.key = signing_key(folder)
        self.users = users
        self.stale = self.failures = 0
        self.delay = 0.0
        self.granted: list[tuple[str, list[dict]]] = []  # (account, access)
        super().__init__(tls)

    def registry_config(self) -> dict:
        return {'token': {'realm': self.url + '/token', 'service': self.service, 'issuer': self.issuer,
                          'rootcertbundle': str(self.key.certificate)}}

    def sign(self, claims: dict) -> str:
        certificate = re.sub(r'-----.*?-----|\s', '', self.key.certificate.read_text())
        header = {'typ': 'JWT', 'alg': 'RS256', 'x5c': [certificate]}
        text = '.'.join(base64url(json.dumps(part).encode()) for part in (header, claims))
        return text + '.' + base64url(openssl('dgst', '-sha256', '-sign', self.key.key, stdin=text.encode()))

    def account(self, handler: Handler, form: dict) -> str | None:
        """The user that the request proves to be; '' for nobody in particular, None for wrong credentials."""
        if form.get('grant_type') == ['refresh_token']:
            return next(iter(self.users)) if form.get('refresh_token') == [REFRESH_TOKEN] else None
        if form.get('grant_type') == ['password']:
            user, password = form['username'][0], form['password'][0]
        else:
            given = handler.headers.get('Authorization', '')
            if not given:
                return ''
            user, _, password = base64.b64decode(given.removeprefix('Basic ')).decode().partition(':')
        return user if self.users.get(user) == password else None

    def serve(self, handler: Handler, request: Request):
        path, _, query = request.path.partition('?')
        form = urllib.parse.parse_qs((handler.body().decode() if request.method == 'POST' else query))
        request.form = form  # for the tests to look at
        with self.changed:
            if self.delay:
                self.changed.wait(self.delay)
            failing, self.failures = self.failures > 0, max(0, self.failures - 1)
        if failing:
            request.status = 503
            return handler.answer(503)
        account = self.account(handler, form)
        if path != '/token' or form.get('service') != [self.service] or account is None:
            request.status = 401
            return handler.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"the token server refuses"}]}')
        access = [self.grant(scope, account) for scope in ' '.join(form.get('scope', [])).split()]
        with self.changed:
            late, self.stale = self.stale > 0, max(0, self.stale - 1)
            self.granted.append((account, access))
        now = int(time.time())
        ends = now - LEEWAY - 5 if late else now + 300
        token = self.sign({'iss': self.issuer, 'sub': account, 'aud': self.service, 'iat': now - 600, 'nbf': now - 600,
                           'exp': ends, 'jti': str(len(self.granted)), 'access': access})
        answer = {'access_token': token, 'expires_in': 300}
        if request.method == 'GET':
            answer['token'] = token
        if form.get('offline_token') == ['true'] or form.get('access_type') == ['offline']:
            answer['refresh_token'] = REFRESH_TOKEN
        request.status = 200
        handler.answer(200, json.dumps(answer).encode(), {'Content-Type': 'application/json'})

    def grant(self, scope: str, account: str) -> dict:
        kind, name, actions = scope.split(':')[0], ':'.join(scope.split(':')[1:-1]), scope.split(':')[-1].split(',')
        allowed = actions if account else [a for a in actions if a == 'pull' and name.startswith('public/')]
        return {'type': kind, 'name': name, 'actions': allowed}
