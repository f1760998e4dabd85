#!/usr/bin/env python3
"""The C API, its examples and the program of docs/embedding.md, with real microVMs."""
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import BINARY, DEADLINE, ROOT, Home, main, need  # noqa: E402
from library import LIBRARY, LibraryTest  # noqa: E402


def code_blocks(page: str, language: str) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```', (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)


class ProgramTest(unittest.TestCase):
    """A program that is built against the library, in a home of its own with busybox."""

    @classmethod
    def setUpClass(cls):
        cls.home = Home()
        cls.addClassCleanup(cls.home.close)

    def build(self, *command) -> pathlib.Path:
        program = self.home.path / 'program'
        built = subprocess.run([*map(str, command), '-o', program], timeout=DEADLINE, stderr=subprocess.PIPE)
        self.assertEqual(built.returncode, 0, built.stderr.decode())
        return program

    def run_program(self, *command, code: int = 0, **env) -> str:
        result = subprocess.run(command, env=self.home.env | env, timeout=DEADLINE, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, code, result.stderr.decode())
        self.assertEqual(self.home.containers(), [])
        return result.stdout.decode()

    flags = (f'-I{ROOT / "include"}', LIBRARY, f'-Wl,-rpath,{LIBRARY.parent}', '-Wall', '-Wextra', '-pedantic', '-Werror')


class Examples(ProgramTest):
    def test_the_c_example_runs(self):
        out = self.run_program(self.build('gcc', '-std=c11', ROOT / 'examples/hello.c', *self.flags))
        self.assertRegex(out, r'created {"id":"[0-9a-f]{64}","warnings":\[.*\]}\nhello from exec\nexec ended with 3\n'
                              r'log: hello from the container\n')

    def test_the_c_example_tells_what_is_wrong(self):
        program = self.build('gcc', '-std=c11', ROOT / 'examples/hello.c', *self.flags)
        result = subprocess.run([program, 'Not An Image'], env=self.home.env, timeout=DEADLINE, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b'Not An Image', result.stderr)

    def test_the_ctypes_example_runs_a_command(self):
        words = [sys.executable, ROOT / 'examples/diatom_ctypes.py', 'busybox', 'sh', '-c', 'echo hello; exit 7']
        self.assertEqual(self.run_program(*words, code=7, DIATOM_LIBRARY=str(LIBRARY)), 'hello\n')

    def test_the_program_of_the_embedding_page_runs(self):
        [source] = [block for block in code_blocks('docs/embedding.md', 'cpp') if 'int main' in block]
        self.assertLess(len([line for line in source.splitlines() if line.strip()]), 40)
        path = self.home.path / 'hello.cc'
        path.write_text(source)
        flags = [flag for flag in self.flags if flag != '-pedantic']  # TRY is a statement expression
        out = self.run_program(self.build('g++', '-std=c++23', path, *flags))
        release, greeting = out.splitlines()
        self.assertRegex(release, r'^\d+\.\d+')
        self.assertEqual(greeting, 'hello from a microVM')


class Life(LibraryTest):
    """The whole life of a container through the C API."""

    def test_a_container_lives_and_ends(self):
        call, texts = self.runtime.call, self.diatom.texts
        call('container_create', {'name': 'life', 'image': 'busybox', 'resources': {'memory': '256Mi'}, 'args': [
            'sh', '-c', 'trap "echo bye; exit 5" TERM; echo out; echo err >&2; while :; do sleep 1; done']}, None, None)
        self.addCleanup(self.home.run, 'rm', '-f', 'life')
        call('container_start', 'life')
        self.assertEqual(call('container_inspect', 'life')['State']['Status'], 'running')
        again = self.assertRaises(self.diatom.Error)
        with again:
            call('container_start', 'life')
        self.assertEqual(again.exception.kind, 'already_exists')

        read, write = os.pipe()
        code, end = call('container_exec', 'life', texts(['sh', '-c', 'read line; echo "$A $line"; exit 4']),
                         {'env': {'A': 'b'}}, self.typed(b'typed\n'), write, -1)
        os.close(write)
        self.assertEqual((code, end['exit_code'], end['detached'], end['output_error']), (4, 4, False, ''))
        with os.fdopen(read, 'rb') as out:
            self.assertEqual(out.read(), b'b typed\n')
        with self.assertRaises(self.diatom.Error) as missing:
            call('container_exec', 'life', texts(['/nobody']), None, -1, -1, -1)
        self.assertEqual((missing.exception.kind, missing.exception.exit_code), ('start_failed', 127))
        call('container_exec_detached', 'life', texts(['true']), None)

        [stats] = call('container_stats', texts(['life']), None)
        self.assertGreater(stats['memory_bytes'], 0)
        self.assertIn('sh', [process['command'] for process in call('container_top', 'life')])
        call('container_pause', 'life')
        self.assertEqual(call('container_inspect', 'life')['State']['Status'], 'paused')
        call('container_resume', 'life')
        self.assertEqual(self.await_log('life', b'err\n', stdout=False), b'err\n')

        call('container_stop', 'life', {'timeout': '20s'})
        self.assertEqual(call('container_wait', 'life', None)[0], 5)
        self.assertEqual(self.runtime.logs('life', stderr=False), b'out\nbye\n')
        call('container_remove', 'life', None)

    def typed(self, data: bytes) -> int:
        read, write = os.pipe()
        os.write(write, data)
        os.close(write)
        self.addCleanup(os.close, read)
        return read

    def test_a_run_is_given_its_streams_and_gone_when_it_has_ended(self):
        read, write = os.pipe()
        code, result = self.runtime.call(
            'container_run', {'image': 'busybox', 'auto_remove': True, 'open_stdin': True, 'stdin_once': True,
                              'args': ['sh', '-c', 'cat; exit 3']}, None, self.typed(b'through\n'), write, write, None, None)
        os.close(write)
        with os.fdopen(read, 'rb') as out:
            self.assertEqual(out.read(), b'through\n')
        self.assertEqual((code, result['exit_code'], result['engine']), (3, 3, os.environ.get('DIATOM_ENGINE', 'qemu')))
        self.assertEqual(self.home.containers(), [])

    def test_a_run_is_cancelled_from_another_thread(self):
        other = self.diatom.Runtime(home=self.home.env['DIATOM_HOME'], run=self.home.env['DIATOM_RUN'])
        self.addCleanup(other.close)
        self.addCleanup(self.home.run, 'rm', '-f', 'endless')
        started, errors = threading.Event(), []

        def run():
            try:
                other.call('container_run', {'name': 'endless', 'image': 'busybox', 'args': ['sleep', '1000']}, None,
                           -1, -1, -1, None, None)
            except self.diatom.Error as error:
                errors.append(error.kind)
        thread = threading.Thread(target=run)
        thread.start()

        def take(_user, text):
            return int(json.loads(text)['Action'] == 'start')
        self.runtime.call('events', {'follow': True, 'since': '0', 'filters': {'container': ['endless']}},
                          self.diatom.EVENT(take), None)
        other.cancel()
        thread.join(DEADLINE)
        self.assertEqual(errors, ['cancelled'])
        # Who looked on has gone; the container is its monitor's.
        self.assertEqual(self.runtime.call('container_inspect', 'endless')['State']['Status'], 'running')


class Files(LibraryTest):
    """Files of a container through the C API."""

    def setUp(self):
        super().setUp()
        self.runtime.call('container_create', {'name': 'files', 'image': 'busybox', 'args': ['true']}, None, None)
        self.addCleanup(self.home.run, 'rm', '-f', 'files')

    def through_a_file(self, name: str, *arguments) -> bytes:
        with open(self.home.path / 'tar', 'w+b') as tar:
            result = self.runtime.call(name, *arguments, tar.fileno())
            tar.seek(0)
            data = tar.read()
        self.assertEqual(result, {'bytes': len(data), 'warnings': []})
        return data

    def test_they_come_and_go_and_become_an_image(self):
        call = self.runtime.call
        source, back = self.home.path / 'source', self.home.path / 'back'
        source.write_bytes(b'what is in it')
        self.assertGreater(call('container_copy_to', 'files', str(source), '/etc/there', None)['bytes'], 0)
        stat = call('container_stat_path', 'files', '/etc/there', None)
        self.assertEqual((stat['name'], stat['kind'], stat['size_bytes'], stat['uid']), ('there', 'file', 13, 0))
        self.assertEqual(call('container_copy_from', 'files', '/etc/there', str(back), {'archive': True})['warnings'], [])
        self.assertEqual(back.read_bytes(), b'what is in it')

        archive = self.through_a_file('container_read_archive', 'files', '/etc/there', None)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            self.assertEqual(tar.getnames(), ['there'])
        with open(self.home.path / 'tar', 'rb') as tar:
            self.assertEqual(call('container_write_archive', 'files', '/usr', tar.fileno())['bytes'], len(archive))
        with tarfile.open(fileobj=io.BytesIO(self.through_a_file('container_export', 'files'))) as tar:
            self.assertEqual(tar.extractfile('usr/there').read(), b'what is in it')
        changes = call('container_diff', 'files')
        self.assertLessEqual({'/etc/there', '/usr/there'}, set(changes['added']))

        image = call('container_commit', 'files', {'reference': 'of-files:1', 'changes': ['CMD ["cat", "/usr/there"]']})
        self.assertEqual(call('image_inspect', 'of-files:1')['Id'], image['id'])
        read, write = os.pipe()
        code, _ = call('container_run', {'image': 'of-files:1', 'auto_remove': True}, None, -1, write, -1, None, None)
        os.close(write)
        with os.fdopen(read, 'rb') as out:
            self.assertEqual((code, out.read()), (0, b'what is in it'))

    def test_what_is_not_there_is_an_error_of_its_kind(self):
        call = self.runtime.call
        for wanted, arguments in (
                ('not_found', ('container_copy_from', 'files', '/nobody', str(self.home.path), None)),
                ('not_found', ('container_stat_path', 'files', '/nobody', None)),
                ('not_found', ('container_diff', 'nobody')),
                ('invalid_argument', ('container_read_archive', 'files', '/etc', None, 999)),
                ('invalid_argument', ('container_export', 'files', -1)),
                ('invalid_argument', ('container_copy_to', 'files', None, '/', None)),
                ('invalid_argument', ('container_copy_to', 'files', str(self.home.path), '/', {'owner': 'me'})),
                ('invalid_argument', ('container_commit', 'files', {'reference': 'Not A Name'}))):
            with self.subTest(arguments=arguments), self.assertRaises(self.diatom.Error) as error:
                call(*arguments)
            self.assertEqual(error.exception.kind, wanted)


class Snapshots(LibraryTest):
    def test_a_container_is_saved_and_gone_on_from(self):
        call = self.runtime.call
        call('container_create', {'name': 'first', 'image': 'busybox', 'engine': 'qemu', 'args': ['sleep', '100000']},
             None, None)
        self.addCleanup(lambda: self.home.run('rm', '-f', *self.home.containers()))
        call('container_start', 'first')
        forked = call('container_fork', 'first', 2, 'copy')
        self.assertEqual([call('container_inspect', name)['Id'] for name in ('copy-1', 'copy-2')], forked)
        snapshot = call('snapshot_create', 'first', 'then')
        self.assertEqual((snapshot['Name'], snapshot['Container'], snapshot['Image']), ('then', 'first', 'busybox'))
        self.assertEqual(call('snapshot_list'), [snapshot])
        restored = call('snapshot_restore', 'then', None)
        self.assertTrue(call('container_inspect', restored['Id'])['State']['Running'])
        self.assertEqual(call('snapshot_remove', 'then'), snapshot['Size'])
        with self.assertRaises(self.diatom.Error) as error:
            call('snapshot_restore', 'then', None)
        self.assertEqual(error.exception.kind, 'not_found')


class Window(LibraryTest):
    def test_the_window_of_a_containers_terminal_is_set(self):
        call = self.runtime.call
        script = 'trap "stty size" WINCH; echo ready; while :; do read line || exit; done'
        call('container_create', {'name': 'window', 'image': 'busybox', 'tty': True, 'open_stdin': True,
                                  'args': ['sh', '-c', script]}, None, None)
        self.addCleanup(self.home.run, 'rm', '-f', 'window')
        call('container_start', 'window')
        self.await_log('window', b'ready')
        call('container_resize', 'window', 33, 77)
        self.await_log('window', b'33 77')

    def test_one_without_a_terminal_has_none(self):
        self.runtime.call('container_create', {'name': 'plain', 'image': 'busybox'}, None, None)
        self.addCleanup(self.home.run, 'rm', '-f', 'plain')
        with self.assertRaises(self.diatom.Error) as error:
            self.runtime.call('container_resize', 'plain', 33, 77)
        self.assertEqual(error.exception.kind, 'invalid_argument')


class Monitor(ProgramTest):
    """How a library in somebody else's program finds the monitor."""

    def start(self, **options):
        script = ('import sys; sys.path.insert(0, sys.argv[1]); import diatom_ctypes as d, json\n'
                  'with d.Runtime(**json.loads(sys.argv[2])) as runtime:\n'
                  '    try: print(runtime.call("container_run", {"image": "busybox", "args": ["true"], "auto_remove": True}, None,\n'
                  '                            -1, -1, -1, None, None)[0])\n'
                  '    except d.Error as error: print(error.kind, error.message)\n')
        return [sys.executable, '-c', script, str(ROOT / 'examples'), json.dumps(options)]

    def test_beside_the_library_in_the_build_tree(self):
        self.assertEqual(self.run_program(*self.start(), DIATOM_LIBRARY=str(LIBRARY)), '0\n')

    def test_beside_the_library_where_it_is_installed(self):
        destdir = self.home.path / 'package'
        subprocess.run(['cmake', '--install', BINARY.parents[1], '--prefix', '/opt/diatom'], check=True, timeout=DEADLINE,
                       env=dict(os.environ, DESTDIR=str(destdir)), stdout=subprocess.DEVNULL)
        [library] = (destdir / 'opt/diatom').glob('lib*/**/libdiatom.so.0')
        need(self, 'kernel', (destdir / 'opt/diatom/share/diatom/guest/kernel').exists(), 'this build has no guest kernel')
        self.assertEqual(self.run_program(*self.start(), DIATOM_LIBRARY=str(library)), '0\n')

    def test_where_it_is_told(self):
        nowhere = self.run_program(*self.start(monitor='/nobody/has/it'), DIATOM_LIBRARY=str(LIBRARY))
        self.assertIn('/nobody/has/it', nowhere)
        there = str(BINARY.parents[1] / 'libexec/diatom/diatom-monitor')
        out = self.run_program(*self.start(monitor=there), DIATOM_LIBRARY=str(LIBRARY), DIATOM_MONITOR='/nobody/has/it')
        self.assertEqual(out, '0\n')


if __name__ == '__main__':
    main()
