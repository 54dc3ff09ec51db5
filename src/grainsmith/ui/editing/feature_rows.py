"""Rows of the grain table that belong to a step of the history and follow undo and redo."""

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

_NUMERIC_KINDS = "iufb"


def _empty_table() -> pd.DataFrame:
    return pd.DataFrame({"index": np.zeros(0, int)})


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Rows of some grains, to replace the present rows of these grains in a layer.

    Attributes
    ----------
    labels : tuple of int
        The grains; those without a row in `table` have none.
    table : DataFrame
        With the column `index`.
    dtypes : Series
        Of the whole table at that time: a column of integers becomes float with its first gap, and
        must become integer again when the gap is undone.
    """

    labels: tuple[int, ...] = ()
    table: pd.DataFrame = field(default_factory=_empty_table)
    dtypes: pd.Series = field(default_factory=lambda: pd.Series(dtype=object))

    @property
    def nbytes(self) -> int:
        """Approximate memory in bytes; an exact count would take longer than the edit."""
        return 64 * len(self.labels) + 8 * self.table.size

    def with_labels(self, labels: tuple[int, ...]) -> FeatureRows:
        """Return the same rows for these grains: undoing a renumbering removes the new rows."""
        return replace(self, labels=labels)

    def with_texts_of(self, current: FeatureRows, numbers: Mapping[int, int] | None) -> FeatureRows:
        """Return these rows with the texts (such as minerals) that the same grains have now.

        Parameters
        ----------
        current : FeatureRows
        numbers : mapping of int to int or None
            Number of a grain in `current` to its number here; None where they are equal.
        """
        names = [
            str(name)
            for name in current.table
            if current.dtypes[str(name)].kind not in _NUMERIC_KINDS
        ]
        source, table = current.table.set_index("index")[names], self.table.set_index("index")
        if numbers is not None:
            source = source[source.index.isin(list(numbers))].rename(index=dict(numbers))
        source = source[source.index.isin(table.index)]
        if source.empty:
            return self
        table = table.reindex(columns=[*table, *(name for name in names if name not in table)])
        for name in names:
            values = table[name].astype(source[name].dtype)
            values.loc[source.index] = source[name]
            table[name] = values
        dtypes = self.dtypes.to_dict() | {name: current.dtypes[name] for name in names}
        return FeatureRows(
            self.labels,
            table.rename_axis("index").reset_index(),
            pd.Series(dtypes, dtype=object),
        )

    def write_to(self, layer: Labels) -> None:
        """Replace the rows of these grains in the layer's table."""
        features = layer.features
        if not self.labels or "index" not in features:
            return
        is_sorted = features["index"].is_monotonic_increasing
        others = features[~features["index"].isin(self.labels)]
        parts = [part for part in (others, self.table) if len(part)] or [others]
        table = pd.concat(parts, ignore_index=True).reindex(columns=_columns(features, self.table))
        if is_sorted:
            table = table.sort_values("index", kind="stable", ignore_index=True)
        layer.features = _with_dtypes(table, self.dtypes)


def current_rows(layer: Labels, labels: Iterable[int]) -> FeatureRows:
    """Return the present rows of grains."""
    features, labels = layer.features, tuple(labels)
    if not labels or "index" not in features:
        return FeatureRows()
    table = features[features["index"].isin(labels)].copy()
    return FeatureRows(labels, table, features.dtypes)


def texts_of(features: pd.DataFrame) -> int:
    """Return a hash of the non-empty texts of a table; 0 without any."""
    names = features.select_dtypes(exclude=["number", "bool"]).columns
    if "index" not in features or not len(names):
        return 0
    texts = features.set_index("index")[list(names)].fillna("").astype(str)
    texts = texts[(texts != "").any(axis=1)]
    return hash(pd.util.hash_pandas_object(texts).to_numpy().tobytes()) if len(texts) else 0


