"""Objects behind napari's proxy."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def unwrap(value: T) -> T:
    """Return the viewer or layer itself where napari hands a plugin a proxy of it.

    A proxy is a new object at every access, so it cannot be compared by identity or kept as a key.
    """
    inner: T = getattr(value, "__wrapped__", value)
    return inner
