"""Grainsmith: segment, correct, align, measure and name mineral grains.

napari imports this package at start-up, so it loads nothing heavy: the version is looked up when it
is asked for.
"""

from __future__ import annotations


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module 'grainsmith' has no attribute {name!r}")
    from importlib.metadata import version

    return version("grainsmith")
