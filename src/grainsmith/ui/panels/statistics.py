"""Panel: grain-size statistics with their intervals, and plots that choose grains."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer

from grainsmith import plots
from grainsmith.plots import readable
from grainsmith.report import write_report
from grainsmith.statistics import (
    FieldGrains,
    SizeStatistics,
    StatisticsSettings,
    qfl_shares,
    summarise,
)
from grainsmith.ui.layers.images import sem_image_of
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.panels.base import Panel
from grainsmith.ui.panels.messages import NO_GRAINS, NOT_MEASURED, missing_text
from grainsmith.ui.session.active_layers import connect_while_alive
from grainsmith.ui.session.measurements import AUTOMATIC_PX, measurements_of
from grainsmith.ui.session.panel_settings import panel_settings_of
from grainsmith.ui.session.selection import selection_of
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, combo_box, fill_combo, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_save
from grainsmith.ui.widgets.hints import message_of
from grainsmith.ui.widgets.layouts import row_of
from grainsmith.ui.widgets.plot_canvas import Plot
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from napari.layers import Labels

    from grainsmith.ui.session.measurements import Measurements

_KINDS = ("Cumulative curve", "Histogram", "Rose of long axes", "Scatter", "Ternary")

_ALL = "all grains"

_SETTLE_MS = 800
"""The bootstrap follows when the edits pause."""


class StatisticsPanel(Panel):
    """Sizes by number and by area with 95 % intervals; curve, histogram, rose, scatter, QFL."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._chosen = selection_of(self.viewer)
        self._measured: Measurements | None = None
        self._statistics: SizeStatistics | None = None
        self._labels = np.empty(0, int)
        self._form = Form(
            StatisticsSettings,
            folded=("guard_px", "drop_below_resolution", "n_bootstrap", "scale_error_pct", "seed"),
        )
        self._mineral = combo_box("Which grains: all, or those of one mineral")
        self._mineral.setMinimumWidth(96)
        self._kind = combo_box("What is drawn")
        self._kind.addItems(_KINDS)
        self._axes = [combo_box("Column") for _ in range(3)]
        self._plot = Plot()
        self._summary = label("")
        self._compute = button(
            "Statistics",
            self.compute,
            tip="Percentiles, Folk & Ward and their 95 % intervals; follows edits by itself",
            key="Ctrl+Shift+D",
            main=True,
        )
        self._report = button(
            "Report…", self.report, tip="Write an HTML page with images, tables and Methods"
        )
        self._picture = button("Save plot…", self.save_plot, tip="Save the plot: SVG, PDF or PNG")
        self._timer = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._lay_out()
        shown = panel_settings_of(self.viewer)
        shown.take_part("statistics", self, self._form.settings, self._form.show_settings)
        self._on_grains(self.roles.grains)

    def _lay_out(self) -> None:
        self.add(
            self._compute,
            row_of(label("Plot"), self._kind, label("of"), self._mineral, stretch=1),
            row_of(*self._axes),
            self._plot,
            self._summary,
            row_of(self._picture, self._report),
            self._form,
        )
        self.setMinimumWidth(300)
        self.layout().setStretch(0, 1000)

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self._form.changed.connect(self._timer.start)
        self._timer.timeout.connect(self.compute)
        self._mineral.activated.connect(lambda _: self.compute())
        for combo in (self._kind, *self._axes):
            combo.activated.connect(lambda _: self.draw())
        connect_while_alive(self, self.roles.grains_changed, self._on_grains)
        connect_while_alive(self, self._chosen.changed, lambda _: self._mark())

    # --- what is known

    @property
    def statistics(self) -> SizeStatistics | None:
        """What was computed last."""
        return self._statistics

    def _on_grains(self, grains: Labels | None) -> None:
        if self._measured is not None:
            self._measured.changed.disconnect(self._on_table)
        self._measured = None if grains is None else measurements_of(grains, self.viewer)
        self._statistics = None
        if self._measured is not None and grains is not None:
            connect_while_alive(self, self._measured.changed, self._on_table)
            if not self._measured.known and grains.data.size <= AUTOMATIC_PX:
                self._measure()
        self._on_table()
        self.refresh()

    def refresh(self) -> None:
        """Say what is missing."""
        self.show_missing(NO_GRAINS if self.roles.grains is None else "")

    def _measure(self) -> None:
        if self._measured is not None:
            self._measured.measure(busy=self._compute, progress=self.progress)

    def _on_table(self) -> None:
        table = self._table()
        self._fill_columns(table)
        self.draw()
        if len(table.columns):
            self._timer.start()

    def _table(self) -> pd.DataFrame:
        if self._measured is None:
            from pandas import DataFrame

            return DataFrame()
        table = self._measured.table
        name = self._mineral.currentText()
        return table[table.mineral == name] if "mineral" in table and name != _ALL else table

    def _fill_columns(self, table: pd.DataFrame) -> None:
        numbers = [str(name) for name in table.select_dtypes(["number"])]
        wanted = (_size_column(table, self._form["size"].value), "aspect_ratio", "circularity")
        for combo, first in zip(self._axes, wanted, strict=True):
            entries = [(readable(name), name) for name in numbers]
            fill_combo(combo, entries, combo.currentText(), readable(first))
        named = table.mineral.dropna().unique() if "mineral" in table else ()
        names = [_ALL, *(str(name) for name in sorted(named) if name)]
        if self._mineral.currentText() in ("", _ALL):
            fill_combo(self._mineral, [(name, name) for name in names], self._mineral.currentText())

    # --- statistics

    def compute(self) -> None:
        """Compute the statistics in the background."""
        if self._measured is None:
            self.show_missing(NO_GRAINS)
            return
        if not self._measured.known:
            self._measure()
            return
        try:
            settings = self._form.settings()
        except ValueError as error:
            self.show_message(message_of(error))
            return
        if not self._compute.isEnabled():
            self._timer.start()
            return
        height, width = self._measured.field_shape
        run_in_background(
            summarise,
            FieldGrains(table=self._table(), height_px=height, width_px=width),
            settings,
            busy=self._compute,
            then=self._show,
            progress=self.progress,
            title="Resampling",
        )

    def _show(self, statistics: SizeStatistics) -> None:
        self._statistics = statistics
        self._summary.setText(summary_of(statistics))
        self.draw()

    # --- plots

    def draw(self) -> None:
        """Draw the chosen plot."""
        table, kind = self._table(), self._kind.currentText()
        needed = {"Histogram": 1, "Scatter": 2, "Ternary": 3}.get(kind, 0)
        for i, combo in enumerate(self._axes):
            combo.setVisible(i < needed)
        if not len(table.columns):
            self._plot.draw(partial(_say_in_plot, text="no grains measured yet"))
            return
        {
            "Cumulative curve": self._draw_curve,
            "Histogram": self._draw_histogram,
            "Rose of long axes": self._draw_rose,
            "Scatter": self._draw_scatter,
            "Ternary": self._draw_ternary,
        }[kind](table)

    def _draw_curve(self, _table: pd.DataFrame) -> None:
        found = self._statistics
        if found is None or not found.n:
            text = "computing …" if found is None else "no grain counts (see Edge)"
            self._plot.draw(partial(_say_in_plot, text=text))
            return
        self._plot.draw(
            partial(plots.draw_curve, curve=found.curve, unit=found.unit, bases=found.bases)
        )

    def _draw_histogram(self, table: pd.DataFrame) -> None:
        name = self._axes[0].currentData()
        log = name.endswith(("_um", "_px", "_um2"))
        values = table[name].to_numpy(dtype=float)
        self._plot.draw(
            lambda axes: plots.draw_histogram(axes, values, name=readable(name), log=log)
        )

    def _draw_rose(self, table: pd.DataFrame) -> None:
        angles = table.orientation_deg.to_numpy(dtype=float)
        self._plot.draw(lambda axes: plots.draw_rose(axes, angles), polar=True)

    def _draw_scatter(self, table: pd.DataFrame) -> None:
        x, y = (combo.currentData() for combo in self._axes[:2])
        self._labels = table.index.to_numpy()
        points = self._plot.draw(lambda axes: plots.draw_scatter(axes, table, x, y))
        self._plot.choose_by_lasso(self._plot.figure.axes[0], points, self._on_lasso)
        self._mark()
        self.show_message("Draw round points to choose their grains.")

    def _draw_ternary(self, table: pd.DataFrame) -> None:
        if "mineral" in table:
            shares = qfl_shares(table)
            corners = {
                corner: [shares[basis][corner] for basis in shares] for corner in shares["area"]
            }
            names = [f"by {basis}" for basis in shares]
            self._plot.draw(lambda axes: plots.draw_ternary(axes, corners, names=names))
            return
        columns = [combo.currentData() for combo in self._axes]
        if len(set(columns)) < 3:
            self._plot.draw(partial(_say_in_plot, text="choose three different columns"))
            return
        values = {readable(name): table[name].to_numpy(dtype=float) for name in columns}
        self._plot.draw(lambda axes: plots.draw_ternary(axes, values))

    def _on_lasso(self, rows: Any) -> None:
        self._chosen.choose(self._labels[rows].tolist())
        self.show_message(
            f"{len(rows)} grains chosen: see the table and the outlines in the image."
        )

    def _mark(self) -> None:
        if self._kind.currentText() == "Scatter":
            self._plot.mark(np.isin(self._labels, self._chosen.labels))

    # --- out

    def save_plot(self, path: str = "") -> None:
        """Save the plot as it is; asks for a file where none is given."""
        if not path:
            path = ask_file_to_save(self, "Save the plot", "plot.svg", "Images (*.svg *.pdf *.png)")
        if path:
            self._plot.figure.savefig(path, dpi=300)
            self.show_message(f"Saved in {path}")

    def report(self, path: str = "") -> None:
        """Write the report in the background; asks for a file where none is given."""
        grains = self.roles.grains
        if self._measured is None or grains is None or not self._measured.known:
            self.show_message(
                missing_text(self.roles, NO_GRAINS) if grains is None else NOT_MEASURED
            )
            return
        if not path:
            path = ask_file_to_save(self, "Write the report", "report.html", "Pages (*.html)")
        if path:
            image = self.roles.image
            fits = image is not None and self.roles.belongs(grains, image)
            picture = sem_image_of(image) if image is not None and fits else None
            run_in_background(
                write_report,
                path,
                labels=np.array(grains.data),
                table=self._measured.table,
                image=None if picture is None else picture.image,
                facts=report_facts(grains, picture),
                settings=self._form.settings(),
                busy=self._report,
                then=lambda report: self.show_message(f"Report in {report.html}"),
            )


