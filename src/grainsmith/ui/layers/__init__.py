"""Convert between Grainsmith values and napari layers. No Qt."""
