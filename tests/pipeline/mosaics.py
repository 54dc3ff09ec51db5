"""Mosaics with known grains, made without a network."""

import numpy as np
import pandas as pd

from grainsmith.io.mosaics.ome_zarr import build_coarser_levels, create_pyramid, write_labels_group
from grainsmith.measure import measure_grains
from grainsmith.pipeline.mosaic.summary import grains_folder, write_summary


def discs(shape, *, step=48, radius=14):
    """Grains on a grid of different sizes; one lies at (512, 512), where four chunks meet."""
    y, x = (n + 40 for n in np.mgrid[: shape[0], : shape[1]])
    row, column = y // step, x // step
    away = np.hypot(y % step - step / 2, x % step - step / 2)
    inside = away < radius + (row + column) % 5
    ids = row * (shape[1] // step + 2) + column + 1
    _, numbers = np.unique(np.where(inside, ids, 0), return_inverse=True)
    return numbers.reshape(shape).astype(np.int32)


def are_discs(shape):
    """Say where discs lie on a grid across the seams at 512 and 1024, and across their corner."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot((y + 16) % 48 - 24, (x + 16) % 48 - 24)
    return away < 15 + (y // 48 + x // 48) % 5


def made_mosaic(folder, labels, *, picture=None, pixel_size_um=0.5):
    """Write labels as `segment_mosaic` would."""
    if picture is None:
        picture = np.where(labels > 0, 180, 30).astype(np.uint8)
    for where, pixels, of_labels in (
        (folder, picture, False),
        (grains_folder(folder), labels, True),
    ):
        levels = create_pyramid(
            where,
            name="m",
            shape=pixels.shape,
            dtype=pixels.dtype,
            pixel_size_um=pixel_size_um,
            labels=of_labels,
        )
        levels[0][:] = pixels
        build_coarser_levels(levels, labels=of_labels)
    write_labels_group(folder, ["grains"])
    table = measure_grains(labels, image=picture, pixel_size_um=pixel_size_um)
    for name in ("confidence", "flow_error", "probability"):
        table[name] = 0.5
    table["source"] = "model"
    write_summary(folder, table, labels.shape, next_label=len(table) + 1, hand_edited=0)
    return table


def repeated_mosaic(folder, size_px):
    """Write a large mosaic quickly: the plain sample side by side, its grains numbered on."""
    from grainsmith.samples import sample_field

    sample = sample_field("plain")
    side, n = sample.labels.shape[0], int(sample.labels.max())
    times = -(-size_px // side)
    picture = np.tile((sample.image.image >> 8).astype(np.uint8), (times, times))
    labels = np.tile(sample.labels, (times, times))
    shift = np.repeat(np.repeat(np.arange(times**2).reshape(times, times) * n, side, 0), side, 1)
    labels = np.where(labels > 0, labels + shift, 0).astype(np.int32)[:size_px, :size_px]
    for where, pixels, of_labels in (
        (folder, picture[:size_px, :size_px], False),
        (grains_folder(folder), labels, True),
    ):
        levels = create_pyramid(
            where,
            name="m",
            shape=pixels.shape,
            dtype=pixels.dtype,
            pixel_size_um=1.5,
            labels=of_labels,
        )
        for number, level in enumerate(levels):
            level[:] = pixels[:: 2**number, :: 2**number]
    write_labels_group(folder, ["grains"])
    one = measure_grains(sample.labels, image=sample.image.image >> 8, pixel_size_um=1.5)
    parts = []
    for k in range(times**2):
        part = one.assign(
            top_px=one["top_px"] + k // times * side,
            left_px=one["left_px"] + k % times * side,
            y_px=one["y_px"] + k // times * side,
            x_px=one["x_px"] + k % times * side,
        )
        parts.append(part.set_index(one.index + k * n))
    table = pd.concat(parts)
    inside = (table["top_px"] < size_px) & (table["left_px"] < size_px)
    table = table[inside].assign(source="model")
    write_summary(folder, table, labels.shape, next_label=int(labels.max()) + 1, hand_edited=0)
