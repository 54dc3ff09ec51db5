"""Measure the grains of every image in a folder, into one table."""

from pathlib import Path

import pandas as pd

import grainsmith as gs

images = sorted(Path("images").glob("*.tif"))
tables = {image.name: gs.measure(gs.segment(image)) for image in images}
pd.concat(tables, names=["image"]).to_csv("grains.csv")
