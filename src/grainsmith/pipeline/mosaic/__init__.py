"""Segment, edit and summarise images larger than memory, block by block."""
