"""Keys of clients, with limits, in a SQLite file. Only hashes of the keys are stored."""

import contextlib
import hashlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt.errors import ConfigError, DataError

_PREFIX = "nmt_"  # so that a key in a log or a repository can be recognized
_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    name TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    requests_per_minute INTEGER,
    characters_per_minute INTEGER,
    characters_per_month INTEGER,
    created TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS usage (
    name TEXT NOT NULL,
    month TEXT NOT NULL,
    characters INTEGER NOT NULL,
    PRIMARY KEY (name, month)
) STRICT;
"""


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is known about a key."""

    name: str
    created: str
    """The day on which the key was added, as YYYY-MM-DD."""
    requests_per_minute: int | None
    """Its own limit. None means the limit of the server, and 0 no limit."""
    characters_per_minute: int | None
    characters_per_month: int | None
    characters: int
    """The number of characters in this month."""


class KeyStore:
    """The keys in a file. Changes by other processes, such as `nmt-serve keys revoke`, are seen at once.

    Args:
        path: the file.
        create: whether to create the file if it does not exist.

    Raises:
        DataError: the file does not exist, or is not a file of keys.
    """

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        if not create and not self.path.exists():
            raise DataError(f"{path}: does not exist; add a key with `nmt-serve keys add NAME --keys {path}`")
        with self._explain():
            if create and not self.path.exists():
                self.path.touch(mode=0o600)
            self._connection = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def add(
        self,
        name: str,
        *,
        requests_per_minute: int | None = None,
        characters_per_minute: int | None = None,
        characters_per_month: int | None = None,
    ) -> str:
        """Add a key and return it. It cannot be read again, because only its hash is stored.

        Raises:
            ConfigError: there is a key of this name already, or the name is empty or not printable.
        """
        if not name.strip() or not name.isprintable():
            raise ConfigError("the name of a key must be printable text; choose another name")
        key = _PREFIX + secrets.token_urlsafe(32)
        limits = (requests_per_minute, characters_per_minute, characters_per_month)
        with self._explain():
            try:
                row = (name, _hash(key), *limits, time.strftime("%Y-%m-%d"))
                self._connection.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise ConfigError(f"{name}: there is a key of this name; revoke it, or choose another name") from None
        return key

    def revoke(self, name: str) -> None:
        """Remove a key. Raises ConfigError: no key has this name."""
        with self._explain():
            if not self._connection.execute("DELETE FROM keys WHERE name = ?", (name,)).rowcount:
                raise ConfigError(f"{name}: no key has this name; `nmt-serve keys list` shows all names")

    def list_all(self) -> list[Key]:
        """Return all keys, ordered by name."""
        with self._explain():
            names = [row[0] for row in self._connection.execute("SELECT hash FROM keys ORDER BY name")]
            return [key for digest in names if (key := self._read(digest))]

    def find(self, key: str) -> Key | None:
        """Return what is known about a key, or None if it is not valid."""
        with self._explain():
            return self._read(_hash(key))

    def count(self, name: str, characters: int) -> None:
        """Add characters to the usage of a key in this month."""
        command = (
            "INSERT INTO usage VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET characters = usage.characters + excluded.characters"
        )
        with self._explain():
            self._connection.execute(command, (name, _month(), characters))

    def count_characters(self, name: str) -> int:
        """Return the number of characters of a key in this month."""
        command = "SELECT characters FROM usage WHERE name = ? AND month = ?"
        with self._explain():
            row = self._connection.execute(command, (name, _month())).fetchone()
            return int(row[0]) if row else 0

    def _read(self, digest: str) -> Key | None:
        row = self._connection.execute(
            "SELECT name, created, requests_per_minute, characters_per_minute, characters_per_month, coalesce("
            "(SELECT characters FROM usage WHERE usage.name = keys.name AND month = ?), 0) FROM keys WHERE hash = ?",
            (_month(), digest),
        ).fetchone()
        if row is None:
            return None
        return Key(
            name=row[0],
            created=row[1],
            requests_per_minute=row[2],
            characters_per_minute=row[3],
            characters_per_month=row[4],
            characters=row[5],
        )

    @contextlib.contextmanager
    def _explain(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"{self.path}: cannot be used as a file of keys ({error}); name another file") from error


def _hash(key: str) -> str:
    """Return the hash of a key. Keys are random and long, so a plain hash is enough.

    A look-up by the hash also takes the same time for all wrong keys.
    """
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _month() -> str:
    return time.strftime("%Y-%m", time.gmtime())
