"""Compute grain-size statistics with named bases, confidence intervals and edge correction."""

from grainsmith._callable_package import make_callable
from grainsmith.statistics.classes import SIZE_CLASSES, size_class
from grainsmith.statistics.comparison import (
    FieldSpread,
    SampleComparison,
    compare_samples,
    field_spread,
)
from grainsmith.statistics.contacts import association_pct, contact_lengths, contact_matrix
from grainsmith.statistics.counting import (
    ExcludedCounts,
    FieldGrains,
    grain_weights,
    grid_hits,
    median_sizes,
)
from grainsmith.statistics.modal import modal_percentages
from grainsmith.statistics.qfl import qfl_shares
from grainsmith.statistics.settings import StatisticsSettings
from grainsmith.statistics.summary import SizeStatistics, summarize

__all__ = [
    "SIZE_CLASSES",
    "ExcludedCounts",
    "FieldGrains",
    "FieldSpread",
    "SampleComparison",
    "SizeStatistics",
    "StatisticsSettings",
    "association_pct",
    "compare_samples",
    "contact_lengths",
    "contact_matrix",
    "field_spread",
    "grain_weights",
    "grid_hits",
    "median_sizes",
    "modal_percentages",
    "qfl_shares",
    "size_class",
    "summarize",
]

make_callable(__name__)
