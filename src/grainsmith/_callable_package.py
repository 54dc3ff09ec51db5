"""Packages that can be called: ``gs.segment(image)`` beside ``grainsmith.segment.masks``."""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import signature
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from inspect import Signature


class CallablePackage(ModuleType):
    """A package whose call is the public function of the same name in `grainsmith.api`.

    The steps of the work have natural names (segment, clean, align, measure ...), and so have the
    packages that hold them. Python sets a package as an attribute of its parent when it is first
    imported, which would hide a function of that name; a package that can be called is both.
    """

    @property
    def __signature__(self) -> Signature:
        return signature(self._public_function())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._public_function()(*args, **kwargs)

    def _public_function(self) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(
            import_module("grainsmith.api"), self.__name__.rpartition(".")[2]
        )
        return function


def make_callable(package_name: str) -> None:
    """Let an imported package be called."""
    sys.modules[package_name].__class__ = CallablePackage
