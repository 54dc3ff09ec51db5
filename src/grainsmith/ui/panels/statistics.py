"""Panel: grain-size statistics with confidence intervals, and plots."""

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
    grain_weights,
    qfl_shares,
    summarize,
)
from grainsmith.ui.layers.images import sem_image_of
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.messages import NO_GRAINS, NOT_MEASURED, missing_text
from grainsmith.ui.session.measurements import AUTOMATIC_PX
from grainsmith.ui.widgets.controls import button, combo_box, fill_combo, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_save
from grainsmith.ui.widgets.layouts import row_of
from grainsmith.ui.widgets.lifetime import connect_while_alive
from grainsmith.ui.widgets.plot_canvas import Plot
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Labels

    from grainsmith.data import SemImage
    from grainsmith.ui.session.measurements import Measurements

_KINDS = ("Cumulative curve", "Histogram", "Rose of long axes", "Scatter", "Ternary")

_ALL = "all grains"

_CHOICE_TEXTS = {
    "size": {
        "ecd": "equivalent circular diameter",
        "feret_min": "smallest width (Feret)",
        "feret_max": "greatest length (Feret)",
        "best_short": "short axis",
        "best_long": "long axis",
        "minor": "minor axis of the ellipse",
        "major": "major axis of the ellipse",
    },
    "edge_rule": {
        "weights": "weight whole grains (unbiased)",
        "guard": "guard frame (unbiased)",
        "drop": "leave out cut grains",
        "count all": "count cut grains as seen",
    },
}
"""Texts of the choices in the form, by setting."""

_DELAY_MS = 800
"""The bootstrap waits until the edits pause."""


