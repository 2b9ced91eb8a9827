"""The time by which a training must have ended, also if the machine is slower than planned."""

import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""A function that returns the time in seconds, such as `time.monotonic`."""


@dataclass(frozen=True, kw_only=True)
class TimeLimit:
    """The time by which a training must have ended, with what follows its last update."""

    end: float
    """The time by `clock`."""
    validation: float
    """The seconds of a validation, as measured before the training."""
    ending: float
    """The seconds from the last validation to the end, as measured before the training."""
    clock: Clock = time.monotonic

    def is_reached(self, validation: float) -> bool:
        """Return whether the time that is left is needed for a last validation and what follows it.

        Args:
            validation: the seconds of the latest validation, or 0 before the first. If it took longer than measured
                before the training, the end is expected to take longer by the same factor.
        """
        slowdown = max(1.0, validation / max(self.validation, 1e-9))
        return self.clock() + slowdown * (self.validation + self.ending) >= self.end
