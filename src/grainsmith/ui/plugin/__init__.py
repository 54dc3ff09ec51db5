"""Readers, writers and sample data named in the napari manifest."""
