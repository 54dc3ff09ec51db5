"""Synthetic fields, seeded, for training, tests and trying things out."""

from grainsmith.samples.sample import SampleField, sample_field
from grainsmith.samples.training import training_field

__all__ = ["SampleField", "sample_field", "training_field"]
