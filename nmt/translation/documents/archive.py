"""Zip archives of strangers, the containers of office documents and EPUB: reading within limits, and writing."""

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from nmt.errors import DataError
from nmt.translation.documents.document import MAX_BYTES, Context, Document
from nmt.translation.tagged import TaggedText

_MAX_MEMBERS = 20_000
_MAX_TOTAL = 1 << 30  # the limit of all members together, in bytes
_MAX_RATIO = 100  # the limit of their compression, for archives that are larger than _SMALL
_SMALL = 32 << 20
_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # encrypted office documents, and old ones, start like this
# What zipfile, and the modules by which it decompresses, raise for damaged archives (bz2 raises OSError, and names that
# are not UTF-8 a ValueError), and for methods that they lack (RuntimeError). Only their functions are called with this.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, RuntimeError),
)
_ENCRYPTED = 1  # a bit of the flags of a member


class Archive:
    """A zip archive in memory."""

    def __init__(self, data: bytes, name: str) -> None:
        """Open an archive.

        Raises:
            DataError: it or a member is damaged, encrypted, or larger than the limits.
        """
        self.name = name
        if data.startswith(_OLD):
            raise DataError(f"{name}: is encrypted, or of an old format; save it without a password in the new format")
        try:
            self._file = zipfile.ZipFile(io.BytesIO(data))
        except _DAMAGED as error:
            raise DataError(f"{name}: is damaged or of another format ({error}); repair the file") from error
        self._infos = self._file.infolist()
        total = sum(info.file_size for info in self._infos)
        faults = {
            f"more than {_MAX_MEMBERS:,} files": len(self._infos) > _MAX_MEMBERS,
            f"more than {_MAX_TOTAL >> 20} MiB": total > _MAX_TOTAL,
            f"files that are compressed by a factor of more than {_MAX_RATIO}": total > _SMALL
            and total > _MAX_RATIO * len(data),
        }
        for fault in (fault for fault, found in faults.items() if found):
            raise DataError(f"{name}: contains {fault}, like a zip bomb; make the document smaller")
        if any(info.flag_bits & _ENCRYPTED for info in self._infos):
            raise DataError(f"{name}: is encrypted; save it without a password")
        self.names = [info.filename for info in self._infos]
        if len(set(self.names)) != len(self.names):
            raise DataError(f"{name}: contains two files of the same name; repair the file")
        for member in self.names:  # `write` copies all members, and their faults are reported before the translation
            self.read(member)

    def read(self, member: str) -> bytes:
        """Return the content of a member.

        Raises:
            DataError: the member is missing, damaged or too large.
        """
        try:
            if self._file.getinfo(member).file_size > MAX_BYTES:
                raise DataError(f"{self.name}: {member} is larger than {MAX_BYTES >> 20} MiB; make it smaller")
            return self._file.read(member)
        except KeyError as error:
            raise DataError(f"{self.name}: has no {member}, so it is of another format; check its ending") from error
        except _DAMAGED as error:
            raise DataError(f"{self.name}: {member} is damaged ({error}); repair the file") from error

    def write(self, changed: Mapping[str, bytes]) -> bytes:
        """Return an archive with other content of some members. All other members, and their order, are the same."""
        output = io.BytesIO()
        # Readers of OpenDocument and EPUB expect this file first, and not compressed.
        infos = sorted(self._infos, key=lambda info: info.filename != "mimetype")
        with zipfile.ZipFile(output, "w") as file:
            for info in infos:
                new = zipfile.ZipInfo(info.filename, info.date_time)
                new.compress_type = zipfile.ZIP_STORED if info.filename == "mimetype" else info.compress_type
                new.external_attr, new.create_system, new.comment = info.external_attr, info.create_system, info.comment
                content = changed.get(info.filename)
                file.writestr(new, self.read(info.filename) if content is None else content)
        return output.getvalue()


class ArchiveDocument(Document):
    """An archive some of whose members are documents."""

    def __init__(
        self,
        archive: Archive,
        members: Iterable[tuple[str, Callable[[bytes, Context], Document]]],
        context: Context,
    ) -> None:
        """Read the documents.

        Args:
            archive: the archive.
            members: the names of the members, each with the function that reads it.
            context: the context of the archive.
        """
        self._archive = archive
        self._parts: list[tuple[str, Document]] = []
        for member, read in members:
            self._parts.append((member, read(archive.read(member), replace(context, name=f"{context.name}: {member}"))))
        self.texts: Sequence[TaggedText] = [text for _, part in self._parts for text in part.texts]

    def write(self, translations: Sequence[TaggedText]) -> bytes:
        changed, place = dict[str, bytes](), 0
        for member, part in self._parts:
            changed[member] = part.write(translations[place : place + len(part.texts)])
            place += len(part.texts)
        return self._archive.write(changed)
