"""A form for a settings dataclass."""

from __future__ import annotations

from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from magicgui.widgets import Container, create_widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from grainsmith.settings import attribute_docs, default_of
from grainsmith.ui.widgets.layouts import Collapsible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from dataclasses import Field

T = TypeVar("T")

_UNITS = {
    "px": "px",
    "px2": "px²",
    "um": "µm",
    "um2": "µm²",
    "um_per_px": "µm/px",
    "pct": "%",
    "deg": "°",
    "s": "s",
    "kev": "keV",
    "g_cm3": "g/cm³",
}
_DEFAULT_MAX = 2_000_000_000
"""Without a maximum, the boxes of magicgui end at 9,999."""


class Form(QWidget, Generic[T]):
    """A form with one row per setting.

    Parameters
    ----------
    settings_type : frozen dataclass
        The metadata of a field may hold `label`, `tooltip`, `folded` (True: shown under *More
        settings*), `hidden` (True: no row, the default is used) and options of magicgui (`min`,
        `max`, `step`, `choices`, `widget_type`, ...). The default label is made from the name
        (`min_area_px` is "Min area (px)"), the default tooltip from the docstring of the class.
    folded : tuple of str
        Further fields under *More settings*.
    hidden : tuple of str
        Further fields without a row.
    choice_texts : mapping, optional
        Setting -> choice -> text that is shown instead of it.
    """

    changed = Signal()

    def __init__(
        self,
        settings_type: type[T],
        *,
        folded: tuple[str, ...] = (),
        hidden: tuple[str, ...] = (),
        choice_texts: Mapping[str, Mapping[Any, str]] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self._type = settings_type
        self._hidden: dict[str, Any] = {}
        rows: dict[bool, list[Any]] = {False: [], True: []}
        hints, tips = get_type_hints(settings_type), attribute_docs(settings_type)
        for field in fields(settings_type):  # type: ignore[arg-type]
            if field.name in hidden or field.metadata.get("hidden", False):
                self._hidden[field.name] = default_of(field)
                continue
            texts = choice_texts.get(field.name, {})
            row = _row(field, hints[field.name], tips.get(field.name, ""), texts)
            rows[field.name in folded or field.metadata.get("folded", False)].append(row)
        self._rows = {row.name: row for row in (*rows[False], *rows[True])}
        self._lay_out(rows[False], rows[True])

    def _lay_out(self, shown: list[Any], folded: list[Any]) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        if shown:
            layout.addWidget(self._block(shown))
        if folded:
            self.more = Collapsible("More settings", self._block(folded))
            layout.addWidget(self.more)

    def _block(self, rows: list[Any]) -> QWidget:
        block = Container(widgets=rows)
        block.margins = (0, 0, 0, 0)
        block.changed.connect(lambda: self.changed.emit())
        # A container of magicgui is deleted with its last reference.
        self.__dict__.setdefault("_blocks", []).append(block)
        native: QWidget = block.native
        return native

    def __getitem__(self, name: str) -> Any:
        """Return the magicgui widget of a setting."""
        return self._rows[name]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows.values())

    def settings(self, **others: Any) -> T:
        """Return the settings in the form.

        Parameters
        ----------
        **others
            Values of settings without a row.

        Raises
        ------
        ValueError
            The settings contradict one another.
        """
        shown = {name: row.value for name, row in self._rows.items()}
        return self._type(**{**self._hidden, **shown, **others})

    def show_settings(self, settings: T) -> None:
        """Show settings; `changed` is sent once."""
        was_blocked = self.blockSignals(True)
        for name, row in self._rows.items():
            row.value = getattr(settings, name)
        self.blockSignals(was_blocked)
        self.changed.emit()


def label_of(name: str) -> str:
    """Return the label of a setting or column: "min_area_px" is "Min area (px)"."""
    for suffix in sorted(_UNITS, key=len, reverse=True):
        if name.endswith(f"_{suffix}"):
            return f"{_words(name.removesuffix(f'_{suffix}'))} ({_UNITS[suffix]})"
    return _words(name)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _row(field: Field[Any], hint: Any, tip: str, texts: Mapping[Any, str]) -> Any:
    options: dict[str, Any] = dict(field.metadata)
    if texts:
        options["choices"] = [(text, choice) for choice, text in texts.items()]
    label = options.pop("label", "") or label_of(field.name)
    options.setdefault("tooltip", tip)
    for name in ("folded", "hidden"):
        options.pop(name, None)
    if hint in (int, float) and "choices" not in options:
        options.setdefault("max", _DEFAULT_MAX)
    return create_widget(default_of(field), hint, name=field.name, label=label, options=options)
