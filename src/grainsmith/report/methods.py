"""Write the Methods paragraph of a paper from recorded facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grainsmith.statistics import SizeStatistics

_SIZES = {
    "ecd": "the diameter of the circle of equal area",
    "feret_min": "the minimum Feret diameter",
    "feret_max": "the maximum Feret diameter",
    "best_short": "the best short axis (ellipse, or minimum-area rectangle of elongated grains)",
    "best_long": "the best long axis (ellipse, or minimum-area rectangle of elongated grains)",
    "minor": "the minor axis of the moment ellipse",
    "major": "the major axis of the moment ellipse",
}
_EDGES = {
    "weights": (
        "Grains cut off by the edge of the field were left out and the others weighted by the "
        "inverse of their probability to lie entirely inside (Miles-Lantuejoul correction, "
        "ISO 13322-1)"
    ),
    "guard": "Grains with their centre in a guard frame along the edge were left out",
    "drop": (
        "Grains cut off by the edge of the field were left out without correction, which "
        "underestimates coarse grains"
    ),
    "count all": "Grains cut off by the edge of the field were counted with their visible size",
}


def methods_paragraph(
    statistics: SizeStatistics, facts: Mapping[str, Any], *, version: str, pixel_size_um: float
) -> str:
    """Write a paragraph for the Methods section of a paper.

    Parameters
    ----------
    statistics : SizeStatistics
    facts : mapping
        See `write_report`; missing facts are left out.
    version : str
        Version of Grainsmith.
    pixel_size_um : float
        0 = unknown.
    """
    return " ".join(
        sentence
        for sentence in (
            _segmentation(facts, version),
            _editing(facts),
            _scale(facts, pixel_size_um),
            f"Grain size is {_SIZES[statistics.settings.size]}.",
            _edge(statistics),
            _distribution(statistics),
        )
        if sentence
    )


def _segmentation(facts: Mapping[str, Any], version: str) -> str:
    model = facts.get("model")
    if not model:
        return f"Grains were measured with Grainsmith {version}."
    digest = str(facts.get("model_sha256", ""))
    weights = f" (SHA-256 {digest[:12]})" if digest else ""
    return f"Grains were segmented with the model {model}{weights} in Grainsmith {version}."


def _editing(facts: Mapping[str, Any]) -> str:
    edits = facts.get("edits")
    if edits is None:
        return ""
    if not edits:
        return "The segmentation was not edited."
    return f"The segmentation was corrected by hand ({edits} edit{'s' if edits != 1 else ''})."


def _scale(facts: Mapping[str, Any], pixel_size_um: float) -> str:
    if not pixel_size_um:
        return "The pixel size is unknown; lengths are in pixels."
    source = facts.get("pixel_size_source")
    origin = f" ({source})" if source else ""
    return f"The pixel size was {pixel_size_um:.6g} µm{origin}."


def _edge(statistics: SizeStatistics) -> str:
    excluded = statistics.left_out
    text = _EDGES[statistics.settings.edge_rule]
    if excluded.n_edge:
        text += f" ({excluded.n_edge} grains left out)"
    if excluded.n_small:
        text += f"; {excluded.n_small} grains below the resolution limit were also left out"
    return f"{text}."


def _distribution(statistics: SizeStatistics) -> str:
    source = f"{statistics.n} grains"
    if statistics.n_fields > 1:
        source += f" of {statistics.n_fields} fields"
    text = (
        f"Size distributions of {source} are given {_bases(statistics)}; percentiles were "
        "interpolated between grains without binning; graphic measures follow Folk & Ward (1957)"
    )
    n_bootstrap = statistics.settings.n_bootstrap
    if n_bootstrap:
        levels = "fields, then grains, " if statistics.n_fields > 1 else "grains "
        text += (
            f"; 95 % intervals come from {n_bootstrap} bootstrap resamplings of {levels}".rstrip(
                ", "
            )
        )
    if statistics.settings.scale_error_pct:
        text += f" with a scale error of {statistics.settings.scale_error_pct:g} %"
    return f"{text}."


def _bases(statistics: SizeStatistics) -> str:
    names = [{"grid": "by a grid of points"}.get(b, f"by {b}") for b in statistics.bases]
    return f"{', '.join(names[:-1])} and {names[-1]}"
