"""Align element maps and other views to the reference image."""
