"""The parameters of requests: in a query, in a form, or in a JSON object."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from nmt.server.errors import RequestError
from nmt.server.records import read_record
from nmt.tokenizers.base import replace_surrogates

T = TypeVar("T")

ITEMS = ""
"""The name of a body that is a JSON list."""

_MAX_FIELDS, _MAX_FILES = 10_000, 1
_ITEM = re.compile(r"(\w+)\[(\d{1,4})\]\.(\w+)")  # the name of a field of an object in a list


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of a request."""

    values: dict[str, Any]
    """The values by name. The value of a repeated name in a query or a form is a list."""
    typed: bool
    """Whether the values are of JSON. Otherwise, they are strings."""
    files: dict[str, UploadFile] = field(default_factory=dict)

    def read(self, kind: type[T], *, strict: bool = False) -> T:
        """Return a record of the parameters. See `nmt.server.records.read_record`."""
        return read_record(kind, self.values, text=not self.typed, strict=strict)

    async def close(self) -> None:
        """Delete the temporary files."""
        for file in self.files.values():
            await file.close()

    def get_text(self, name: str) -> str | None:
        """Return a parameter if it is text, or None."""
        value = self.values.get(name)
        return value if isinstance(value, str) else None


async def read_parameters(request: Request) -> Parameters:
    """Read the query and the body of a request. Values of the body take precedence.

    A body that begins like a JSON object is JSON unless it has files, because some clients, such as `curl -d`, do not
    say so.

    Raises:
        RequestError: the body is not what it claims to be (400).
    """
    query = _collect(request.query_params.multi_items())
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind != "multipart/form-data" and (await request.body()).lstrip().startswith(b"{")
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data") and not is_json:
        try:
            form = await request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS, max_part_size=1 << 30)
        except (HTTPException, MultiPartException, ValueError, KeyError) as error:
            raise RequestError(400, "the body is not a valid form") from error
        texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        files = {name: value for name, value in form.multi_items() if isinstance(value, UploadFile)}
        return Parameters(values=query | _collect(texts), typed=False, files=files)
    body = await request.body()
    if not body.strip():
        return Parameters(values=query, typed=False)
    try:
        values = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise RequestError(400, "the body is not valid JSON in UTF-8") from None
    if isinstance(values, list):
        return Parameters(values=query | {ITEMS: values}, typed=True)
    if not isinstance(values, dict):
        raise RequestError(400, "the body must be a JSON object")
    return Parameters(values=query | values, typed=True)


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values by name. The values of a repeated name become a list.

    Names such as `terms[0].source` become a list of objects. deepl-node writes dictionaries of glossaries like this.
    """
    found: dict[str, list[str]] = {}
    items: dict[str, dict[int, dict[str, str]]] = {}
    for name, value in pairs:
        if item := _ITEM.fullmatch(name):
            items.setdefault(item[1], {}).setdefault(int(item[2]), {})[item[3]] = replace_surrogates(value)
        else:
            found.setdefault(name, []).append(replace_surrogates(value))
    values = {name: values[0] if len(values) == 1 else values for name, values in found.items()}
    return values | {name: [own[number] for number in sorted(own)] for name, own in items.items()}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
