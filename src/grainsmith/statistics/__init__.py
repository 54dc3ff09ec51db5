"""Grain-size statistics that can be published: named bases, intervals, an honest edge."""

from grainsmith.statistics.classes import SIZE_CLASSES, size_class
from grainsmith.statistics.comparison import (
    Comparison,
    FieldSpread,
    compare_samples,
    field_spread,
)
from grainsmith.statistics.counting import ExcludedCounts, Field, grid_hits
from grainsmith.statistics.qfl import qfl_shares
from grainsmith.statistics.settings import StatisticsSettings
from grainsmith.statistics.summary import SizeStatistics, summarise

__all__ = [
    "SIZE_CLASSES",
    "Comparison",
    "ExcludedCounts",
    "Field",
    "FieldSpread",
    "SizeStatistics",
    "StatisticsSettings",
    "compare_samples",
    "field_spread",
    "grid_hits",
    "qfl_shares",
    "size_class",
    "summarise",
]
