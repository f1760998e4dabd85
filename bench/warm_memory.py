#!/usr/bin/env python3
"""Free memory that costs what memory costs. A VM may have handed free memory back to its host, in pieces of 2 MiB and
more; the next one to touch it waits for the host, ten times as long as for the memory itself, and whom it hits is
chance. So for as long as `with WarmMemory(gib):` lasts, one page of 4 KiB in each piece is held and the rest is free.

  warm_memory.py GIB      holds until its standard input ends; says "held" when it does
"""
import mmap
import subprocess
import sys

PAGE = 4 << 10
PIECE = 2 << 20


class WarmMemory:
    def __init__(self, gib: float):
        self.gib = gib

    def __enter__(self):
        # In a process of its own: this one's memory would be counted as that of what it measures.
        self.process = subprocess.Popen([sys.executable, __file__, str(self.gib)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b'held\n':
            raise MemoryError(f'{self.gib} GiB are not to be had')
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def hold(gib: float) -> mmap.mmap:
    size = max(1, int(gib * (1 << 30)) // PIECE) * PIECE
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, size, PAGE):
        memory[at] = 1
    for at in range(0, size, PIECE):
        memory.madvise(mmap.MADV_DONTNEED, at + PAGE, PIECE - PAGE)
    return memory


def main() -> None:
    held = hold(float(sys.argv[1]))  # noqa: F841
    print('held', flush=True)
    sys.stdin.buffer.read()


if __name__ == '__main__':
    main()
