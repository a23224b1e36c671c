"""What the host's Python runs first: it makes the agent's other modules importable, and starts their loop.

Behind this text stands one more line, `start({name of a module: its text})`. Nothing is written to a disk.
"""

import importlib
import importlib.machinery
import sys

PACKAGE = "opskit_agent"  # not `opskit`: that may be installed there


class Importer:
    """Finds and loads the agent's modules in the texts that came, as Python's own importers do in folders."""

    def __init__(self, texts):
        self.texts = {PACKAGE if name == "__init__" else PACKAGE + "." + name: text for name, text in texts.items()}

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002 - as Python asks
        return importlib.machinery.ModuleSpec(name, self, is_package=name == PACKAGE) if name in self.texts else None

    def create_module(self, spec):  # noqa: ARG002 - as Python asks
        return None  # an ordinary one

    def exec_module(self, module):
        name = module.__name__
        file = "opskit-agent:%s.py" % name.rpartition(".")[2]  # no slash: Python would look for its lines elsewhere
        exec(compile(self.texts[name], file, "exec"), module.__dict__)  # noqa: S102 - as this text is

    def get_source(self, name):
        """For the lines of a traceback."""
        return self.texts[name]


def start(texts):
    """Serve a controller, by `main` of the module `loop`."""
    if sys.version_info < (3, 8):
        sys.exit("app.python is Python %d.%d: the agent needs 3.8 or newer" % sys.version_info[:2])
    sys.meta_path.insert(0, Importer(texts))
    importlib.import_module(PACKAGE + ".loop").main()
