"""Compute the mean of every element in every grain."""

import grainsmith as gs

image = gs.read_image("bse.tif")
maps = gs.read_maps("maps")
registration = gs.align(image, maps)
table = gs.measure("masks.tif", image=image, maps=maps, transforms=registration)
table.filter(like="_mean").to_csv("elements.csv")
