"""Every error that nmt raises on purpose.

    NmtError
    ├── UserError           a mistake that the user can mend; commands print it on one line and exit with status 2
    │   ├── ConfigError     a key, a type or a value in a configuration
    │   ├── DataError       a corpus or a text file: missing, unreadable, misaligned, empty
    │   ├── ModelError      a model folder: missing, cut short, damaged, not fit for the others named beside it
    │   └── MachineError    the machine: no such device, a full disk, an optional package that is not installed
    └── Interrupted         SIGTERM or Ctrl-C arrived and everything was saved

A message says what, where (file:line or key), what is allowed, and what to do.
"""


class NmtError(Exception):
    """Base of all errors raised on purpose."""

    reported = False  # whether another process of the same training prints the message


class UserError(NmtError):
    """A mistake that the user can mend."""


class ConfigError(UserError):
    """A configuration that cannot be used. One fault a line, all faults at once."""


class DataError(UserError):
    """A corpus or a text file that cannot be used."""


class ModelError(UserError):
    """A model folder that cannot be used."""


class MachineError(UserError):
    """The machine lacks something: a device, disk space, an optional package."""


class Interrupted(NmtError):  # noqa: N818 (it is no fault)
    """A signal asked for the end; everything is saved. `signal` is its number."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal
