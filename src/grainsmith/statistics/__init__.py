"""Compute grain-size statistics with named bases, confidence intervals and edge correction."""

from grainsmith.statistics.classes import SIZE_CLASSES, size_class
from grainsmith.statistics.comparison import (
    FieldSpread,
    SampleComparison,
    compare_samples,
    field_spread,
)
from grainsmith.statistics.counting import ExcludedCounts, FieldGrains, grid_hits
from grainsmith.statistics.qfl import qfl_shares
from grainsmith.statistics.settings import StatisticsSettings
from grainsmith.statistics.summary import SizeStatistics, summarise

__all__ = [
    "SIZE_CLASSES",
    "ExcludedCounts",
    "FieldGrains",
    "FieldSpread",
    "SampleComparison",
    "SizeStatistics",
    "StatisticsSettings",
    "compare_samples",
    "field_spread",
    "grid_hits",
    "qfl_shares",
    "size_class",
    "summarise",
]
