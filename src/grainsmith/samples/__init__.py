"""Synthetic fields, made by code and seeded: to learn from, to try things on, to test against."""

from grainsmith.samples.sample import SampleField, sample_field
from grainsmith.samples.training import training_field

__all__ = ["SampleField", "sample_field", "training_field"]
