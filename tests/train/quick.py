"""Settings with which a tiny network is tuned in seconds."""

from grainsmith.train.settings import TuneSettings


def quick_settings(**more):
    """Few small tiles a step on one thread, none of made fields, and nothing of the start kept."""
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
