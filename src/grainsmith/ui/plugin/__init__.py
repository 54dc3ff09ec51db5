"""What the napari manifest names: readers, writers and sample data."""
