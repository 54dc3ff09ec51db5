"""Schedulers and task results."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from grainsmith.errors import GrainsmithError, Hint, MismatchError

R = TypeVar("R")

OnTask = Callable[[int, int, int], None]
"""Called as on_task(number, done, total) with the progress of one running task."""

SCHEDULERS = "none, local, local:N or tcp://HOST:PORT"

CONNECT_TIMEOUT_S = 5
"""Longest wait for a scheduler to answer."""


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[R]):
    """Outcome of one task.

    Attributes
    ----------
    number : int
        Index of its item.
    value : object
        Return value of the function; None if it failed.
    error : Exception or None
        Exception that the function raised.
    """

    number: int
    value: R | None = None
    error: Exception | None = None

    def result(self) -> R:
        """Return the value, or raise the error of the function."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Where tasks run.

    Attributes
    ----------
    kind : str
        "none", "local" or "address".
    workers : int
        Number of processes for "local"; 0 = one per core.
    address : str
        Address for "address".
    """

    kind: str = "none"
    workers: int = 0
    address: str = ""

    @classmethod
    def parse(cls, text: str) -> Scheduler:
        """Parse none, local, local:N or tcp://HOST:PORT.

        Raises
        ------
        MismatchError
            The text has another form.
        """
        if text in ("", "none"):
            return cls()
        if match := re.fullmatch(r"local(?::([1-9]\d{0,3}))?", text):
            return cls(kind="local", workers=int(match[1] or 0))
        if re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", text):
            return cls(kind="address", address=text)
        raise MismatchError(f"the scheduler must be {SCHEDULERS}, got {text!r}")

    def check(self) -> None:
        """Raise GrainsmithError if nothing listens at the address; nothing is written yet."""
        if self.kind != "address":
            return
        host, _, port = self.address.partition("://")[2].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
        except (OSError, OverflowError, UnicodeError) as error:
            raise no_scheduler(self.address) from error


def no_scheduler(address: str) -> GrainsmithError:
    """Return the error for an address where no scheduler answers."""
    return GrainsmithError(
        f"no scheduler answers at {address}", hint=Hint.START_SCHEDULER, address=address
    )