class StatisticsPanel(Panel):
    """Sizes by number and by area with 95 % intervals; curve, histogram, rose, scatter, QFL."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._selection = self.session.selection
        self._measurements: Measurements | None = None
        self._statistics: SizeStatistics | None = None
        self._labels = np.empty(0, int)
        self._form = Form(
            StatisticsSettings,
            choice_texts=_CHOICE_TEXTS,
            folded=("guard_px", "drop_below_resolution", "n_bootstrap", "scale_error_pct", "seed"),
        )
        self._mineral = combo_box("All grains, or those of one mineral")
        self._mineral.addItem(_ALL, _ALL)
        self._kind = combo_box("Kind of plot")
        self._kind.addItems(_KINDS)
        self._axes = [combo_box("Column of the grain table") for _ in range(3)]
        self.plot = Plot("No grains measured yet")
        self._summary = label("")
        self._compute = button(
            "Statistics",
            self.compute,
            tip="Percentiles, Folk & Ward and their 95 % intervals; edits are followed",
            key=MAIN_KEYS["Statistics"],
            main=True,
        )
        self._report = button(
            "Report …", self.report, tip="Write an HTML page with images, tables and Methods"
        )
        self._save_plot = button(
            "Save plot …", self.save_plot, tip="Save the plot: SVG, PDF or PNG"
        )
        self._timer = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._lay_out()
        self.session.settings.add_section(
            "statistics", self._form.settings, self._form.show_settings, closed=self.destroyed
        )
        self._on_grains(self.roles.grains)

    def _lay_out(self) -> None:
        self.add(
            self._compute,
            row_of(self._kind, self._mineral),
            row_of(*self._axes),
            self.plot,
            self._summary,
            row_of(self._save_plot, self._report),
            self._form,
        )
        self.setMinimumWidth(300)
        self.layout().setStretch(0, 1000)

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self._form.changed.connect(self._timer.start)
        self._timer.timeout.connect(self.compute)
        self._mineral.activated.connect(lambda _: self.compute())
        for box in (self._kind, *self._axes):
            box.activated.connect(lambda _: self.draw())
        connect_while_alive(self, self.roles.grains_changed, self._on_grains)
        connect_while_alive(self, self._selection.changed, lambda _: self._mark())

    # --- the table

    @property
    def summary(self) -> str:
        """The statistics in a few lines, as shown."""
        return str(self._summary.text())

    def show_plot(self, kind: str) -> None:
        """Show a kind of plot, such as "Histogram"."""
        self._kind.setCurrentText(kind)
        self.draw()

    def show_mineral(self, mineral: str) -> None:
        """Show the statistics of one mineral, or of "all grains"."""
        self._mineral.setCurrentText(mineral)
        self.compute()

    @property
    def statistics(self) -> SizeStatistics | None:
        """The latest statistics; None before any."""
        return self._statistics

    def _on_grains(self, grains: Labels | None) -> None:
        if self._measurements is not None:
            self._measurements.changed.disconnect(self._on_table)
        self._measurements = None if grains is None else self.session.measurements(grains)
        self._statistics = None
        if self._measurements is not None and grains is not None:
            connect_while_alive(self, self._measurements.changed, self._on_table)
            if not self._measurements.is_complete and grains.data.size <= AUTOMATIC_PX:
                self._measure()
        self._on_table()
        self.refresh()

    def refresh(self) -> None:
        """Show what is missing."""
        self.show_missing(NO_GRAINS if self.roles.grains is None else "")

    def _measure(self) -> None:
        if self._measurements is not None:
            self._measurements.measure(partial(self.run_job, busy=self._compute, title="Measuring"))

    def _on_table(self) -> None:
        table = self._table()
        self._fill_columns(table)
        self.draw()
        if len(table.columns):
            self._timer.start()

    def _table(self) -> pd.DataFrame:
        if self._measurements is None:
            from pandas import DataFrame

            return DataFrame()
        table = self._measurements.table
        name = self._mineral.currentText()
        return table[table.mineral == name] if "mineral" in table and name != _ALL else table

    def _fill_columns(self, table: pd.DataFrame) -> None:
        numbers = [str(name) for name in table.select_dtypes(["number"])]
        defaults = (_size_column(table, self._form["size"].value), "aspect_ratio", "circularity")
        for box, default in zip(self._axes, defaults, strict=True):
            fill_combo(
                box,
                [(readable(name), name) for name in numbers],
                box.currentText(),
                readable(default),
            )
        minerals = table.mineral.dropna().unique() if "mineral" in table else ()
        names = {_ALL: _ALL} | {str(name): str(name) for name in sorted(minerals) if name}
        if self._mineral.currentText() in ("", _ALL):
            fill_combo(self._mineral, [(name, name) for name in names], self._mineral.currentText())

    # --- statistics

    @reports_errors
    def compute(self) -> None:
        """Compute the statistics in the background."""
        if self._measurements is None:
            self.show_missing(NO_GRAINS)
            return
        if not self._measurements.is_complete:
            self._measure()
            return
        settings = self._form.settings()
        if not self._compute.isEnabled():
            self._timer.start()
            return
        height, width = self._measurements.field_shape
        self.run_job(
            summarize,
            FieldGrains(table=self._table(), height_px=height, width_px=width),
            settings,
            busy=self._compute,
            then=self._show,
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
        n_columns = {"Histogram": 1, "Scatter": 2, "Ternary": 3}.get(kind, 0)
        for position, box in enumerate(self._axes):
            box.setVisible(position < n_columns)
        if not len(table.columns):
            self.plot.show_text("No grains measured yet")
            return
        {
            "Cumulative curve": self._draw_curve,
            "Histogram": self._draw_histogram,
            "Rose of long axes": self._draw_rose,
            "Scatter": self._draw_scatter,
            "Ternary": self._draw_ternary,
        }[kind](table)

    def _draw_curve(self, _table: pd.DataFrame) -> None:
        statistics = self._statistics
        if statistics is None or not statistics.n:
            text = "Computing …" if statistics is None else "No grain counts (see Edge)"
            self.plot.show_text(text)
            return
        self.plot.draw(
            partial(
                plots.draw_curve,
                curve=statistics.curve,
                unit=statistics.unit,
                bases=statistics.bases,
            )
        )

    def _draw_histogram(self, table: pd.DataFrame) -> None:
        name = self._axes[0].currentData()
        log = name.endswith(("_um", "_px", "_um2"))
        values = table[name].to_numpy(dtype=float)
        self.plot.draw(
            partial(
                plots.draw_histogram,
                values=values,
                name=readable(name),
                log=log,
                weights=self._weights(table),
            )
        )

    def _draw_rose(self, table: pd.DataFrame) -> None:
        angles = table.orientation_deg.to_numpy(dtype=float)
        weights = self._weights(table)
        self.plot.draw(partial(plots.draw_rose, angles_deg=angles, weights=weights), polar=True)

    def _weights(self, table: pd.DataFrame) -> np.ndarray:
        """Return the weight of each grain by the edge rule of the form."""
        if self._measurements is None:
            return np.ones(len(table))
        height, width = self._measurements.field_shape
        field = FieldGrains(table=table, height_px=height, width_px=width)
        try:
            settings = self._form.settings()
        except ValueError:
            settings = StatisticsSettings()
        return grain_weights(field, settings)

    def _draw_scatter(self, table: pd.DataFrame) -> None:
        x, y = (box.currentData() for box in self._axes[:2])
        self._labels = table.index.to_numpy()
        points = self.plot.draw(lambda axes: plots.draw_scatter(axes, table, x, y))
        self.plot.select_by_lasso(points, self._on_lasso)
        self._mark()
        self.show_message("Draw around points to select their grains.")

    def _draw_ternary(self, table: pd.DataFrame) -> None:
        if "mineral" in table:
            shares = qfl_shares(table)
            corners = {
                corner: [shares[basis][corner] for basis in shares] for corner in shares["area"]
            }
            names = [f"by {basis}" for basis in shares]
            self.plot.draw(lambda axes: plots.draw_ternary(axes, corners, names=names))
            return
        columns = [box.currentData() for box in self._axes]
        if len(set(columns)) < 3:
            self.plot.show_text("Choose three different columns")
            return
        values = {readable(name): table[name].to_numpy(dtype=float) for name in columns}
        self.plot.draw(lambda axes: plots.draw_ternary(axes, values))

    def _on_lasso(self, rows: Any) -> None:
        self._selection.select(self._labels[rows].tolist())
        self.show_message(
            f"{len(rows)} grains selected: see the table and the outlines in the image."
        )

    def _mark(self) -> None:
        if self._kind.currentText() == "Scatter":
            self.plot.highlight(np.isin(self._labels, self._selection.labels))

    # --- files

    def save_plot(self, path: str = "") -> None:
        """Save the plot; asks for a file unless one is given."""
        if not path:
            path = ask_file_to_save(self, "Save the plot", "plot.svg", "Images (*.svg *.pdf *.png)")
        if path:
            self.plot.save(path)
            self.show_message(f"Saved: {path}")

    def report(self, path: str = "") -> None:
        """Write the report in the background; asks for a file unless one is given."""
        grains = self.roles.grains
        if self._measurements is None or grains is None or not self._measurements.is_complete:
            self.show_message(
                missing_text(self.roles, NO_GRAINS) if grains is None else NOT_MEASURED
            )
            return
        if not path:
            path = ask_file_to_save(self, "Write the report", "report.html", "Pages (*.html)")
        if path:
            image = self.roles.image
            fits = image is not None and self.roles.belongs(grains, image)
            sem_image = sem_image_of(image) if image is not None and fits else None
            self.run_job(
                write_report,
                path,
                labels=np.array(grains.data),
                table=self._measurements.table,
                image=None if sem_image is None else sem_image.image,
                facts=report_facts(grains, sem_image),
                settings=self._form.settings(),
                busy=self._report,
                then=lambda report: self.show_message(f"Report: {report.html}"),
            )


def summary_of(statistics: SizeStatistics) -> str:
    """Return the statistics in a few lines."""
    left = statistics.left_out
    cut = f", {left.n_edge} at the edge do not" if left.n_edge else ""
    lines = [f"{statistics.n:,} grains count{cut}"]
    for basis in statistics.bases if statistics.n else ():
        lines.append(f"D50 by {basis} {statistics.d50_text(basis, digits=3)}")
        if statistics.words:
            words = statistics.words
            lines.append(f"   {words[f'mean_{basis}']}, {words[f'sorting_{basis}']}")
    more = {basis: count for basis, count in statistics.more_grains.items() if count > 0}
    if more:
        basis, count = max(more.items(), key=lambda item: item[1])
        lines.append(f"{count:,} more grains would bring D50 by {basis} to ±5 %")
    return "\n".join(lines)


def report_facts(grains: Labels, image: SemImage | None) -> dict[str, Any]:
    """Return the provenance of grains and image as the report takes it."""
    metadata = GrainsMetadata.of(grains)
    model, states = metadata.model, metadata.states.values()
    out: dict[str, Any] = {
        "title": grains.name,
        "model": model.get("name", "") if isinstance(model, dict) else str(model),
        "model_sha256": model.get("sha256", "") if isinstance(model, dict) else "",
        "model_settings": metadata.settings.get("segment", {}),
        "edits": sum(state in ("edited", "drawn") for state in states),
    }
    if image is not None:
        out |= {
            "source": image.source,
            "pixel_size_source": image.pixel_size_source,
            "data_bar_rows": image.data_bar_rows,
            "notes": list(image.notes),
        }
    return out


def _size_column(table: pd.DataFrame, size: str) -> str:
    return f"{size}_um" if "area_um2" in table else f"{size}_px"
