"""Table and statistics of a mosaic, as they lie in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from grainsmith.io.files.provenance import read_json, write_json
from grainsmith.io.tables.grain_table import write_table
from grainsmith.statistics import FieldGrains, StatisticsSettings, summarize

if TYPE_CHECKING:
    import pandas as pd

TABLE, FACTS, STATISTICS = "grains.csv", "grains.json", "statistics.json"
_DRAWS = 5_000_000
"""Grains drawn in all resamplings together: of many grains fewer resamplings are enough."""
_RESAMPLINGS = (100, 1000)


def write_summary(
    folder: str | Path, table: pd.DataFrame, shape: tuple[int, int], **facts: Any
) -> None:
    """Write the table of a mosaic's grains, its statistics and what is known of it.

    Parameters
    ----------
    folder : str or Path
        Of the mosaic.
    table : DataFrame
        One row per grain, index `label`.
    shape : (Y, X)
        Of the mosaic.
    **facts
        Join what `grains.json` says already.
    """
    folder = Path(folder)
    write_table(folder / TABLE, table)
    write_json(folder / STATISTICS, _statistics(table, shape))
    known = read_json(folder / FACTS) if (folder / FACTS).exists() else {}
    write_json(folder / FACTS, {**known, **facts, "n_grains": len(table)})


def _statistics(table: pd.DataFrame, shape: tuple[int, int]) -> dict[str, Any]:
    if not len(table):
        return {"n": 0}
    least, most = _RESAMPLINGS
    rounds = min(most, max(least, _DRAWS // len(table)))
    field = FieldGrains(table=table, height_px=shape[0], width_px=shape[1])
    return summarize(field, StatisticsSettings(n_bootstrap=rounds)).as_dict()


def grains_folder(folder: str | Path) -> Path:
    """Return where the labels of a mosaic lie."""
    return Path(folder) / "labels" / "grains"