def rows_after_edit(layer: Labels, index: GrainIndex, before: FeatureRows) -> FeatureRows:
    """Return the rows of edited grains.

    Measures of the old outline become gaps until the grains are measured again; only the area and
    the contact with the edge are computed at once. Texts (such as a mineral) stay.
    """
    if not before.labels:
        return before
    present = [label for label in before.labels if label in index]
    table = before.table.set_index("index").reindex(present)
    measured = [name for name in table if before.dtypes[str(name)].kind in _NUMERIC_KINDS]
    table = table.assign(**dict.fromkeys(map(str, measured), np.nan))
    areas_px = [index.areas_px[label] for label in present]
    values_of = {
        "area_px": areas_px,
        "area_um2": np.multiply(areas_px, pixel_size_um_of(layer) ** 2),
        "touches_edge": [_touches_edge(index.boxes[label], layer.data.shape) for label in present],
    }
    for name, values in values_of.items():
        if name in table:
            table[name] = values
    table = _with_dtypes(table.rename_axis("index").reset_index(), before.dtypes)
    return FeatureRows(before.labels, table, before.dtypes)


def rows_renumbered(
    layer: Labels,
    index: GrainIndex,
    before: FeatureRows,
    numbers: Mapping[int, int],
    repaired: set[int],
) -> FeatureRows:
    """Return the rows of all grains under their new numbers.

    Parameters
    ----------
    layer : Labels layer
    index : GrainIndex
        Of the present labels.
    before : FeatureRows
        Of all grains.
    numbers : mapping of int to int
        Old to new number of the remaining grains.
    repaired : set of int
        New numbers of grains whose outline changed: their measures become gaps.
    """
    if not before.labels:
        return before
    table = before.table[before.table["index"].isin(list(numbers))].copy()
    table["index"] = table["index"].map(numbers).astype(int)
    table = _with_gaps(layer, index, table, table["index"].isin(repaired))
    return FeatureRows((*before.labels, *numbers.values()), table, before.dtypes)


def rows_resegmented(
    layer: Labels,
    index: GrainIndex,
    before: FeatureRows,
    kept: set[int],
    table: pd.DataFrame | None,
    numbers: Mapping[int, int],
) -> FeatureRows:
    """Return the rows after a new segmentation: those of the kept grains and the new ones.

    The measures of a new grain that is partly covered by a kept one become gaps.

    Parameters
    ----------
    layer : Labels layer
    index : GrainIndex
        Of the present labels.
    before : FeatureRows
        Of all grains.
    kept : set of int
        Grains that stayed.
    table : DataFrame or None
        Of the new grains, index `label`; None leaves all rows as they are.
    numbers : mapping of int to int
        Index of `table` to the number of the grain; other rows are left out.
    """
    if not before.labels or table is None:
        return before
    new_rows = table[table.index.isin(list(numbers))].rename(index=dict(numbers))
    kept_rows = before.table[before.table["index"].isin(kept)].set_index("index")
    rows = pd.concat([kept_rows, new_rows]).rename_axis("index").reset_index()
    labels, dtypes = (*before.labels, *numbers.values()), rows.dtypes
    if "area_px" not in rows:
        return FeatureRows(labels, rows, dtypes)
    is_cut = rows["area_px"] != rows["index"].map(index.areas_px)
    is_cut &= ~rows["index"].isin(kept)
    return FeatureRows(labels, _with_gaps(layer, index, rows, is_cut), dtypes)


def _with_gaps(
    layer: Labels, index: GrainIndex, rows: pd.DataFrame, changed: pd.Series
) -> pd.DataFrame:
    """Return rows in which the measures of the changed grains are gaps."""
    if not changed.any():
        return rows
    old = FeatureRows(tuple(rows["index"][changed].tolist()), rows[changed], rows.dtypes)
    parts = (rows[~changed], rows_after_edit(layer, index, old).table)
    merged = pd.concat([part for part in parts if len(part)])
    return merged.sort_values("index", kind="stable", ignore_index=True)


def _touches_edge(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> bool:
    return box[0] == 0 or box[1] == 0 or box[2] == shape[0] or box[3] == shape[1]


def _columns(features: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    return [*features.columns, *(name for name in rows.columns if name not in features)]


def _with_dtypes(table: pd.DataFrame, dtypes: pd.Series) -> pd.DataFrame:
    """Return the table with its columns in these dtypes, except where a gap forbids it."""
    exact = {
        name: dtype
        for name, dtype in dtypes.items()
        if name in table and (dtype.kind not in "iub" or not table[name].isna().any())
    }
    # Integers and flags with a gap become float.
    gaps = {name: float for name, dtype in dtypes.items() if name in table and name not in exact}
    return table.astype({**exact, **gaps})
