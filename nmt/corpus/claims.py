"""Claims of shards, so that machines that share a job do not do the same work twice.

A claim is a file that names its owner and is rewritten from time to time. If it stays the same for too long, its owner
has died, and the process that sees this takes the shard. Only the clock of the observer matters. Claims only save work:
if two workers process the same shard, they write the same bytes.
"""

import json
import time
from collections.abc import Callable

from nmt.corpus.folders import Folder
from nmt.corpus.owners import has_ended, name_owner

CLAIMS = "claims"
RENEWAL = 20.0
"""The number of seconds after which a claim is rewritten."""
LEASE = 120.0
"""The number of seconds after which a claim that has not been rewritten is void."""


class Claims:
    """The claims of this process, and what it has seen of the claims of others."""

    def __init__(self, folder: Folder, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._owner = name_owner()
        self._own: dict[int, int] = {}  # how often each claim was renewed
        self._seen: dict[int, tuple[bytes, float]] = {}  # the content of a claim, and when it was first seen
        self._renewed = clock()

    def take(self, number: int) -> bool:
        """Claim a shard. Return False if another process is alive and has claimed it."""
        name = _name(number)
        if not self._folder.create(name, self._format(0)):
            content = self._folder.read(name)
            if content is None:  # released in this moment: its shard is probably done
                return False
            if not self._is_void(number, content):
                return False
            self._folder.write(name, self._format(0))
        self._own[number] = 0
        return True

    def release(self, number: int) -> None:
        """Give up a claim."""
        if self._own.pop(number, None) is not None:
            self._folder.delete(_name(number))

    def release_all(self) -> None:
        """Give up all claims of this process."""
        for number in list(self._own):
            self.release(number)

    def renew(self) -> None:
        """Rewrite all claims of this process, if it is time. Call this every few seconds."""
        if self._clock() - self._renewed < RENEWAL:
            return
        self._renewed = self._clock()
        for number in self._own:
            self._own[number] += 1
            self._folder.write(_name(number), self._format(self._own[number]))

    def _is_void(self, number: int, content: bytes) -> bool:
        owner = _parse_owner(content)
        if owner is not None and has_ended(owner):
            return True
        seen, since = self._seen.get(number, (None, 0.0))
        if seen != content:
            self._seen[number] = content, self._clock()
            return False
        return self._clock() - since >= LEASE

    def _format(self, renewals: int) -> bytes:
        return json.dumps({"owner": self._owner, "renewals": renewals}).encode()


def _name(number: int) -> str:
    return f"{CLAIMS}/{number:06d}"


def _parse_owner(content: bytes) -> str | None:
    try:
        owner = json.loads(content)["owner"]
    except (ValueError, TypeError, KeyError):  # the owner was killed while it wrote the claim
        return None
    return owner if isinstance(owner, str) else None
