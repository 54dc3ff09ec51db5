"""The rows of the grain table that belong to a step of the history: they follow undo and redo."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grainsmith.ui.layers.geometry import pixel_size_um_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari.layers import Labels

    from grainsmith.clean import GrainIndex


def _empty() -> pd.DataFrame:
    return pd.DataFrame({"index": np.zeros(0, int)})


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of some grains; putting them into a layer replaces whatever these grains had there.

    Attributes
    ----------
    labels : tuple of int
        The grains; those without a row in `table` have none.
    table : DataFrame
        With the column `index`.
    dtypes : Series
        Of the whole table at that time: a column of whole numbers that got a gap becomes float, and
        must become whole again when the gap is undone.
    """

    labels: tuple[int, ...] = ()
    table: pd.DataFrame = field(default_factory=_empty)
    dtypes: pd.Series = field(default_factory=lambda: pd.Series(dtype=object))

    @property
    def nbytes(self) -> int:
        """Memory that it takes, about: deep counting would cost more than it tells."""
        return 64 * len(self.labels) + 8 * self.table.size

    def said_of(self, labels: tuple[int, ...]) -> Rows:
        """Return the same rows for these grains: undo of new numbers takes their rows away."""
        return replace(self, labels=labels)

    def with_words_of(self, now: Rows, numbers: Mapping[int, int] | None) -> Rows:
        """Return these rows with the words (a mineral) that the same grains have now.

        Parameters
        ----------
        now : Rows
        numbers : mapping of int to int or None
            Numbers of the grains in `now` to those here; None where they are the same.
        """
        words = [str(name) for name in now.table if now.dtypes[str(name)].kind not in "iufb"]
        source, table = now.table.set_index("index")[words], self.table.set_index("index")
        if numbers is not None:
            source = source[source.index.isin(list(numbers))].rename(index=dict(numbers))
        source = source[source.index.isin(table.index)]
        if source.empty:
            return self
        table = table.reindex(columns=[*table, *(name for name in words if name not in table)])
        for name in words:
            values = table[name].astype(source[name].dtype)
            values.loc[source.index] = source[name]
            table[name] = values
        kinds = self.dtypes.to_dict() | {name: now.dtypes[name] for name in words}
        dtypes = pd.Series(kinds, dtype=object)
        return Rows(self.labels, table.rename_axis("index").reset_index(), dtypes)

    def put_into(self, layer: Labels) -> None:
        """Replace the rows of these grains in the layer's table."""
        features = layer.features
        if not self.labels or "index" not in features:
            return
        ordered = features["index"].is_monotonic_increasing
        kept = features[~features["index"].isin(self.labels)]
        parts = [part for part in (kept, self.table) if len(part)] or [kept]
        table = pd.concat(parts, ignore_index=True).reindex(columns=_columns(features, self.table))
        if ordered:
            table = table.sort_values("index", kind="stable", ignore_index=True)
        layer.features = _with_dtypes(table, self.dtypes)


def rows_now(layer: Labels, labels: Iterable[int]) -> Rows:
    """Return the rows that grains have now."""
    features, labels = layer.features, tuple(labels)
    if not labels or "index" not in features:
        return Rows()
    table = features[features["index"].isin(labels)].copy()
    return Rows(labels, table, features.dtypes)


def rows_after_edit(layer: Labels, index: GrainIndex, before: Rows) -> Rows:
    """Return the rows that edited grains have from now on.

    What was measured on the old outline is no longer true, so it becomes a gap until it is measured
    again; only the area and whether the grain touches the edge are known at once. Words (a mineral
    given by hand) stay.
    """
    if not before.labels:
        return before
    left = [label for label in before.labels if label in index]
    table = before.table.set_index("index").reindex(left)
    measured = [name for name in table if before.dtypes[str(name)].kind in "iufb"]
    table = table.assign(**dict.fromkeys(map(str, measured), np.nan))
    areas = [index.areas_px[label] for label in left]
    known = {
        "area_px": areas,
        "area_um2": np.multiply(areas, pixel_size_um_of(layer) ** 2),
        "touches_edge": [_at_edge(index.boxes[label], layer.data.shape) for label in left],
    }
    for name, values in known.items():
        if name in table:
            table[name] = values
    table = _with_dtypes(table.rename_axis("index").reset_index(), before.dtypes)
    return Rows(before.labels, table, before.dtypes)


