"""Settings with which a tiny network is tuned in seconds."""

from grainsmith.train.settings import TuneSettings


def quick_settings(**more):
    """Few small tiles per step, one thread, no synthetic fields, no share of the start model."""
    few = {
        "epochs": 1,
        "minutes": 0,
        "rehearsal_pct": 0,
        "start_share_pct": 0,
        "batch": 2,
        "tile_px": 32,
        "threads": 1,
    }
    return TuneSettings(**(few | more))
