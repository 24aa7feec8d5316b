"""What a person at the keyboard is told: bad input, and that a run was stopped."""

from __future__ import annotations

import signal
from typing import Any


class UserError(Exception):
    """Bad input from the person at the keyboard. The command line prints it without a traceback and exits with 2.

    No ValueError, because a parser of options would catch that and print it in a frame of its own.

    The message says what was received, what is allowed and what to do.
    """


def require(condition: bool, message: str) -> None:
    """Raises UserError with `message` unless the condition holds."""
    if not condition:
        raise UserError(message)


def option(field: str) -> str:
    """The command-line name of a config field."""
    return f"--{field.replace('_', '-')}"


class Interrupted(Exception):
    """SIGTERM or Ctrl-C: what was done is saved, and the same command goes on. Exit code 128 + signal."""

    def __init__(self, signum: int, done: str):
        super().__init__(f"stopped by {signal.Signals(signum).name} after {done}; saved, the same command goes on")
        self.signum, self.done, self.exit_code = signum, done, 128 + signum

    def __reduce__(self) -> tuple[Any, ...]:
        return Interrupted, (self.signum, self.done)  # it may come from a worker process
