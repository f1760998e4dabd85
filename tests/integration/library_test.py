#!/usr/bin/env python3
"""libdiatom for programs of somebody else's: what it exports, its header, and the C API through the ctypes example. (With
VMs: tests/vm/library_test.py.)"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from diatom import DEADLINE, ROOT, main  # noqa: E402
from library import LIBRARY, LibraryTest, binding  # noqa: E402

HEADER = ROOT / 'include/diatom/diatom.h'


def exported() -> list[str]:
    names = subprocess.run(['nm', '-D', '-C', '--defined-only', LIBRARY], check=True, timeout=DEADLINE, text=True,
                           stdout=subprocess.PIPE).stdout
    return [line.split(' ', 2)[2].split('@@')[0] for line in names.splitlines()]


def declared_functions() -> dict[str, list[str]]:
    """The prototypes of diatom.h: each function's arguments, as they are written, without their names."""
    text = re.sub(r'/\*.*?\*/', '', HEADER.read_text(), flags=re.DOTALL)
    found = {}
    for result, name, arguments in re.findall(r'DIATOM_API ([\w ]+\*?) ?(diatom_\w+)\(([^)]*)\);', text):
        words = [] if arguments.strip() == 'void' else [' '.join(one.split()) for one in arguments.split(',')]
        found[name] = [result.strip()] + [re.sub(r'\w+$', '', word).strip() for word in words]
    return found


class Symbols(unittest.TestCase):
    def test_nothing_but_the_c_api_and_the_public_classes_is_exported(self):
        names = [name for name in exported() if name != 'DIATOM_0']
        self.assertGreater(len(names), 50)
        for name in names:
            self.assertRegex(name, r'^(diatom_[a-z_]+$|diatom::)')
        # Of the classes only what include/diatom has: no layer of the implementation.
        for name in names:
            self.assertNotRegex(name, r'^diatom::(channel|store|vm|net|oci|image|rootfs|platform|cli|capi)::|^diatom::\w+::Impl')

    def test_every_function_of_the_header_is_exported_and_no_other(self):
        c_functions = {name for name in exported() if re.fullmatch(r'diatom_\w+', name)}
        self.assertEqual(c_functions, set(declared_functions()))

    def test_every_public_function_of_the_classes_is_exported(self):
        names = exported()
        for header, scope in (('runtime', 'Runtime'), ('images', 'Images'), ('events', 'Events')):
            text = (ROOT / f'include/diatom/{header}.h').read_text()
            body = text[text.index(f'class DIATOM_API {scope} '):].split('private:')[0]
            for method in re.findall(r'^  (?:static )?(?:Result<.*> |void )(\w+)\(', body, flags=re.MULTILINE):
                with self.subTest(method=f'{scope}::{method}'):
                    self.assertTrue(any(re.match(rf'diatom::{scope}::{method}(\[|\()', name) for name in names))
        for header in (ROOT / 'include/diatom').glob('*.h'):
            if header == HEADER:
                continue
            for function in re.findall(r'^DIATOM_API .*?\b(\w+)\(', header.read_text(), flags=re.MULTILINE):
                with self.subTest(function=function):
                    self.assertTrue(any(re.match(rf'diatom::{function}(\[|\()', name) for name in names))

    def test_it_has_a_soname_and_needs_what_is_installed(self):
        dynamic = subprocess.run(['readelf', '-d', LIBRARY], check=True, timeout=DEADLINE, text=True,
                                 stdout=subprocess.PIPE).stdout
        self.assertIn('soname: [libdiatom.so.0]', dynamic)
        self.assertNotIn('RUNPATH', dynamic.replace('(RUNPATH)            Library runpath: []', ''))
        # Loaded when they are needed (docs/dependencies.md).
        self.assertNotRegex(dynamic, r'NEEDED.*lib(curl|archive)')


class Header(unittest.TestCase):
    def compile(self, *command, source: str):
        result = subprocess.run([*command, '-Wall', '-Wextra', '-pedantic', '-Werror', '-fsyntax-only',
                                 f'-I{ROOT / "include"}', '-'], input=source.encode(), timeout=DEADLINE,
                                stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 0, result.stderr.decode())

    def test_the_c_header_compiles_as_c_and_as_cxx(self):
        source = '#include "diatom/diatom.h"\nint main(void) { return diatom_api_version() != DIATOM_API_VERSION; }\n'
        for standard in ('c11', 'c17'):
            self.compile('gcc', '-x', 'c', f'-std={standard}', '-Wstrict-prototypes', source=source)
        for standard in ('c++11', 'c++17', 'c++23'):
            self.compile('g++', '-x', 'c++', f'-std={standard}', source=source)

    def test_every_public_header_compiles_by_itself(self):
        for header in sorted((ROOT / 'include/diatom').glob('*.h')):
            with self.subTest(header=header.name):
                self.compile('g++', '-x', 'c++', '-std=c++23', source=f'#include "diatom/{header.name}"\nint main() {{}}\n')


