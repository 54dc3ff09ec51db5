"""Connections that end with a widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from psygnal import SignalInstance
    from qtpy.QtWidgets import QWidget


def connect_while_alive(widget: QWidget, signal: SignalInstance, slot: Callable[..., Any]) -> None:
    """Connect a slot until the widget is destroyed, so that a closed dock receives nothing."""
    signal.connect(slot)
    widget.destroyed.connect(lambda: signal.disconnect(slot, missing_ok=True))
