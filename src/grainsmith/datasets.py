"""Bundled synthetic fields of view with their whole truth, for tutorials and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grainsmith.samples.sample import SampleField

__all__ = ["hard", "plain"]


def plain(*, seed: int = 1) -> SampleField:
    """Make a BSE image of about 270 grains with ten element maps.

    Parameters
    ----------
    seed : int
        Another seed makes another field.

    Returns
    -------
    SampleField
        `image`, `maps`, and the truth: `labels`, `minerals` and `transforms`.

    Examples
    --------
    >>> import grainsmith as gs
    >>> field = gs.datasets.plain()
    >>> len(field.maps), int(field.labels.max())
    (10, 269)
    """
    from grainsmith.samples import sample_field

    return sample_field("plain", seed=seed)


def hard(*, seed: int = 1) -> SampleField:
    """Make a noisy BSE image with shading, a data bar, and coarse, rotated element maps.

    Parameters
    ----------
    seed : int
        Another seed makes another field.
    """
    from grainsmith.samples import sample_field

    return sample_field("hard", seed=seed)
