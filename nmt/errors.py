"""Every error that nmt raises on purpose.

    NmtError
    ├── UserError           a fault that the user can correct; commands print it on one line and exit with status 2
    │   ├── ConfigError     a key, a type or a value in a configuration
    │   ├── DataError       a corpus or a text file: missing, unreadable, misaligned, empty
    │   ├── ModelError      a model folder: missing, incomplete, damaged, or not compatible with another one
    │   ├── MachineError    the machine: no such device, a full disk, an optional package that is not installed
    │   └── DivergenceError a training run whose loss or gradient became infinite or not a number
    └── Interrupted         SIGTERM or Ctrl-C ended a training run after everything was saved

A message says what is wrong, where (the file and line, or the key), what is allowed, and what to do.
"""


class NmtError(Exception):
    """Base of all errors raised on purpose."""

    reported = False  # True if another process of the same training run prints the message


class UserError(NmtError):
    """A fault that the user can correct."""


class ConfigError(UserError):
    """A configuration that cannot be used. The message has one line for each fault in the configuration."""


class DataError(UserError):
    """A corpus or a text file that cannot be used."""


class ModelError(UserError):
    """A model folder that cannot be used."""


class MachineError(UserError):
    """The machine lacks something: a device, disk space, an optional package."""


class DivergenceError(UserError):
    """A training run diverged: its loss or its gradient became infinite or not a number."""


class Interrupted(NmtError):  # noqa: N818 (an interruption is not an error)
    """A signal ended a training run after everything was saved. `signal` is the number of the signal."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal

    def __reduce__(self) -> tuple[type, tuple[str, int]]:
        return type(self), (str(self), self.signal)
