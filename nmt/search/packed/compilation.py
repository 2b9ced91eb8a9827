"""Compilation of inner loops by Numba, if Numba is installed, and a cache of compiled loops on disk.

The cache is disposable: a loop that cannot be read from the cache is compiled again. Numba's own cache raises an error
if a file cannot be unpickled or if the disk is full. It does not notice damaged machine code, and runs such code.
"""

import contextlib
import hashlib
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_numba: Any = None
_FunctionCache: Any = object
_CacheFile: Any = object
with contextlib.suppress(ImportError):  # Numba is not installed, or is not compatible with the installed NumPy
    import numba as _numba
    from numba.core.caching import FunctionCache as _FunctionCache
    from numba.core.caching import IndexDataCacheFile as _CacheFile
AVAILABLE = _numba is not None


def compiled(*liberties: str, **options: Any) -> Callable[[Function], Function]:
    """Return a decorator that compiles a function at its first call and caches the machine code.

    Without Numba, the decorator returns the function unchanged.

    Args:
        liberties: LLVM's fast-math flags, which permit changes to floating-point operations. `contract` permits one
            instruction for a · b + c. `reassoc` permits partial sums, which vector instructions need.
        options: options of Numba's `njit`.
    """

    def decorate(function: Function) -> Function:
        if not AVAILABLE:
            return function
        # With the error model "numpy", division by zero raises no exception. Exceptions would prevent vector code.
        settings = {"error_model": "numpy", "fastmath": set(liberties), **options}
        kernel: Any = _numba.njit(**settings)(function)
        with contextlib.suppress(RuntimeError, OSError):  # if no folder is writable, each process compiles the function
            kernel._cache = DisposableCache(function)
        return kernel  # type: ignore[no-any-return]

    return decorate


class DisposableCache(_FunctionCache):  # type: ignore[misc]
    """The cache of a function. Loading and saving never raise an error.

    Raises:
        RuntimeError: no folder for the cache is writable. Only the constructor raises this error.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(_numba.__version__, self._impl.locator.get_source_stamp()),
        )

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled function for a signature, or None if the cache has no readable one."""
        try:
            return super().load_overload(signature, target_context)
        except Exception:  # damaged files can raise any error
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Save the compiled function for a signature, if possible."""
        with contextlib.suppress(Exception):  # the disk is full, or another process deletes the cache
            super().save_overload(signature, data)


class _CheckedFile(_CacheFile):  # type: ignore[misc]
    """The files of a cache. Each file starts with a checksum."""

    def _load_index(self) -> dict[Any, str]:
        try:
            stamp, overloads = pickle.loads(_read(self._index_path))
        except Exception:  # the index does not exist or is damaged
            return {}
        return overloads if stamp == self._source_stamp else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._save(self._index_path, (self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return pickle.loads(_read(self._data_path(name)))

    def _save_data(self, name: str, data: Any) -> None:
        self._save(self._data_path(name), data)

    def _save(self, path: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(content).digest() + content)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        checksum, content = file.read(32), file.read()
    if hashlib.sha256(content).digest() != checksum:
        raise OSError(f"{path}: damaged")
    return content
