"""The limits of requests, and the rates of clients."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from nmt.config.fields import Range, range_faults
from nmt.errors import ConfigError
from nmt.server.errors import RequestError

_MAX_CLIENTS = 10_000  # the number of clients whose rates are remembered


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request and a client may ask for. The options of nmt-serve have the same names.

    Raises:
        ConfigError: a value is out of its bounds.
    """

    max_body_bytes: Annotated[int, Range(1_024, 1 << 30)] = 1 << 20
    """Largest body of a request, in bytes, without uploaded files."""
    max_characters: Annotated[int, Range(1, 1 << 30)] = 100_000
    """Most characters to translate in one request."""
    max_texts: Annotated[int, Range(1, 1_000_000)] = 1_000
    """Most texts in one request."""
    max_alternatives: Annotated[int, Range(0, 100)] = 10
    """Most alternatives, samples or translations of an n-best list for each text."""
    max_beam: Annotated[int, Range(1, 1_000)] = 20
    """Largest beam."""
    max_terms: Annotated[int, Range(0, 100_000)] = 20_000
    """Most terms in one request or glossary."""
    max_glossaries: Annotated[int, Range(0, 100_000)] = 100
    """Most glossaries of one client."""
    max_file_bytes: Annotated[int, Range(0, 1 << 32)] = 10 << 20
    """Largest file to translate, in bytes; 0 refuses files."""
    requests_per_minute: Annotated[int, Range(0, 1_000_000_000)] = 6_000
    """Most requests of a client in a minute; 0: unlimited."""
    characters_per_minute: Annotated[int, Range(0, 1_000_000_000)] = 3_000_000
    """Most characters of a client in a minute; 0: unlimited."""
    max_queue_characters: Annotated[int, Range(1, 1 << 40)] = 1_000_000
    """Most characters of all clients that wait for translation."""
    seconds: Annotated[float, Range(0.1, 86_400)] = 60.0
    """Most seconds for a request, after which it is dropped."""
    body_seconds: Annotated[float, Range(0.1, 86_400)] = 20.0
    """Most seconds in which a client must send a request."""

    def __post_init__(self) -> None:
        if faults := range_faults(self):
            raise ConfigError("\n".join(faults))


@dataclass(frozen=True, kw_only=True)
class Client:
    """Who sends a request."""

    name: str
    """`key:` and the name of the key, or the address of the client."""
    key: str | None = None
    """The name of the key, if the client has one."""
    requests_per_minute: int = 0
    """The limit of its requests; 0: unlimited."""
    characters_per_minute: int = 0
    """The limit of its characters; 0: unlimited."""
    characters_per_month: int = 0
    """The limit of its characters in a month; 0: unlimited."""


def find_network(address: str) -> str:
    """Return an IPv4 address as it is, and an IPv6 address as its network of 64 bits.

    A provider gives each customer at least such a network, so that one client can use any of its 2^64 addresses.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address  # a Unix socket, or a test
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))


class Rates:
    """Counts what clients ask for, in buckets that are full after a minute without requests.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def charge(self, client: Client, *, requests: int = 0, characters: int = 0) -> None:
        """Count requests and characters of a client.

        A request with more characters than the limit of a minute is accepted if the client has asked for nothing in the
        last minute.

        Raises:
            RequestError: the client has asked for too much in the last minute (429).
        """
        self._spend(client.name, "requests", requests, client.requests_per_minute)
        self._spend(client.name, "characters", characters, client.characters_per_minute)

    def _spend(self, client: str, what: str, amount: int, limit: int) -> None:
        if not amount or not limit:
            return
        now, key = self._clock(), (client, what)
        spent, before = self._spent.get(key, (0.0, now))
        spent = max(0.0, spent - (now - before) * limit / 60)
        if spent and spent + amount > limit:
            wait = (min(spent, spent + amount - limit)) * 60 / limit
            raise RequestError(429, f"more than {limit:,} {what} in a minute; try again later", wait)
        self._spent[key] = spent + amount, now
        self._spent.move_to_end(key)
        if len(self._spent) > _MAX_CLIENTS:
            self._spent.popitem(last=False)
