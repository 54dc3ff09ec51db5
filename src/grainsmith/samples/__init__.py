"""Synthetic fields, seeded, for training, tests and trying things out."""

from grainsmith.samples.sample import SampleField, sample_field
from grainsmith.samples.training import textured_field, training_field

__all__ = ["SampleField", "sample_field", "textured_field", "training_field"]
