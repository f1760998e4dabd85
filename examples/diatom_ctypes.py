#!/usr/bin/env python3
"""diatom from Python, with nothing but ctypes: the declarations of diatom/diatom.h, and a small class over them.

As a program it runs a command in a container of an image:   diatom_ctypes.py busybox echo hello
"""
import ctypes
import json
import os
import sys
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_uint16, c_uint32, c_uint64, c_void_p

_library = ctypes.CDLL(os.environ.get('DIATOM_LIBRARY', 'libdiatom.so.0'))

PROGRESS = CFUNCTYPE(None, c_void_p, c_char_p)
EVENT = CFUNCTYPE(c_int, c_void_p, c_char_p)
LOG = CFUNCTYPE(c_int, c_void_p, c_int, c_void_p, c_size_t)

_RUNTIME, _ERROR = c_void_p, POINTER(c_void_p)
_JSON = POINTER(c_void_p)  # a char* of the library's: c_char_p would copy it, and lose what is to be freed
_STREAMS = (c_int, c_int, c_int)
_END = (POINTER(c_int), _JSON)
_TEXTS = POINTER(c_char_p)

# Each function's arguments between the runtime and the error, which all that return a status have.
CALLS = {
    'diatom_info': (_JSON,), 'diatom_version_info': (_JSON,), 'diatom_doctor': (_JSON,), 'diatom_disk_usage': (_JSON,),
    'diatom_templates_prune': (POINTER(c_uint64),), 'diatom_events': (c_char_p, EVENT, c_void_p),
    'diatom_login': (c_char_p, c_char_p, _JSON), 'diatom_logout': (c_char_p, c_char_p, _JSON),
    'diatom_image_pull': (c_char_p, c_char_p, PROGRESS, c_void_p, _JSON),
    'diatom_image_push': (c_char_p, c_char_p, PROGRESS, c_void_p, _JSON),
    'diatom_image_list': (_JSON,), 'diatom_image_inspect': (c_char_p, _JSON),
    'diatom_image_history': (c_char_p, _JSON), 'diatom_image_tag': (c_char_p, c_char_p),
    'diatom_image_remove': (c_char_p, c_char_p, _JSON), 'diatom_image_prune': (c_char_p, _JSON),
    'diatom_image_save': (_TEXTS, c_int), 'diatom_image_load': (c_char_p, _JSON),
    'diatom_image_import': (c_char_p, c_char_p, _JSON),
    'diatom_container_create': (c_char_p, PROGRESS, c_void_p, _JSON), 'diatom_container_start': (c_char_p,),
    'diatom_container_start_attached': (c_char_p, c_char_p, *_STREAMS, *_END),
    'diatom_container_run': (c_char_p, c_char_p, *_STREAMS, PROGRESS, c_void_p, *_END),
    'diatom_container_attach': (c_char_p, c_char_p, *_STREAMS, *_END),
    'diatom_container_exec': (c_char_p, _TEXTS, c_char_p, *_STREAMS, *_END),
    'diatom_container_exec_detached': (c_char_p, _TEXTS, c_char_p),
    'diatom_container_stop': (c_char_p, c_char_p), 'diatom_container_restart': (c_char_p, c_char_p),
    'diatom_container_kill': (c_char_p, c_char_p), 'diatom_container_pause': (c_char_p,),
    'diatom_container_resume': (c_char_p,), 'diatom_container_resize': (c_char_p, c_uint16, c_uint16), 'diatom_container_rename': (c_char_p, c_char_p),
    'diatom_container_update': (c_char_p, c_char_p, _JSON), 'diatom_container_wait': (c_char_p, c_char_p, *_END),
    'diatom_container_remove': (c_char_p, c_char_p), 'diatom_container_prune': (c_char_p, _JSON),
    'diatom_container_list': (c_char_p, _JSON), 'diatom_container_inspect': (c_char_p, _JSON),
    'diatom_container_logs': (c_char_p, c_char_p, c_int, c_int),
    'diatom_container_read_logs': (c_char_p, c_char_p, LOG, c_void_p),
    'diatom_container_stats': (_TEXTS, c_char_p, _JSON), 'diatom_container_top': (c_char_p, _JSON),
    'diatom_container_copy_from': (c_char_p, c_char_p, c_char_p, c_char_p, _JSON),
    'diatom_container_copy_to': (c_char_p, c_char_p, c_char_p, c_char_p, _JSON),
    'diatom_container_read_archive': (c_char_p, c_char_p, c_char_p, c_int, _JSON),
    'diatom_container_write_archive': (c_char_p, c_char_p, c_int, _JSON),
    'diatom_container_stat_path': (c_char_p, c_char_p, c_char_p, _JSON),
    'diatom_container_export': (c_char_p, c_int, _JSON), 'diatom_container_diff': (c_char_p, _JSON),
    'diatom_container_commit': (c_char_p, c_char_p, _JSON),
    'diatom_container_fork': (c_char_p, c_uint32, c_char_p, _JSON),
    'diatom_snapshot_create': (c_char_p, c_char_p, _JSON), 'diatom_snapshot_list': (_JSON,),
    'diatom_snapshot_remove': (c_char_p, POINTER(c_uint64)), 'diatom_snapshot_restore': (c_char_p, c_char_p, _JSON),
}
# The others: what they return, and their arguments.
OTHERS = {
    'diatom_api_version': (c_int,), 'diatom_version': (c_char_p,), 'diatom_free': (None, c_void_p),
    'diatom_open': (c_int, c_char_p, POINTER(_RUNTIME), _ERROR), 'diatom_close': (None, _RUNTIME),
    'diatom_cancel': (None, _RUNTIME), 'diatom_error_status': (c_int, c_void_p),
    'diatom_error_kind': (c_char_p, c_void_p), 'diatom_error_message': (c_char_p, c_void_p),
    'diatom_error_hint': (c_char_p, c_void_p), 'diatom_error_exit_code': (c_int, c_void_p),
    'diatom_error_free': (None, c_void_p),
}
for _name, _arguments in CALLS.items():
    getattr(_library, _name).argtypes = (_RUNTIME, *_arguments, _ERROR)
