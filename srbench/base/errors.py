"""Errors that a user can act on. Their text is one or two lines: what was expected, what came, what to type next.

SrbenchError            exit status 1
├── JobError            a model failed on an image; the other jobs went on
├── RegressionError     a check found scores worse than the baseline
├── StoppedError        a signal ended a command, which says what it kept exit status 128 + the signal's number
├── UsageError          an unknown name, a contradictory option          exit status 2
├── InputError          a file or folder that is not what was asked for  exit status 2
├── IncomparableError   two results that differ in more than the model   exit status 2
└── UnavailableError    weights or an optional package are not here      exit status 2
"""

from __future__ import annotations


class SrbenchError(Exception):
    """Base of every error that srbench raises on purpose."""

    exit_status = 1

    def __init__(self, message: str = "", exit_status: int | None = None) -> None:
        super().__init__(message)
        self.exit_status = exit_status or self.exit_status


class JobError(SrbenchError):
    """A model raised, or returned something that is not an image of the right size."""


class RegressionError(SrbenchError):
    """Scores are worse than the baseline allows."""


class StoppedError(SrbenchError):
    """Ctrl-C or SIGTERM; the message says what was kept, and how to go on."""

    exit_status = 130


class UsageError(SrbenchError):
    """An option or a name that srbench does not know."""

    exit_status = 2


class InputError(SrbenchError):
    """A file, folder or array that cannot be what was asked for."""

    exit_status = 2


class IncomparableError(SrbenchError):
    """Two results that do not compare; the message names the field in which they differ."""

    exit_status = 2


class UnavailableError(SrbenchError):
    """Something optional is missing: weights that cannot be fetched, a package that is not installed."""

    exit_status = 2


def first_line(error: BaseException, most: int = 160) -> str:
    """What a foreign error says, in one line of at most `most` characters; its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:most]