# How the ctypes example must declare what the header has.
CTYPES = {'int': 'c_int', 'diatom_status': 'c_int', 'size_t': 'c_size_t', 'uint16_t': 'c_ushort', 'uint32_t': 'c_uint', 'const char*': 'c_char_p', 'char**': 'LP_c_void_p',
          'int*': 'LP_c_int', 'uint64_t*': 'LP_c_ulong', 'void': 'NoneType', 'void*': 'c_void_p',
          'diatom_runtime*': 'c_void_p', 'diatom_runtime**': 'LP_c_void_p', 'diatom_error*': 'c_void_p',
          'const diatom_error*': 'c_void_p', 'diatom_error**': 'LP_c_void_p', 'const char* const*': 'LP_c_char_p'}


class Ctypes(unittest.TestCase):
    def test_the_examples_declarations_are_the_headers(self):
        diatom = binding()
        CTYPES.update({'diatom_progress_callback': diatom.PROGRESS.__name__, 'diatom_event_callback': diatom.EVENT.__name__,
                       'diatom_log_callback': diatom.LOG.__name__})
        functions = declared_functions()
        self.assertEqual(set(diatom.CALLS) | set(diatom.OTHERS), set(functions))
        for name, wanted in functions.items():
            function = getattr(diatom._library, name)
            given = [function.restype, *(function.argtypes or [])]
            with self.subTest(function=name):
                self.assertEqual([getattr(kind, '__name__', 'NoneType') for kind in given], [CTYPES[one] for one in wanted])


class ContainersTest(LibraryTest):
    """What is created goes with the test."""

    def create(self, **document) -> dict:
        created = self.runtime.call('container_create', {'image': 'busybox'} | document, None, None)
        self.addCleanup(self.home.run, 'rm', '-f', created['id'])
        return created

    def refusal(self, name: str, *arguments):
        with self.assertRaises(self.diatom.Error) as caught:
            self.runtime.call(name, *arguments)
        return caught.exception


class Containers(ContainersTest):
    def test_a_replica_is_created_found_renamed_and_removed(self):
        created = self.create(service='web', replica=2, resources={'cpu': 0.5, 'memory': '64Mi'}, env={'A': '1'},
                              args=['sleep', '5'], labels={'tier': 'front'})
        self.assertRegex(created['id'], '^[0-9a-f]{64}$')
        self.assertRegex(created['warnings'][0], 'raised to 128 MiB')
        info = self.runtime.call('container_inspect', 'web-2')
        # The C API and the command line have one voice.
        self.assertEqual(info, self.home.json('inspect', 'web-2')[0])
        self.assertEqual(info['Config']['Labels'], {'diatom.replica': '2', 'diatom.service': 'web', 'tier': 'front'})
        self.assertIn('A=1', info['Config']['Env'])
        self.assertEqual(info['HostConfig']['NanoCpus'], 500_000_000)
        self.assertEqual([one['Id'] for one in self.runtime.call('container_list', {'all': True})], [created['id']])
        self.assertEqual(self.runtime.call('container_list', None), [])
        again = self.refusal('container_create', {'service': 'web', 'replica': 2, 'image': 'busybox'}, None, None)
        self.assertEqual(again.kind, 'already_exists')
        self.assertIn('web-2', again.message)
        self.runtime.call('container_rename', 'web-2', 'other')
        self.runtime.call('container_update', 'other', {'memory': '1g'})
        self.assertEqual(self.runtime.call('container_inspect', 'other')['HostConfig']['Memory'], 1 << 30)
        self.runtime.call('container_remove', 'other', None)
        self.assertEqual(self.refusal('container_inspect', 'other').kind, 'not_found')

    def test_what_cannot_be_honoured_is_refused_by_name_and_leaves_nothing(self):
        cases = [({'gpus': 'all'}, 'gpus', 'invalid_argument'), ({'resources': {'gpu': 2}}, 'gpu 2', 'unsupported'),
                 ({'resources': {'memory': 'lots'}}, '"lots"', 'invalid_argument'),
                 ({'network': 'mine'}, '"mine"', 'invalid_argument'), ({'name': '-'}, '"-"', 'invalid_argument'),
                 ({'stop_signal': 'NOPE'}, '"NOPE"', 'invalid_argument'),
                 ({'image': 'nobody/has:this', 'pull_policy': 'never'}, 'nobody/has:this', 'not_found')]
        for document, words, kind in cases:
            with self.subTest(document=document):
                error = self.refusal('container_create', {'image': 'busybox'} | document, None, None)
                self.assertIn(words, error.message)
                self.assertEqual(error.kind, kind)
        self.assertEqual(self.home.containers(), [])

    def test_what_has_no_vm_says_so(self):
        self.create(name='idle')
        for name, arguments in (('container_kill', (None,)), ('container_pause', ()), ('container_top', ()),
                                ('container_exec', (self.diatom.texts(['true']), None, -1, -1, -1))):
            with self.subTest(name):
                error = self.refusal(name, 'idle', *arguments)
                self.assertIn('not running', error.message)
                self.assertTrue(error.hint)
        self.runtime.call('container_stop', 'idle', None)
        [measured] = self.runtime.call('container_stats', self.diatom.texts(['idle']), None)
        self.assertIn('idle', measured['message'])
        self.assertEqual(self.runtime.logs('idle'), b'')