for _name, (_result, *_arguments) in OTHERS.items():
    getattr(_library, _name).restype = _result
    getattr(_library, _name).argtypes = _arguments


class Error(Exception):
    def __init__(self, error: c_void_p):
        self.kind = _library.diatom_error_kind(error).decode()
        self.message = _library.diatom_error_message(error).decode(errors='replace')
        self.hint = _library.diatom_error_hint(error).decode(errors='replace')
        self.exit_code = _library.diatom_error_exit_code(error)
        super().__init__(f'{self.kind}: {self.message}')
        _library.diatom_error_free(error)


def _text(value):
    """Options and documents may be given as what they are the JSON of."""
    if isinstance(value, dict):
        value = json.dumps(value)
    return value.encode() if isinstance(value, str) else value


def texts(words) -> ctypes.Array:
    words = [_text(word) for word in words]
    return (c_char_p * (len(words) + 1))(*words, None)


class Runtime:
    """For one thread at a time, but for cancel()."""

    def __init__(self, **options):
        self._handle = c_void_p()
        self._check(_library.diatom_open, _text(options), ctypes.byref(self._handle))

    def close(self):
        _library.diatom_close(self._handle)
        self._handle = c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def _check(function, *arguments):
        error = c_void_p()
        if function(*arguments, ctypes.byref(error)) != 0:
            raise Error(error)

    def call(self, name: str, *arguments):
        """Calls diatom_NAME: its arguments in order, without the results, which are returned: what its JSON says, or
        that and the exit code before it. A callback that is left out is None."""
        wanted = CALLS['diatom_' + name]
        given, passed, code, document = list(arguments), [], None, None
        for kind in wanted:
            if kind is _JSON:
                document = c_void_p()
                passed.append(ctypes.byref(document))
            elif kind in (POINTER(c_int), POINTER(c_uint64)):
                code = kind._type_()
                passed.append(ctypes.byref(code))
            else:
                value = given.pop(0)
                passed.append(kind() if value is None and kind in (PROGRESS, EVENT, LOG) else _text(value))
        assert not given, f'{name} takes no {given}'
        self._check(getattr(_library, 'diatom_' + name), self._handle, *passed)
        result = None
        if document is not None:
            result = json.loads(ctypes.string_at(document))
            _library.diatom_free(document)
        return result if code is None else code.value if document is None else (code.value, result)

    def cancel(self):
        _library.diatom_cancel(self._handle)

    def logs(self, container: str, **options) -> bytes:
        """stdout and stderr, as they came."""
        parts = []

        def take(_user, _stream, data, size):
            parts.append(ctypes.string_at(data, size))
            return 0
        self.call('container_read_logs', container, options, LOG(take), None)
        return b''.join(parts)


def version() -> str:
    return _library.diatom_version().decode()


def main(image: str, *command: str) -> int:
    with Runtime() as runtime:
        document = {'image': image, 'args': command, 'auto_remove': True}
        code, _ = runtime.call('container_run', document, None, -1, 1, 2, None, None)
        return code


if __name__ == '__main__':
    try:
        sys.exit(main(*sys.argv[1:]))
    except Error as error:
        sys.exit(f'{error}\n  {error.hint}')
