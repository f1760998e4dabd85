"""libdiatom and its ctypes example, for tests."""
import importlib.util
import os

from diatom import BINARY, ROOT

LIBRARY = BINARY.parents[1] / 'lib/libdiatom.so.0'


def binding():
    """examples/diatom_ctypes.py over the library of this build."""
    os.environ['DIATOM_LIBRARY'] = str(LIBRARY)
    spec = importlib.util.spec_from_file_location('diatom_ctypes', ROOT / 'examples/diatom_ctypes.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