class Images(ContainersTest):
    def test_images_are_listed_tagged_saved_loaded_and_removed(self):
        self.runtime.call('image_tag', 'busybox', 'copy:1')
        info = self.runtime.call('image_inspect', 'copy:1')
        self.assertEqual(info, self.home.json('inspect', 'copy:1')[0])
        self.assertEqual(self.runtime.call('image_list')[0]['RepoTags'], info['RepoTags'])
        self.assertEqual(self.runtime.call('image_history', 'copy:1')[0]['Id'], info['Id'])
        with tempfile.TemporaryFile() as tar:
            self.runtime.call('image_save', self.diatom.texts(['copy:1']), tar.fileno())
            self.assertEqual(self.runtime.call('image_remove', 'copy:1', None)['untagged'], ['copy:1'])
            [loaded] = self.runtime.call('image_load', f'/dev/fd/{os.dup(tar.fileno())}') if tar.seek(0) == 0 else [None]
        self.assertEqual(loaded, {'id': info['Id'], 'tags': ['copy:1']})
        self.runtime.call('image_remove', 'copy:1', {'force': True})
        self.assertEqual(self.refusal('image_inspect', 'copy:1').kind, 'not_found')


class System(ContainersTest):
    def test_info_version_and_doctor_are_the_command_lines(self):
        def same(name, *words):
            self.assertEqual(self.runtime.call(name), json.loads(self.home.run(*words).stdout))
        same('info', 'info', '--format', 'json')
        same('version_info', 'version', '--format', 'json')
        self.assertEqual(self.runtime.call('doctor')['usable'], self.home.run('doctor').returncode == 0)
        self.assertEqual(self.runtime.call('disk_usage')['Images']['TotalCount'], 1)
        self.assertEqual(f'diatom {self.diatom.version()}\n', self.home.run('version').stdout.decode())

    def test_events_are_followed_by_one_runtime_while_another_acts(self):
        follower, seen, ready = self.open(), [], threading.Event()

        def follow():
            def take(_user, text):
                seen.append(json.loads(text))
                ready.set()
                return seen[-1]['Action'] == 'destroy'
            follower.call('events', {'follow': True, 'since': '0', 'filters': {'container': ['seen']}},
                          self.diatom.EVENT(take), None)
        created = self.create(name='seen')
        thread = threading.Thread(target=follow)
        thread.start()
        self.assertTrue(ready.wait(DEADLINE))
        self.runtime.call('container_remove', created['id'], None)
        thread.join(DEADLINE)
        self.assertFalse(thread.is_alive())
        self.assertEqual([event['Action'] for event in seen], ['create', 'destroy'])

    def test_a_wait_is_cancelled_from_another_thread(self):
        self.create(name='long')
        waiter, errors = self.open(), []

        def wait():
            try:
                waiter.call('container_wait', 'long', 'removed')
            except self.diatom.Error as error:
                errors.append(error.kind)
        thread = threading.Thread(target=wait)
        thread.start()
        waiter.cancel()  # whether it waits by now or not
        thread.join(DEADLINE)
        self.assertEqual(errors, ['cancelled'])

    def test_a_thread_each_has_a_runtime_each(self):
        results = []

        def work(number):
            with self.diatom.Runtime(home=self.home.env['DIATOM_HOME'], run=self.home.env['DIATOM_RUN']) as runtime:
                name = f'thread-{number}'
                runtime.call('container_create', {'name': name, 'image': 'busybox'}, None, None)
                results.append(runtime.call('container_inspect', name)['Name'])
                runtime.call('container_remove', name, None)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        self.assertEqual(sorted(results), [f'/thread-{number}' for number in range(8)])

    def test_a_reader_that_goes_away_does_not_end_this_process(self):
        # Python ignores SIGPIPE; a program that does not must live on, too.
        script = ('import signal, os, sys; signal.signal(signal.SIGPIPE, signal.SIG_DFL); sys.path.insert(0, sys.argv[1])\n'
                  'import diatom_ctypes as d\n'
                  'r, w = os.pipe(); os.close(r)\n'
                  'with d.Runtime() as runtime:\n'
                  '    try: runtime.call("image_save", d.texts(["busybox"]), w)\n'
                  '    except d.Error as error: print(error.kind)\n')
        result = subprocess.run([sys.executable, '-c', script, ROOT / 'examples'], timeout=DEADLINE, stdout=subprocess.PIPE,
                                env=dict(self.home.env, DIATOM_LIBRARY=str(LIBRARY)))
        self.assertEqual((result.returncode, result.stdout), (0, b'internal\n'))


if __name__ == '__main__':
    main()
