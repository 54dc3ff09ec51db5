"""Measure masks that another program made, with a known pixel size."""

import grainsmith as gs

table = gs.measure("masks.tif", pixel_size_um=0.5)
result = gs.statistics(table)
print(result.values.loc["d50_um_number"])
table.to_csv("grains.csv")