def summary_of(statistics: SizeStatistics) -> str:
    """Return the statistics in a few lines."""
    unit = {"um": "µm", "px": "px"}[statistics.unit]
    left = statistics.left_out
    cut = f", {left.n_edge} at the edge do not" if left.n_edge else ""
    lines = [f"{statistics.n:,} grains count{cut}; in brackets 95 % intervals"]
    for basis in statistics.bases if statistics.n else ():
        row = statistics.values.loc[f"d50_{statistics.unit}_{basis}"]
        lines.append(f"D50 by {basis} {row.value:.3g} {unit} ({row.low:.3g} – {row.high:.3g})")
        if statistics.words:
            words = statistics.words
            lines.append(f"   {words[f'mean_{basis}']}, {words[f'sorting_{basis}']}")
    more = {basis: count for basis, count in statistics.more_grains.items() if count > 0}
    if more:
        basis, count = max(more.items(), key=lambda item: item[1])
        lines.append(f"{count:,} more grains would bring D50 by {basis} to ±5 %")
    return "\n".join(lines)


def report_facts(grains: Labels, picture: Any) -> dict[str, Any]:
    """Return what the layers know of their origin, as the report wants it."""
    metadata = GrainsMetadata.of(grains)
    model, states = metadata.model, metadata.states.values()
    out: dict[str, Any] = {
        "title": grains.name,
        "model": model.get("name", "") if isinstance(model, dict) else str(model),
        "model_sha256": model.get("sha256", "") if isinstance(model, dict) else "",
        "model_settings": metadata.settings.get("segment", {}),
        "edits": sum(state in ("edited", "drawn") for state in states),
    }
    if picture is not None:
        out |= {
            "source": picture.source,
            "pixel_size_source": picture.pixel_size_source,
            "data_bar_rows": picture.data_bar_rows,
            "notes": list(picture.notes),
        }
    return out


def _size_column(table: pd.DataFrame, size: str) -> str:
    return f"{size}_um" if "area_um2" in table else f"{size}_px"


def _say_in_plot(axes: Axes, *, text: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.4", transform=axes.transAxes)
