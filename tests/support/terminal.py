"""A pseudo-terminal for a program, and reading from one, or from a pipe, until something has come."""
import fcntl
import os
import pty
import select
import struct
import termios
import time

from diatom import DEADLINE


def read_until(fd: int, wanted: bytes, deadline: float = DEADLINE) -> bytes:
    """Reads until `wanted` has come; an event with a deadline, never a sleep."""
    seen, end = b'', time.monotonic() + deadline
    while wanted not in seen:
        ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise AssertionError(f'{wanted!r} did not come; seen: {seen[-2000:]!r}')
        try:
            data = os.read(fd, 65536)
        except OSError:  # EIO: the other side of the terminal has gone
            data = b''
        if not data:
            raise AssertionError(f'ended before {wanted!r}; seen: {seen[-2000:]!r}')
        seen += data
    return seen


def set_size(fd: int, rows: int, cols: int):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))


def in_terminal(home, *words, rows: int = 33, cols: int = 101):
    """Starts `diatom WORDS` in a terminal of its own; returns the process and the terminal's other side."""
    master, slave = pty.openpty()
    set_size(slave, rows, cols)

    def own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = home.popen(*words, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal)
    os.close(slave)
    return process, master
