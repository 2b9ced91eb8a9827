"""Glossaries that clients store on the server, in a SQLite file or in memory."""

import json
import sqlite3
import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nmt.errors import DataError
from nmt.translation.terms import Term

_TABLE = """
CREATE TABLE IF NOT EXISTS glossaries (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    created TEXT NOT NULL,
    dictionaries TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS owners ON glossaries (owner);
"""
_PREPARED = 16  # the number of dictionaries whose terms are kept, so that a model need not prepare them again

Languages = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Glossary:
    """A glossary: terms for one or several pairs of languages."""

    id: str
    name: str
    created: str
    """The time at which it was created, in the form of ISO 8601."""
    dictionaries: Mapping[Languages, Mapping[str, str]]
    """For each pair of languages, the target of each source."""


class GlossaryStore:
    """The glossaries of all clients.

    Args:
        path: the file. None keeps the glossaries in memory, until the server ends.

    Raises:
        DataError: the file cannot be used.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._lock = threading.Lock()
        self._prepared: OrderedDict[tuple[str, Languages, str], tuple[Term, ...]] = OrderedDict()
        try:
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=10, isolation_level=None, check_same_thread=False
            )
            self._connection.executescript(_TABLE)
        except sqlite3.Error as error:
            raise DataError(f"{path}: cannot be used as a file of glossaries ({error}); name another file") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def count(self, owner: str) -> int:
        """Return the number of glossaries of a client."""
        return int(self._fetch("SELECT count(*) FROM glossaries WHERE owner = ?", owner)[0][0])

    def list_all(self, owner: str) -> list[Glossary]:
        """Return the glossaries of a client, the oldest first."""
        command = "SELECT id, name, created, dictionaries FROM glossaries WHERE owner = ? ORDER BY rowid"
        return [_read(row) for row in self._fetch(command, owner)]

    def find(self, owner: str, number: str) -> Glossary | None:
        """Return a glossary of a client, or None."""
        command = "SELECT id, name, created, dictionaries FROM glossaries WHERE owner = ? AND id = ?"
        rows = self._fetch(command, owner, number)
        return _read(rows[0]) if rows else None

    def add(self, owner: str, name: str, dictionaries: Mapping[Languages, Mapping[str, str]]) -> Glossary:
        """Store a new glossary."""
        created = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        glossary = Glossary(id=str(uuid.uuid4()), name=name, created=created, dictionaries=dictionaries)
        values = (glossary.id, owner, name, created, _write(dictionaries))
        self._fetch("INSERT INTO glossaries VALUES (?, ?, ?, ?, ?)", *values)
        return glossary

    def change(self, owner: str, glossary: Glossary) -> None:
        """Replace the name and the dictionaries of a glossary."""
        values = (glossary.name, _write(glossary.dictionaries), owner, glossary.id)
        self._fetch("UPDATE glossaries SET name = ?, dictionaries = ? WHERE owner = ? AND id = ?", *values)

    def delete(self, owner: str, number: str) -> bool:
        """Delete a glossary. Return whether it existed."""
        found = self.find(owner, number) is not None
        self._fetch("DELETE FROM glossaries WHERE owner = ? AND id = ?", owner, number)
        return found

    def get_terms(self, glossary: Glossary, languages: Languages) -> tuple[Term, ...]:
        """Return the terms of a glossary for two languages. Equal terms are the same object each time."""
        entries = glossary.dictionaries[languages]
        key = (glossary.id, languages, json.dumps(list(entries.items())))
        with self._lock:
            terms = self._prepared.pop(key, None)
            if terms is None:
                terms = tuple(Term(source, target) for source, target in entries.items())
            self._prepared[key] = terms
            if len(self._prepared) > _PREPARED:
                self._prepared.popitem(last=False)
            return terms

    def _fetch(self, command: str, *values: str) -> list[tuple[str, ...]]:
        with self._lock:
            return self._connection.execute(command, values).fetchall()


def _write(dictionaries: Mapping[Languages, Mapping[str, str]]) -> str:
    return json.dumps([[*pair, list(entries.items())] for pair, entries in dictionaries.items()], ensure_ascii=False)


def _read(row: tuple[str, ...]) -> Glossary:
    dictionaries = {(source, target): dict(entries) for source, target, entries in json.loads(row[3])}
    return Glossary(id=row[0], name=row[1], created=row[2], dictionaries=dictionaries)
