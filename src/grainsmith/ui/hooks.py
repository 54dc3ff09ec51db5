"""What the manifest calls: reader, writers, samples. Nothing here needs a window."""

from __future__ import annotations

PATTERNS = ("*.tif", "*.tiff", "*.png", "*.jpg", "*.jpeg", "*.bmp")
"""Files that the reader offers to open."""
