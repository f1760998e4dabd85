#!/usr/bin/env python3
"""Writes the seeds of fuzz/corpus/: one small, valid or nearly valid input for each thing that a parser knows.

Run it after a format changed, and commit what it writes. Names are given here; inputs that once found a bug lie beside
them under names of their own (bug-*), which this leaves alone.
"""
import gzip
import hashlib
import io
import json
import pathlib
import struct
import subprocess
import tarfile

CORPUS = pathlib.Path(__file__).parent / 'corpus'
DIGEST = 'sha256:' + 'ab' * 32


def write(target: str, seeds: dict[str, bytes | str]):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def zstd(content: bytes) -> bytes:
    return subprocess.run(['zstd', '-q', '-c'], input=content, stdout=subprocess.PIPE, check=True).stdout


# ---- Text.

def texts():
    write('reference', {
        'short': 'busybox', 'tag': 'debian:12', 'port': 'localhost:5000/a/b_c.d:v1', 'ipv6': '[::1]:5000/a',
        'digest': 'alpine@' + DIGEST, 'both': 'quay.io/x/y-z__w:1@' + DIGEST, 'library': 'docker.io/library/nginx',
        'hub-host': 'index.docker.io/x/y', 'hub-localhost': 'docker.io/localhost/x', 'hub-dot': 'docker.io/a.b/c'})
    elf = struct.pack('<4s12xHHIQQQIHHHHHH', b'\x7fELF', 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    elf += struct.pack('<IIQQQQQQ', 3, 4, 120, 0, 0, 5, 5, 1)  # PT_INTERP
    write('interpreter', {'script': '#! /bin/sh -e\necho', 'elf': elf + b'/ld\0', 'no-end': elf + b'/ld'})
    write('digest', {'good': DIGEST, 'upper': DIGEST.upper(), 'short': DIGEST[:-1], 'sha512': 'sha512:' + 'a' * 128})
    write('port_mapping', {'port': '80', 'both': '8080:80/udp', 'address': '127.0.0.1::80', 'ipv6': '[::1]:8080:80',
                           'ranges': '8000-8002:80-82', 'any-of': '8000-8010:80'})
    write('size', {'plain': '1024', 'docker': '512m', 'kubernetes': '2Gi', 'large': '18446744073709551615',
                   'beyond': '16777216Ti', 'negative': '-1'})
    write('path', {'normal': 'usr/lib/x', 'dots': './usr//./lib/', 'root': './', 'up': 'a/../b', 'absolute': '/etc',
                   'long-name': 'n' * 256, 'long': 'd/' * 2048 + 'x'})
    write('platform', {'full': 'linux/arm/v7', 'two': 'linux/amd64', 'one': 'arm64', 'machine': 'linux/x86_64',
                       'empty': 'linux/', 'four': 'a/b/c/d'})
    write('changes', {str(i): text for i, text in enumerate((
        'CMD ["/bin/sh", "-c", "x"]', 'ENTRYPOINT /run me', 'ENV A=1 B="two words" C=\\ d', 'ENV OLD form of it', 'LABEL a=b c',
        'EXPOSE 80 443/udp', 'VOLUME ["/a", "/b"]', 'VOLUME /a /b', 'WORKDIR rel', 'USER 1:2', 'STOPSIGNAL 9', 'ONBUILD RUN x',
        'FROM scratch', 'ENV', 'LABEL "open'))})
    write('challenge', {str(i): text for i, text in enumerate((
        'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
        'Basic realm="x", Bearer realm=\'y\'', 'Basic', 'Negotiate abc==, Basic realm="a\\"b"', 'Bearer realm=, =,'))})
    auth = {'auths': {'https://index.docker.io/v1/': {'auth': 'dXNlcjpwYXNz'}, 'quay.io/a': {'identitytoken': 't'}},
            'credHelpers': {'gcr.io': 'gcloud'}, 'credsStore': 'pass'}
    write('credentials', {'docker': json.dumps(auth), 'empty': '{}', 'odd': '{"auths":{"x":1,"y":{"auth":"%%"}}}'})
    write('container_document', {str(i): json.dumps(document) for i, document in enumerate((
        {'service': 'web', 'replica': 2, 'image': 'nginx:1', 'pull_policy': 'newer', 'user': '1:2', 'working_dir': '/w',
         'resources': {'cpu': 0.5, 'memory': '512Mi', 'gpu': 0}, 'env': {'A': '1', 'B': None}, 'entrypoint': ['/e'],
         'args': ['a', 'b'], 'ports': ['8080:80/udp', {'container_port': 80, 'host_port': 8081, 'host_address': '::1'}],
         'restart': 'on-failure:3', 'health': {'command': ['true'], 'interval': '5s', 'retries': 2},
         'labels': {'tier': 'front'}},
        {'name': 'one', 'image': 'x', 'tmpfs': ['/run:size=1m'], 'ulimits': ['nofile=1:2'], 'sysctls': {'net.a': '1'},
         'log': {'max_size': '1m', 'max_files': 2}, 'stop_timeout': '3s', 'shm_size': 4096, 'auto_remove': True},
        {'image': 'x', 'resources': {'gpu': 1}}, {'image': 'x', 'unknown': {}}, {'service': 'a', 'image': 'x'}, []))}
        | {'twice': '{"image": "a", "image": "b"}', 'nul': '{"image": "a\\u0000b"}', 'torn': '{"image": "a'})
    write('capi_options', {str(i): json.dumps(options) for i, options in enumerate((
        {}, {'home': '/h', 'run': '/r', 'monitor': '/m'}, {'since': '10m', 'follow': True, 'filters': {'type': ['image']}},
        {'username': 'u', 'password': 'p', 'tls_verify': False}, {'policy': 'newer', 'platform': 'arm64', 'all_tags': True},
        {'all': True, 'until': '24h', 'labels': ['a=b', 'c']}, {'changes': ['CMD x'], 'reference': 'a:1'}, {'force': True},
        {'env': {'A': '1'}, 'tty': True, 'detach_keys': 'ctrl-a'}, {'timeout': '1m30s', 'signal': 'INT'}, {'tail': 10},
        {'cpu': 1.5, 'memory': 134217728, 'restart': 'always'}, {'deadline': '5s'}, {'nothing': 1}))})
    write('template', {str(i): text for i, text in enumerate((
        '{{.ID}}', '{{json .}}', 'table {{.ID}}\\t{{.Size}}', '{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}',
        '{{if eq .Size 12}}a{{else}}b{{end}}', '{{with .Tags}}{{join . ","}}{{end}}', '{{index .Tags 0 | upper}}',
        '{{- printf "%s %d %q" .ID .Size "x" -}}', '{{.Nope}}', '{{', '{{end}}', '{{range .Tags}}'))})
    passwd = 'root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/var/www:/bin/false\n'
    group = 'root:x:0:\nweb:x:33:\ndocker:x:999:web,root\n'
    write('users', {name: '\0'.join((user, passwd, group)) for name, user in (
        ('empty', ''), ('name', 'web'), ('uid', '33'), ('both', 'web:docker'), ('numbers', '5:6'), ('none', 'nobody'),
        ('minus-one', '4294967295:4294967295'))} | {'odd-file': 'a\0a:x:4294967295:1:::\n\n:::::\na:x:1:2:::\0::\na:x'})


def documents():
    descriptor = {'mediaType': 'application/vnd.oci.image.layer.v1.tar+gzip', 'digest': DIGEST, 'size': 5}
    config = descriptor | {'mediaType': 'application/vnd.oci.image.config.v1+json'}
    runtime = {'Env': ['A=1'], 'Entrypoint': ['/x'], 'Cmd': ['y'], 'WorkingDir': '/', 'User': '1:1', 'StopSignal': '9'}
    rootfs = {'type': 'layers', 'diff_ids': [DIGEST]}
    write('image_documents', {name: json.dumps(document) for name, document in {
        'index': {'schemaVersion': 2, 'manifests': [config | {
            'annotations': {'org.opencontainers.image.ref.name': 'a:b'},
            'platform': {'os': 'linux', 'architecture': 'arm64', 'variant': 'v8'}}]},
        'manifest': {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json', 'config': config,
                     'layers': [descriptor, descriptor]},
        'config': {'os': 'linux', 'architecture': 'amd64', 'created': '2024-01-01T00:00:00Z', 'config': runtime,
                   'rootfs': rootfs},
        'docker-archive': [{'Config': 'c.json', 'RepoTags': ['a:b'], 'Layers': ['a/layer.tar']}],
        'wrong-kinds': {'manifests': {}, 'config': [], 'layers': 1, 'rootfs': {'type': 1, 'diff_ids': 'x'}},
    }.items()} | {'deep': '[' * 2000 + ']' * 2000})


def messages():
    write('messages', {name: json.dumps(document) for name, document in {
        'container': {'hostname': 'h', 'resolv_conf': ['nameserver 1.1.1.1'], 'extra_hosts': ['::1 x'],
                      'read_only': True, 'has_upper': False, 'tmpfs': [{'path': '/t', 'options': 'size=1m'}],
                      'shm_bytes': 1, 'cpu_quota_us': 2, 'pids_max': 3, 'memory_max': 4, 'init': True,
                      'ulimits': [{'name': 'nofile', 'soft': 1, 'hard': 2}],
                      'sysctls': [{'name': 'net.core.somaxconn', 'value': '1'}], 'cap_add': ['ALL'],
                      'cap_drop': ['CHOWN'], 'privileged': True, 'no_new_privileges': True,
                      'clock_offset_ns': 1790000000000000000, 'entropy': {'hex': '00ff80'},
                      'network': {'interface': 'eth0', 'mac': '02:00:00:00:00:07', 'address': '10.0.2.15', 'prefix': 24, 'gateway': '10.0.2.2',
                                  'resolver': '10.0.2.3', 'published_udp': [53]}},
        'process': {'argv': ['a', {'hex': 'ff00'}], 'env': ['K=V'], 'cwd': '/', 'user': 'u:g', 'tty': True,
                    'rows': 65535, 'cols': 1, 'open_stdin': True, 'groups': ['a', '1'], 'detached': True,
                    'privileged': True},
        'limits': {'cpu_quota_us': 0, 'cpu_weight': 100, 'memory_max': 1, 'pids_max': 2},
        'stats': {'cpu': {'usage_us': 1}, 'memory': {'current': 2}, 'pids': {'limit': 3}, 'online_cpus': 4,
                  'io': {'read_bytes': 5, 'devices': [{'major': 254, 'minor': 0, 'reads': 6}]},
                  'interfaces': [{'name': 'eth0', 'rx_bytes': 7}]},
        'processes': {'total': 1, 'processes': [{'pid': 1, 'nice': -20, 'user': 'u', 'cmdline': {'hex': '6100'}}]},
        'clock': {'monotonic_ns': 5000000000},
        'identity': {'clock_offset_ns': 1, 'entropy': 'e', 'hostname': 'h'},
        'exit': {'code': 137, 'signal': 9, 'oom_killed': True},
        'failure': {'exit_code': 127, 'message': 'not found'},
        'wrong-kinds': {'argv': {}, 'tmpfs': 1, 'code': -1, 'hostname': {'hex': 'f'}},
    }.items()} | {'deep': '{"tmpfs":[' + '[' * 1500 + ']' * 1500 + ']}', 'bytes': b'\xff\xc3\xa9\xed\xa0\x80\xf4\x90'})


# ---- QEMU.

def qemu():
    stamp = {'seconds': 1790000000, 'microseconds': 123456}
    lines = [{'QMP': {'version': {'qemu': {'micro': 22, 'minor': 2, 'major': 7}}, 'capabilities': ['oob']}}, {'return': {}},
             {'timestamp': stamp, 'event': 'MIGRATION', 'data': {'status': 'completed'}}, {'timestamp': stamp, 'event': 'RESUME'}]
    write('qmp', {'restored': ''.join(json.dumps(line) + '\r\n' for line in lines),
                  'twice': json.dumps(lines[3]) + '\n' + json.dumps({'event': 'RESUME', 'data': {'no': 1}}) + '\n' + json.dumps(lines[3]) + '\n',
                  'error': json.dumps({'error': {'class': 'GenericError', 'desc': 'no such capability'}}) + '\n',
                  'odd': '{"event": 1, "data": []}\n', 'none': '[]\n', 'error-odd': '{"error": 1}\n', 'cut': '{"event": "RES'})
    file = {'bytes': 8192, 'inode': 7, 'changed_ns': 1790000000000000000}
    write('template_record', {
        'template': json.dumps({'vcpus': 2, 'memory_bytes': 536870912, 'network': True, 'upper': True, 'kernel': '6.1.0-40',
                                'accelerator': 'tcg', 'created_ns': 1790000000000000000,
                                'files': {'format': 3, 'memory': file, 'state': file, 'state_sha256': 'ab' * 32}}),
        'failure': json.dumps({'reason': 'no room', 'count': 3, 'time_ns': 1790000000000000000}),
        'failure-large': json.dumps({'reason': '', 'count': 2**63 - 1, 'time_ns': 2**64 - 1}),
        'failure-negative': json.dumps({'reason': 1, 'count': 1, 'time_ns': -2**63}),
        'odd': '{"files": 1, "vcpus": "x", "memory_bytes": -1}', 'none': '[]', 'deep': '{"files":' + '[' * 1500 + ']' * 1500 + '}'})


# ---- Layers.

def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def tar(*entries, form=tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=form) as archive:
        for info in entries:
            content = b''
            if isinstance(info, tuple):
                info, content = info
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    entries_only = out.getvalue().rstrip(b'\0')  # less padding than a tape wants
    return entries_only + bytes(-len(entries_only) % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def gnu_sparse() -> bytes:
    """An old GNU sparse file: 100 bytes at 1 MiB of a file of 2 MiB."""
    header = bytearray(entry('sparse', size=100).tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b'S'
    header[386:398] = b'%011o\0' % (1 << 20)
    header[398:410] = b'%011o\0' % 100
    header[483:495] = b'%011o\0' % (2 << 20)
    header[148:156] = b' ' * 8
    header[148:156] = b'%06o\0 ' % sum(header)
    return bytes(header) + b's' * 100 + bytes(412) + bytes(1024)


def layers():
    tree = tar(entry('./', tarfile.DIRTYPE, mode=0o755), entry('etc', tarfile.DIRTYPE, mode=0o755),
               (entry('etc/passwd', mode=0o644, mtime=1.5), b'root:x:0:0::/:\n'),
               entry('link', tarfile.SYMTYPE, linkname='/etc/passwd'), entry('hard', tarfile.LNKTYPE, linkname='etc/passwd'))
    special = tar(entry('null', tarfile.CHRTYPE, devmajor=1, devminor=3), entry('disk', tarfile.BLKTYPE, devmajor=254),
                  entry('pipe', tarfile.FIFOTYPE), (entry('setuid', mode=0o4755, uid=1 << 31, gid=70000), b'x' * 5000))
    whiteouts = tar(entry('a/.wh.b'), entry('a/.wh..wh..opq'), entry('.wh..wh.plnk'), (entry('a/c'), b'c'))
    pax = {'SCHILY.xattr.user.x': 'y', 'SCHILY.xattr.security.capability': 'cap', 'mtime': '-1.5', 'path': 'p' * 120}
    attributes = tar((entry('name', pax_headers=pax), b'1'))
    sparse = tar((entry('s', pax_headers={'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 's',
                                          'GNU.sparse.realsize': '1048577'}), b'1\n1048576\n1\n'.ljust(512, b'\0') + b'x'))
    links = tar(entry('a', tarfile.SYMTYPE, linkname='b'), entry('b', tarfile.SYMTYPE, linkname='a'),
                (entry('a/x'), b''), form=tarfile.GNU_FORMAT)
    through = tar(entry('real', tarfile.DIRTYPE), entry('via', tarfile.SYMTYPE, linkname='../real'), (entry('via/x'), b'x'))
    seeds = {'tree': tree, 'special': special, 'whiteouts': whiteouts, 'xattrs': attributes, 'pax-sparse': sparse,
             'gnu-sparse': gnu_sparse(), 'symlink-loop': links, 'through-symlink': through, 'up': tar(entry('../x')),
             'gnu-long-name': tar((entry('l' * 200), b''), form=tarfile.GNU_FORMAT), 'cut': tree[:1300],
             'gzip': gzip.compress(tree, mtime=0), 'zstd': zstd(tree), 'empty': bytes(1024)}
    write('layer', seeds)
    text = b'diatom ' * 100
    skippable = b'\x50\x2a\x4d\x18' + struct.pack('<I', 3) + b'abc'
    write('inflate', {
        'plain': text, 'gzip': gzip.compress(text, mtime=0), 'gzip-stored': gzip.compress(text, 0, mtime=0),
        'gzip-members': gzip.compress(b'a', mtime=0) + gzip.compress(b'b', mtime=0),
        'gzip-padded': gzip.compress(b'a', mtime=0) + bytes(600), 'gzip-trailing': gzip.compress(b'a', mtime=0) + b'x',
        'gzip-cut': gzip.compress(text, mtime=0)[:-9], 'gzip-bomb': gzip.compress(bytes(3 << 20), mtime=0),
        'zstd': zstd(text), 'zstd-frames': zstd(b'a') + skippable + zstd(b'b'), 'zstd-skippable': skippable + zstd(text),
        'zstd-cut': zstd(text)[:-3], 'zstd-bomb': zstd(bytes(3 << 20)), 'empty': b'', 'magic': b'\x1f\x8b'})
    write('archive', {
        'oci': tar((entry('oci-layout'), b'{}'), (entry('index.json'), b'{"manifests":[]}')),
        'docker': tar((entry('manifest.json'), b'[]'), (entry('b/layer.tar'), b'layer'),
                      entry('a/layer.tar', tarfile.SYMTYPE, linkname='../b/layer.tar')),
        'hard-link': tar((entry('index.json'), b'{}'), entry('manifest.json', tarfile.LNKTYPE, linkname='index.json')),
        'gzip': gzip.compress(tar((entry('index.json'), b'{}')), mtime=0), 'up': tar((entry('../x'), b'')),
        'no-tar': b'hello'})


def index_entry(kind: int, path: str, target: str = '', xattrs: bytes = b'', size: int = 0, block: int = 0) -> bytes:
    fixed = struct.pack('<BHIIqIIIQQHHI', kind, 0o755, 0, 0, 0, 0, 1, 3, size, block, len(path), len(target), len(xattrs))
    return fixed + path.encode() + target.encode() + xattrs


def indexes():
    def index(*entries: bytes, data: int = 0) -> bytes:  # without its magic and its checksum
        return struct.pack('<QQQ', data, 1024, len(entries)) + hashlib.sha256(b'').digest() + b''.join(entries)

    xattrs = bytes(12) + struct.pack('<BBH', 1, 1, 1) + b'xy' + bytes(2)
    every = [index_entry(0, 'd'), index_entry(1, 'd/f', size=5000), index_entry(2, 'l', 'd'), index_entry(3, 'c'),
             index_entry(4, 'b'), index_entry(5, 'p'), index_entry(6, 'h', 'd/f'), index_entry(7, 'd/gone'),
             index_entry(8, 'd'), index_entry(0, '', xattrs=xattrs)]
    many = [index_entry(1, f'd/{i:03}-{"n" * 60}') for i in range(60)]  # a directory of more than a block
    write('layer_index', {'empty': index(), 'every-kind': index(*every, data=8192), 'large-directory': index(*many),
                          'dots': index(index_entry(1, '..'), index_entry(0, 'a/.')), 'long-link': index(
                              index_entry(2, 'l', 't' * 4095)), 'long-name': index(index_entry(1, 'n' * 5000)),
                          'odd-xattrs': index(index_entry(0, 'x', xattrs=bytes(4)))})


# ---- What is read from the end by FuzzedDataProvider: anything will do, it only gives the mutator words.

def words():
    write('xattrs', {'names': b'x\\y\\capability\\c\\' + bytes(range(64))})
    write('console_tail', {'panic': b'one\r\ntwo\n\x1b[1mKernel panic - not syncing: x\n---[ end\n\\' + b'\1\1\2',
                           'lines': b'a\nb\nc\nd\n\\' + b'\xff\3'})
    note = struct.pack('<III4sI', 4, 4, 18, b'Xen\0', 0x1000370)
    long_note = struct.pack('<III4sQ', 4, 8, 18, b'Xen\0', 0x1000370)
    write('pvh_kernel', {'note': b'kernel' + note + b'more', 'at-end': b'\x90' * 64 + long_note, 'cut': note[:-1],
                         'none': b'MZ' + bytes(64)})


# ---- HTTP/2, as hostile_peer.h reads it: a byte of choices, then records.

DATA, HEADERS, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
OK, NOT_FOUND, FAILED = b'\x88', b'\x8d', b'\x8e'


def frame(kind: int, flags: int, stream: int, payload: bytes = b'') -> bytes:
    return bytes([len(payload), kind, flags, stream]) + payload


def raw_frame(kind: int, flags: int, stream: int, payload: bytes = b'') -> bytes:
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload


def guest():
    exit_report = json.dumps({'code': 3, 'signal': 0, 'oom_killed': False}).encode()
    why = json.dumps({'exit_code': 127, 'message': 'not found'}).encode()
    window = frame(WINDOW, 0, 0, b'\0\x0f\xff\xff')

    def answer(stream: int, status: bytes, body: bytes = b'') -> bytes:
        return frame(HEADERS, END_HEADERS, stream, status) + frame(DATA, END_STREAM, stream, body)

    # The client's streams: 1 container, 3 process, 5 stdout, 7 stderr, 9 stdin or exit, 11 exit or more.
    begin = frame(SETTINGS, ACK, 0) + window + answer(1, OK) + answer(3, OK)
    output = frame(HEADERS, END_HEADERS, 5, OK) + frame(DATA, 0, 5, b'out') + frame(DATA, END_STREAM, 5)
    error = frame(HEADERS, END_HEADERS, 7, OK) + frame(DATA, PADDED, 7, b'\2err\0\0') + frame(DATA, END_STREAM, 7)
    consume, ask_on = 8, 32
    for_stdin = frame(SETTINGS, 0, 0, struct.pack('>HI', 4, 1 << 20)) + begin
    write('guest', {
        'run': bytes([consume]) + begin + output + error + answer(9, OK, exit_report),
        'run-asks-on': bytes([consume | ask_on]) + begin + output + error + answer(9, OK, exit_report) + answer(11, OK),
        'terminal': bytes([consume | 2]) + begin + output + answer(7, OK, exit_report),
        'stdin': bytes([consume | 4]) + for_stdin + frame(RST, 0, 9, b'\0\0\0\0') + answer(11, OK, exit_report),
        'not-found': bytes([consume]) + answer(1, OK) + answer(3, FAILED, why) + output + error + answer(9, OK, exit_report),
        'early-answers': bytes([ask_on]) + b''.join(answer(s, FAILED, why) for s in (1, 3, 5, 7, 9)),
        'flood': bytes([0]) + begin + frame(HEADERS, END_HEADERS, 5, OK) + frame(DATA | 0x80, 0, 5, b'x' * 255) * 8,
        'long-answer': bytes([0]) + frame(HEADERS, END_HEADERS, 1, OK) + frame(DATA | 0x80, 0, 1, b'x' * 200) * 8 +
        frame(DATA, END_STREAM, 1),
        'close-output': bytes([16 | ask_on]) + begin + output + error,
        'resets': bytes([ask_on]) + b''.join(frame(RST, 0, s, b'\0\0\0\x08') for s in (1, 3, 5, 7, 9)),
        'goaway': bytes([ask_on]) + begin + frame(GOAWAY, 0, 0, bytes(8)) + output,
        'push': bytes([0]) + frame(PUSH, END_HEADERS, 1, b'\0\0\0\2\x82\x84\x86\x41\1a') + frame(PING, 0, 0, bytes(8)),
        'trailers': bytes([0]) + frame(HEADERS, END_HEADERS, 1, OK) + frame(HEADERS, END_HEADERS | END_STREAM, 1, b'\0\1a\1b'),
        'informational': bytes([0]) + frame(HEADERS, END_HEADERS, 1, b'\x08\3100') + answer(1, NOT_FOUND),
        'bad-status': bytes([0]) + frame(HEADERS, END_HEADERS, 1, b'\x08\3abc'),
        'continuation': bytes([0]) + frame(HEADERS, 0, 1, OK) + frame(CONTINUATION, END_HEADERS, 1, b'\0\1a\1b'),
        'raw': bytes([1]) + raw_frame(SETTINGS, 0, 0) + raw_frame(HEADERS, END_HEADERS, 1, OK),
        'nothing': bytes([0]), 'noise': bytes([1]) + b'SSH-2.0-x\r\n'})


def host():
    def request(stream: int, path: bytes, flags: int = END_HEADERS) -> bytes:
        return frame(HEADERS, flags, stream, b'\x83\x86\x41\1a\x04' + bytes([len(path)]) + path)

    window = frame(WINDOW, 0, 0, b'\0\x0f\xff\xff')
    preface = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
    write('host', {
        'echo': bytes([0]) + request(1, b'/echo') + frame(DATA, 0, 1, b'hello') + frame(DATA, END_STREAM, 1, b'!'),
        'out': bytes([0]) + window + frame(SETTINGS, 0, 0, struct.pack('>HI', 4, 1 << 20)) +
        request(1, b'/out', END_HEADERS | END_STREAM) + request(3, b'/echo') + frame(RST, 0, 1, b'\0\0\0\x08'),
        'never': bytes([0]) + request(1, b'/never') + frame(DATA | 0x80, 0, 1, b'x' * 255) * 8,
        'reset': bytes([0]) + request(1, b'/reset') + frame(DATA, END_STREAM, 1, b'x'),
        'many': bytes([0]) + b''.join(request(s, b'/out') for s in range(1, 101, 2)),
        'window-zero': bytes([0]) + frame(SETTINGS, 0, 0, struct.pack('>HI', 4, 0)) + request(1, b'/out') +
        frame(WINDOW, 0, 1, b'\0\0\0\1') * 5,
        'goaway': bytes([0]) + request(1, b'/echo') + frame(GOAWAY, 0, 0, bytes(8)) + request(3, b'/echo'),
        'no-path': bytes([0]) + frame(HEADERS, END_HEADERS, 1, b'\x83\x86'),
        'continuation': bytes([0]) + frame(HEADERS, 0, 1, b'\x83\x86') + frame(CONTINUATION, END_HEADERS, 1, b'\x84\x41\1a'),
        'trailers': bytes([0]) + request(1, b'/echo') + frame(HEADERS, END_HEADERS | END_STREAM, 1, b'\0\1a\1b'),
        'same-stream': bytes([0]) + request(1, b'/echo') + request(1, b'/echo'),
        'ping': bytes([0]) + frame(PING, 0, 0, bytes(8)) * 3,
        'raw': bytes([1]) + preface + raw_frame(SETTINGS, 0, 0) + raw_frame(HEADERS, END_HEADERS, 1, b'\x82\x84\x86\x41\1a'),
        'nothing': bytes([0]), 'http1': bytes([1]) + b'GET / HTTP/1.1\r\n\r\n'})


def files():
    """Tars as cp sees them: the first byte of `unpack` says with which options."""
    kinds = {'dir': tarfile.DIRTYPE, 'soft': tarfile.SYMTYPE, 'hard': tarfile.LNKTYPE, 'fifo': tarfile.FIFOTYPE,
             'char': tarfile.CHRTYPE}

    def tar(*entries, format=tarfile.PAX_FORMAT, headers=None) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w', format=format, pax_headers=headers) as archive:
            for name, what in entries:
                entry = tarfile.TarInfo(name)
                kind, _, target = what.partition(' ')
                if kind in kinds:
                    entry.type, entry.linkname, entry.mode = kinds[kind], target, 0o755
                    archive.addfile(entry)
                    continue
                entry.size = len(what)
                archive.addfile(entry, io.BytesIO(what.encode()))
        return out.getvalue()[:8192]

    def sparse(*records: tuple[str, str], data: bytes) -> bytes:
        out = io.BytesIO()
        entry = tarfile.TarInfo('s')
        entry.size, entry.pax_headers = len(data), dict(records)
        with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(entry, io.BytesIO(data))
        return out.getvalue()

    tree = tar(('t', 'dir'), ('t/f', 'content'), ('t/h', 'hard t/f'), ('t/l', 'soft ../..'), ('t/p', 'fifo'), ('t/c', 'char'))
    write('tar', {
        'tree': tree, 'gnu': tar(('n' * 200, 'x'), ('l', 'soft ' + 'm' * 200), format=tarfile.GNU_FORMAT),
        'ustar': tar(('d' * 120 + '/' + 'n' * 90, 'x'), format=tarfile.USTAR_FORMAT), 'long': tar(('n' * 200, 'x')),
        'global': tar(('a', 'x'), headers={'comment': 'c', 'mtime': '-1.5'}), 'empty': tar(), 'cut': tree[:1300],
        'sparse-0': sparse(('GNU.sparse.size', '10'), ('GNU.sparse.map', '2,3,8,1'), data=b'abcd'),
        'sparse-1': sparse(('GNU.sparse.major', '1'), ('GNU.sparse.minor', '0'), ('GNU.sparse.name', 's'),
                           ('GNU.sparse.realsize', '10'), data=b'2\n2\n3\n8\n1\n'.ljust(512, b'\0') + b'abcd')})
    hostile = {'tree': tree, 'up': tar(('t', 'dir'), ('t/../../x', 'x')), 'absolute': tar(('/etc/x', 'x')),
               'through': tar(('t', 'dir'), ('t/l', 'soft ../..'), ('t/l/x', 'x')), 'other': tar(('t', 'dir'), ('u', 'x')),
               'hard': tar(('t', 'dir'), ('t/h', 'hard t/../../secret'), ('t/h', 'x')), 'over': tar(('link', 'x'), ('hard', 'y')),
               'swap': tar(('t', 'dir'), ('t/d', 'dir'), ('t/d/f', 'x'), ('t/d', 'soft ..'), ('t/d/f', 'y')),
               'by-up': tar(('up/x', 'x')), 'hard-there': tar(('h', 'hard hard'), ('h', 'x'))}
    write('unpack', {name: b'\0' + data for name, data in hostile.items()} |
          {name + '-stream': b'\7' + data for name, data in hostile.items()})
    write('file_changes', {'three': 'A /a\0C /b c\0D /d\0'.replace(' /', '/'), 'cut': 'A/a', 'odd': 'X/a\0', 'none': ''})


# ---- Frames of a guest's NIC: net_frames.cc completes lengths and checksums.

def frames():
    mac = b'\x52\x55\x0a\0\2\2' + b'\2\0\0\0\0\1'

    def record(frame: bytes) -> bytes:
        return struct.pack('>H', len(frame)) + frame

    def ipv4(protocol: int, payload: bytes, to: bytes = bytes([10, 0, 2, 2]), fragment: int = 0, options: bytes = b'') -> bytes:
        header = struct.pack('>BBHHHBBH', 0x45 + len(options) // 4, 0, 0, 7, fragment, 64, protocol, 0)
        return record(mac + b'\x08\0' + header + bytes([10, 0, 2, 15]) + to + options + payload)

    def udp(from_port: int, to_port: int, data: bytes) -> bytes:
        return struct.pack('>HHHH', from_port, to_port, 8 + len(data), 0) + data

    def tcp(to_port: int, flags: int, options: bytes = b'') -> bytes:
        return struct.pack('>HHIIBBHHH', 40000, to_port, 1, 0, 0x50 + (len(options) // 4 << 4), flags, 65535, 0, 0) + options

    dhcp = bytes([1, 1, 6, 0]) + b'xid!' + bytes(20) + mac[6:] + bytes(202) + b'\x63\x82\x53\x63'
    arp = b'\xff' * 6 + mac[6:] + b'\x08\x06\0\1\x08\0\6\4'
    syn, ack = 2, 16
    write('net_frames', {name: b'\0' + seed for name, seed in {
        'arp': record(arp + b'\0\1' + mac[6:] + bytes([10, 0, 2, 15]) + bytes(6) + bytes([10, 0, 2, 3])),
        'arp-reply': record(arp + b'\0\2' + mac[6:] + bytes([10, 0, 2, 15]) + bytes(6) + bytes([10, 0, 2, 2])),
        'ping': ipv4(1, b'\x08\0\0\0\0\1\0\0data'), 'ping-options': ipv4(1, b'\x08' + bytes(7), options=b'\1\1\1\0'),
        'discover': ipv4(17, udp(68, 67, dhcp + b'\x35\1\1\xff'), b'\xff' * 4),
        'request': ipv4(17, udp(68, 67, dhcp + b'\x35\1\3\x32\4\x0a\0\2\x0f\xff')), 'bootp': ipv4(17, udp(68, 67, dhcp)),
        'dns': ipv4(17, udp(40000, 53, b'query'), bytes([10, 0, 2, 3])), 'tftp': ipv4(17, udp(40000, 69, b'\0\1f\0octet\0')),
        'syn': ipv4(6, tcp(80, syn, b'\2\4\5\xb4'), bytes([192, 0, 2, 1])), 'refused': ipv4(6, tcp(80, syn)),
        'ack': ipv4(6, tcp(80, ack)), 'loopback': ipv4(17, udp(1, 2, b'x'), bytes([127, 0, 0, 1])),
        'pieces': ipv4(1, b'\x08' + bytes(15), fragment=0x2000) + ipv4(1, b'the rest', fragment=2),
        'overlap': ipv4(17, udp(1, 67, bytes(24)), fragment=0x2000) + ipv4(17, bytes(16), fragment=0x2001) + ipv4(17, bytes(8), fragment=3),
        'odd': record(b'') + record(mac) + record(mac + b'\x08\0') + record(mac + b'\x86\xdd' + bytes(40))}.items()} |
        {'raw': b'\1\0\0\0\4four', 'raw-length': b'\1\xff\xff\xff\xff'})


if __name__ == '__main__':
    for make in (texts, documents, messages, layers, files, indexes, words, guest, host, frames, qemu):
        make()
