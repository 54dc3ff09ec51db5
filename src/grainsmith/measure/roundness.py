"""Wadell roundness of one grain: how well rounded its corners are, whatever its elongation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from grainsmith.measure._numba import compiled

LEAST_BEND = 1.1
"""A corner bends at least so many times more than the inscribed circle."""

LEAST_TURN = math.radians(20)
"""A bend that turns less is a wobble of the outline, not a corner."""

_DOWN, _RIGHT, _UP, _LEFT = 0, 1, 2, 3


@compiled
def wadell_roundness(mask: npt.NDArray[np.uint8], inscribed_radius: float) -> float:
    """Return the mean radius of the corners over the radius of the largest inscribed circle.

    Wadell's roundness (1932, doi 10.1086/623964): 1 for a disc, towards 0 for sharp corners. A
    corner is a stretch of the outline that bends more than the inscribed circle does, as Zheng &
    Hryciw (2015, doi 10.1680/geot.14.P.192) count them; its radius is its length over the angle
    by which it turns. The steps of the pixels are smoothed away first, with a standard deviation
    of 1.2 R^0.4 px (R the inscribed radius), the least at which drawn discs of 15 px and more have
    no corners (those of 10 px have 0.85 to 1). A perfectly sharp corner keeps a radius of about
    that smoothing: a square has 0.33 at R = 15 px, 0.23 at 40 and 0.17 at 80. Compare grains of
    like size in pixels.

    Parameters
    ----------
    mask : (H, W) uint8 array
        One grain with an empty margin; of several pieces the largest counts.
    inscribed_radius : float
        In px.
    """
    outline = _smooth(_even(longest_outline(mask)), 1.2 * inscribed_radius**0.4)
    n = len(outline)
    step = np.empty(n)
    heading = np.empty(n)
    for i in range(n):
        dy, dx = outline[(i + 1) % n, 0] - outline[i, 0], outline[(i + 1) % n, 1] - outline[i, 1]
        step[i], heading[i] = math.hypot(dy, dx), math.atan2(dy, dx)
    turn = np.empty(n)  # at the point between step i - 1 and step i
    length = np.empty(n)
    for i in range(n):
        angle = heading[i - 1] - heading[i]
        turn[i] = math.atan2(math.sin(angle), math.cos(angle))
        length[i] = (step[i] + step[i - 1]) / 2
    radius = _mean_corner_radius(turn, length, inscribed_radius)
    return min(1.0, radius / inscribed_radius)


@compiled
def _mean_corner_radius(
    turn: npt.NDArray[np.float64], length: npt.NDArray[np.float64], inscribed_radius: float
) -> float:
    n = len(turn)
    bend = turn * inscribed_radius / length
    start = -1
    for i in range(n):
        if bend[i] <= LEAST_BEND:
            start = i
            break
    if start < 0:
        return inscribed_radius
    total, corners = 0.0, 0
    run_length = run_turn = 0.0
    for offset in range(1, n + 1):
        i = (start + offset) % n
        if bend[i] > LEAST_BEND:
            run_length += length[i]
            run_turn += turn[i]
            continue
        if run_turn > LEAST_TURN:
            total += run_length / run_turn
            corners += 1
        run_length = run_turn = 0.0
    return total / corners if corners else inscribed_radius


@compiled
def longest_outline(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the (N, 2) midpoints (y, x) of the pixel sides round the largest piece of a mask.

    The sides are followed with the grain on the left; pieces that touch at a corner are one. Points
    are in corners of pixels: the pixel (y, x) reaches from (y, x) to (y + 1, x + 1).
    """
    height, width = mask.shape
    seen = np.zeros((height, width), np.uint8)
    best = np.empty((0, 2), np.float64)
    widest = 0.0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if mask[y, x] and not mask[y, x - 1] and not seen[y, x]:
                points = _follow(mask, seen, y, x)
                area = _signed_area(points)
                if area > widest:
                    best, widest = points, area
    return best


@compiled
def _follow(
    mask: npt.NDArray[np.uint8], seen: npt.NDArray[np.uint8], y0: int, x0: int
) -> npt.NDArray[np.float64]:
    points = np.empty((64, 2), np.float64)
    n = 0
    y, x, heading = y0, x0, _DOWN
    while True:
        dy = 1 if heading == _DOWN else (-1 if heading == _UP else 0)
        dx = 1 if heading == _RIGHT else (-1 if heading == _LEFT else 0)
        if heading == _DOWN:
            seen[y, x] = 1
        if n == len(points):
            longer = np.empty((2 * n, 2), np.float64)
            longer[:n] = points
            points = longer
        points[n] = y + dy / 2, x + dx / 2
        n += 1
        y, x = y + dy, x + dx
        left, right = _ahead(mask, y, x, heading)
        if right:
            heading = (heading + 3) % 4
        elif not left:
            heading = (heading + 1) % 4
        if y == y0 and x == x0 and heading == _DOWN:
            return points[:n].copy()


@compiled
def _ahead(mask: npt.NDArray[np.uint8], y: int, x: int, heading: int) -> tuple[int, int]:
    # The pixels ahead of the corner (y, x): the one on our left hand, the one on our right.
    if heading == _DOWN:
        return mask[y, x], mask[y, x - 1]
    if heading == _RIGHT:
        return mask[y - 1, x], mask[y, x]
    if heading == _UP:
        return mask[y - 1, x - 1], mask[y - 1, x]
    return mask[y, x - 1], mask[y - 1, x - 1]


@compiled
def _signed_area(points: npt.NDArray[np.float64]) -> float:
    # Positive round a piece, negative round a hole.
    doubled = 0.0
    for i in range(len(points)):
        doubled += points[i - 1, 0] * points[i, 1] - points[i, 0] * points[i - 1, 1]
    return doubled / 2


@compiled
def _even(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # The same closed line with points about 1 px apart.
    n = len(points)
    along = np.zeros(n + 1)
    for i in range(n):
        j = (i + 1) % n
        along[i + 1] = along[i] + math.hypot(
            points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
        )
    wanted = max(8, round(along[n]))
    out = np.empty((wanted, 2), np.float64)
    i = 0
    for k in range(wanted):
        at = k * along[n] / wanted
        while along[i + 1] < at:
            i += 1
        share = (at - along[i]) / (along[i + 1] - along[i])
        out[k] = points[i] * (1 - share) + points[(i + 1) % n] * share
    return out


@compiled
def _smooth(points: npt.NDArray[np.float64], sigma: float) -> npt.NDArray[np.float64]:
    n = len(points)
    reach = min(math.ceil(3 * sigma), n)
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weight /= weight.sum()
    out = np.zeros((n, 2), np.float64)
    for i in range(n):
        for k in range(-reach, reach + 1):
            j = (i + k) % n
            out[i, 0] += weight[k + reach] * points[j, 0]
            out[i, 1] += weight[k + reach] * points[j, 1]
    return out
