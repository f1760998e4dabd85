"""Waiting for a file to appear, by inotify(7): no test sleeps."""
import ctypes
import os
import select

IN_CREATE, IN_MOVED_TO = 0x100, 0x80


class FileEvents:
    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if libc.inotify_add_watch(self.fd, os.fsencode(self.folder), IN_CREATE | IN_MOVED_TO) < 0:
            raise OSError(ctypes.get_errno(), 'inotify_add_watch', str(self.folder))
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def wait_for_new(self, seconds: float):
        """Returns once a file has been made in the folder, or moved into it."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            raise TimeoutError(f'nothing new in {self.folder} within {seconds} s')
        os.read(self.fd, 1 << 16)
