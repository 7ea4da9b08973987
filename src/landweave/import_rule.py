"""Whose code a project file or a model may name: import paths are programs, and a file from elsewhere may hold any."""

import importlib
import importlib.util
import sys
import threading
from dataclasses import dataclass
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from landweave.errors import InputError

PACKAGES = {"landweave": "landweave", "lightgbm": "LightGBM", "sklearn": "scikit-learn", "xgboost": "XGBoost"}
"""Packages whose functions and classes may be named by any file."""

_LOCK = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class ImportRule:
    """Where named functions and classes may come from, beside :data:`PACKAGES`.

    A worker elsewhere gets the rule along with its task and imports the same.
    """

    folder: Path | None = None
    """Folder of the project file; a module there may be named, ``veg`` for ``veg.py``."""

    anything: bool = False
    """Import anything that Python finds: ``--allow-code``."""

    def origin(self, module: str) -> str | None:
        """Where a module would come from, in words; None where it may not be imported.

        >>> ImportRule().origin("sklearn.svm")
        'scikit-learn'
        >>> ImportRule().origin("subprocess") is None
        True
        """
        if _is_reserved(module):
            return None
        first = module.partition(".")[0]
        if first in PACKAGES:
            return PACKAGES[first]
        if self.beside(module) is not None:
            return f"{module}.py beside the project file"
        return "allowed by --allow-code" if self.anything else None

    def beside(self, module: str) -> Path | None:
        """The file of a module beside the project file; None where there is none."""
        if self.folder is None or not module.isidentifier() or module in PACKAGES:
            return None
        path = self.folder / f"{module}.py"
        return path if path.is_file() else None

    def load(self, module: str, name: str) -> Any:
        """Import a module and take a name from it.

        Raises
        ------
        InputError
            For a module that may not be imported, or fails; for a name that it does not have, or has from elsewhere.
        """
        if self.origin(module) is None:
            refuse(f"{module}:{name}")
        path = self.beside(module)
        try:
            found = getattr(_file_module(path) if path is not None else importlib.import_module(module), name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module may do anything when it is imported
            words = " ".join(str(error).split())[:300]
            raise InputError(f"{module}:{name} cannot be imported: {type(error).__name__}: {words}.") from None
        # A package also has the names that it imports itself, and some of them start programs.
        own = str(getattr(found, "__module__", None) or "").partition(".")[0] in PACKAGES
        if path is None and not self.anything and not own:
            refuse(f"{module}:{name}")
        return found


def refuse(what: str) -> NoReturn:
    """Say which code may be named, and how any other may be."""
    *some, last = PACKAGES.values()
    raise InputError(
        f"{what} is code from elsewhere than {', '.join(some)}, {last} or a module beside the project file; if you "
        "trust it, use --allow-code (in Python allow_code=True)."
    )


def _is_reserved(module: str) -> bool:
    """``landweave.__main__`` is a program, not a module."""
    return any(part.startswith("__") or not part.isidentifier() for part in module.split("."))


class _SourceOnly(SourceFileLoader):
    """Runs the text of a file and no compiled copy beside it, which may hold other code; and writes none."""

    def path_stats(self, path: Any) -> Any:
        raise OSError(path)


def _file_module(path: Path) -> ModuleType:
    """The module in a file, under a name of its own: it can stand for no module that another program part imports."""
    name = f"landweave_beside_{sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:24]}"
    with _LOCK:
        if name not in sys.modules:
            loader = _SourceOnly(name, str(path))
            spec = importlib.util.spec_from_loader(name, loader)
            assert spec is not None
            module = importlib.util.module_from_spec(spec)
            # Where dataclasses and inspect look it up.
            sys.modules[name] = module
            try:
                loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
        return sys.modules[name]
