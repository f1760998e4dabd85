"""Of a host that is busy with something else."""
import threading
import time


class Lateness(threading.Thread):
    """How late a process is woken up here at worst. QEMU tells when its VM went on, and is as late with it as any other:
    on a host that is busy with something else, a guest cannot know the time any better."""

    def __init__(self):
        super().__init__(daemon=True)
        self.worst = 0.0
        self.over = threading.Event()

    def run(self):
        step = 0.001
        while not self.over.is_set():
            before = time.monotonic()
            self.over.wait(step)
            self.worst = max(self.worst, time.monotonic() - before - step)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