def rows_renumbered(
    layer: Labels, index: GrainIndex, before: Rows, numbers: Mapping[int, int], mended: set[int]
) -> Rows:
    """Return the same rows under new numbers, and none for the old.

    Parameters
    ----------
    layer : Labels layer
    index : GrainIndex
        Of the labels as they are now.
    before : Rows
        Of all grains.
    numbers : mapping of int to int
        Old to new number of all grains that are left.
    mended : set of int
        Grains, by their new numbers, that are not what was measured: their values are gaps.
    """
    if not before.labels:
        return before
    table = before.table[before.table["index"].isin(list(numbers))].copy()
    table["index"] = table["index"].map(numbers).astype(int)
    table = _with_gaps(layer, index, table, table["index"].isin(mended))
    return Rows((*before.labels, *numbers.values()), table, before.dtypes)


def rows_resegmented(
    layer: Labels,
    index: GrainIndex,
    before: Rows,
    kept: set[int],
    table: pd.DataFrame | None,
    numbers: Mapping[int, int],
) -> Rows:
    """Return the rows after a new segmentation: those of the kept grains, and the new table's.

    A new grain that lies under a kept one in part is not what was measured: its values are gaps.

    Parameters
    ----------
    layer : Labels layer
    index : GrainIndex
        Of the labels as they are now.
    before : Rows
        Of all grains.
    kept : set of int
        Grains that stayed.
    table : DataFrame or None
        Of the new grains, index `label`; without it the rows stay as they were.
    numbers : mapping of int to int
        Index of the table to the number that the grain has; the others were not taken.
    """
    if not before.labels or table is None:
        return before
    fresh = table[table.index.isin(list(numbers))].rename(index=dict(numbers))
    stay = before.table[before.table["index"].isin(kept)].set_index("index")
    rows = pd.concat([stay, fresh]).rename_axis("index").reset_index()
    labels, dtypes = (*before.labels, *numbers.values()), rows.dtypes
    if "area_px" not in rows:
        return Rows(labels, rows, dtypes)
    cut = rows["area_px"] != rows["index"].map(index.areas_px)
    cut &= ~rows["index"].isin(kept)
    return Rows(labels, _with_gaps(layer, index, rows, cut), dtypes)


def _with_gaps(
    layer: Labels, index: GrainIndex, rows: pd.DataFrame, changed: pd.Series
) -> pd.DataFrame:
    """Return rows in which what was measured on the changed grains is a gap."""
    if not changed.any():
        return rows
    old = Rows(tuple(rows["index"][changed].tolist()), rows[changed], rows.dtypes)
    parts = (rows[~changed], rows_after_edit(layer, index, old).table)
    both = pd.concat([part for part in parts if len(part)])
    return both.sort_values("index", kind="stable", ignore_index=True)


def _at_edge(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> bool:
    return box[0] == 0 or box[1] == 0 or box[2] == shape[0] or box[3] == shape[1]


def _columns(features: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    return [*features.columns, *(name for name in rows.columns if name not in features)]


def _with_dtypes(table: pd.DataFrame, dtypes: pd.Series) -> pd.DataFrame:
    """Return the table with its columns in these dtypes, where no gap forbids it."""
    wanted = {
        name: dtype
        for name, dtype in dtypes.items()
        if name in table and (dtype.kind not in "iub" or not table[name].isna().any())
    }
    # A gap among whole numbers or flags: float can say so.
    gaps = {name: float for name, dtype in dtypes.items() if name in table and name not in wanted}
    return table.astype({**wanted, **gaps})
