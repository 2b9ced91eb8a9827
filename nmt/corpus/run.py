"""What all engines share: which shards are left, which failed, how far the job is, and what happens after a death."""

import logging
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from nmt.corpus.claims import Claims
from nmt.corpus.job import Shard
from nmt.corpus.ledger import Ledger, Marker
from nmt.corpus.shard import Attempt, Position
from nmt.errors import DataError, UserError

logger = logging.getLogger(__name__)

DEATHS = 3
"""A line at which this many workers were killed fails."""
_PROGRESS = 10.0  # seconds between two reports of progress
_POLL = 2.0  # seconds between two looks at the claims of other processes


@dataclass(frozen=True, kw_only=True)
class Share:
    """One of several equal shares of a job, which processes do without knowing of each other."""

    index: int
    count: int

    def has(self, shard: Shard) -> bool:
        return shard.number % self.count == self.index


class Work:
    """The shards of a job that are left to this process."""

    def __init__(self, ledger: Ledger, share: Share | None = None, *, can_divide: bool = True) -> None:
        """List the shards that are not done.

        Args:
            ledger: the record of the job.
            share: the share of this process. Without a share, processes that work on the same job claim shards.
            can_divide: whether lines can be processed one by one.
        """
        self._ledger, self._can_divide = ledger, can_divide
        done = ledger.read_done()
        mine = [shard for shard in ledger.job.shards if share is None or share.has(shard)]
        self._left = [shard for shard in mine if shard.number not in done]
        self._claims = Claims(ledger.folder) if share is None else None
        self._attempts: dict[int, Attempt] = {}
        self._deaths: Counter[tuple[int, int]] = Counter()  # by shard and line
        self._failures: list[UserError] = []
        self._random = random.Random()
        self._polled = float("-inf")
        self._returned: list[Attempt] = []
        self.progress = Progress(
            shards=len(mine), done=len(mine) - len(self._left), bytes=sum(shard.size for shard in self._left)
        )

    @property
    def count(self) -> int:
        """The number of shards that no worker of this process has begun. Other processes may have claimed them."""
        return len(self._left) + len(self._returned)

    def take(self) -> Attempt | None:
        """Return the next shard, or None if there is none, or if other processes have claimed all that are left.

        In the second case, `count` is not zero, and the caller calls again later.
        """
        if self._returned:
            return self._returned.pop()
        if self._claims is None:
            return self._begin(self._left.pop(0)) if self._left else None
        if time.monotonic() - self._polled < _POLL:
            return None
        index = 0
        tried: set[int] = set()
        while len(tried) < len(self._left):
            shard = self._left[index]
            if shard.number not in tried and self._claims.take(shard.number):
                self._left.pop(index)
                if not self._ledger.is_done(shard):
                    return self._begin(shard)
                self._claims.release(shard.number)
                self.progress.skip(shard)
                index = 0
                continue
            tried.add(shard.number)
            # Others work at the beginning of the list. Anywhere else, their claims are rarely met.
            index = self._random.randrange(len(self._left)) if len(tried) < 8 else (index + 1) % len(self._left)
        self._polled = time.monotonic()
        return None

    def _begin(self, shard: Shard) -> Attempt:
        return self._attempts.get(shard.number, Attempt(shard=shard))

    def finish(self, shard: Shard, marker: Marker) -> None:
        """Note that a shard is done."""
        if self._claims:
            self._claims.release(shard.number)
        self.progress.finish(shard, marker)

    def fail(self, shard: Shard, error: UserError) -> None:
        """Note that a shard failed. The others are not affected."""
        if self._claims:
            self._claims.release(shard.number)
        self._failures.append(error)

    def bury(self, shard: Shard, position: Position | None) -> Attempt | None:
        """Return the next attempt at a shard whose worker was killed, or None if the shard has failed.

        Args:
            shard: the shard.
            position: the lines that it was processing, or None if that is unknown.
        """
        attempt = self._attempts.get(shard.number, Attempt(shard=shard))
        if position and self._can_divide:
            careful, skip = (position.first, position.last), attempt.skip
            if position.last - position.first == 1:
                careful = attempt.careful
                self._deaths[shard.number, position.first] += 1
                if self._deaths[shard.number, position.first] >= DEATHS:
                    skip |= {position.first}
            attempt = Attempt(shard=shard, careful=careful, skip=skip)
        elif not self._can_divide:
            self._deaths[shard.number, -1] += 1
            if self._deaths[shard.number, -1] > DEATHS:
                self.fail(shard, DataError(f"{shard.file.path}: workers were killed while they checked it"))
                return None
        self._attempts[shard.number] = attempt
        return attempt

    def put_back(self, attempt: Attempt) -> None:
        """Put a shard back whose worker was killed. Its claim is kept."""
        self._returned.append(attempt)

    def tick(self) -> None:
        """Do what is due: renew claims, report progress. Call this at least every minute."""
        if self._claims:
            self._claims.renew()
        self.progress.report()

    def end(self) -> None:
        """Release all claims. Call this however the work ends."""
        if self._claims:
            self._claims.release_all()

    def check(self) -> None:
        """Report what was done. Raises DataError: shards failed."""
        self.progress.report(last=True)
        if self._failures:
            first, count = self._failures[0], len(self._failures)
            more = f" ({count:,} shards failed, this is the first)" if count > 1 else ""
            raise DataError(f"{first}; all other shards are done, and the same command continues{more}")


@dataclass(kw_only=True)
class Progress:
    """What is done, for messages."""

    shards: int
    done: int
    bytes: int
    """The size of the shards that were left at the start."""
    lines: int = 0
    failed: int = 0
    replaced: int = 0
    processed: int = 0
    """The bytes of the shards that were done since then."""
    began: float = field(default_factory=time.monotonic)
    reported: float = field(default_factory=time.monotonic)

    def finish(self, shard: Shard, marker: Marker) -> None:
        self.skip(shard)
        self.lines += marker.lines
        self.failed += marker.failed
        self.replaced += marker.replaced

    def skip(self, shard: Shard) -> None:
        """Note that another process has done a shard."""
        self.done += 1
        self.processed += shard.size

    def report(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self.reported < _PROGRESS:
            return
        self.reported = now
        seconds = max(now - self.began, 1e-9)
        text = f"{self.done:,} of {self.shards:,} shards, {self.lines:,} lines, {self.lines / seconds:,.0f} lines/s"
        if not last and self.processed:
            text += f", {describe_time((self.bytes - self.processed) * seconds / self.processed)} left"
        logger.info("%s", text)
        if last and self.failed:
            logger.warning("%d lines failed and are empty; see the folder failed/ of the job", self.failed)
        if last and self.replaced:
            logger.warning("%d lines are not UTF-8; invalid bytes were read as U+FFFD", self.replaced)


def describe_time(seconds: float) -> str:
    """Write a time in the largest unit that fits.

    >>> describe_time(50), describe_time(300), describe_time(10_000), describe_time(300_000)
    ('50 s', '5 min', '2.8 h', '3.5 days')
    """
    for limit, unit, name, digits in ((120, 1, "s", 0), (7200, 60, "min", 0), (172_800, 3600, "h", 1)):
        if seconds < limit:
            return f"{seconds / unit:.{digits}f} {name}"
    return f"{seconds / 86_400:.1f} days"


def log_start(ledger: Ledger, work: Work, workers: int) -> None:
    """Log what is about to be done."""
    logger.info("%s: %d of %d shards left, %d workers", ledger.folder.url, work.count, work.progress.shards, workers)
