"""Grainsmith: segment, correct, align, measure and name mineral grains.

>>> import grainsmith as gs
>>> field = gs.datasets.plain()
>>> grains = gs.segment(field.image)
>>> table = gs.measure(grains)

napari imports this package at start-up, so everything is loaded when it is first used (SPEC 1).
The public names and their types are listed in ``__init__.pyi``; `grainsmith.api` documents them.
"""

from __future__ import annotations

import lazy_loader as lazy

# Packages that can be called: see grainsmith._callable_package.
_STEPS = {
    "segment",
    "clean",
    "align",
    "measure",
    "statistics",
    "classify",
    "train",
    "score",
    "report",
}
_FUNCTIONS = [
    "GrainLabels",
    "element_combo",
    "load_model",
    "read_image",
    "read_labels",
    "read_maps",
]

_lazy_attribute, __dir__, __all__ = lazy.attach(
    __name__, submodules=_STEPS | {"datasets"}, submod_attrs={"api": _FUNCTIONS}
)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("grainsmith")
    attribute: object = _lazy_attribute(name)
    return attribute
