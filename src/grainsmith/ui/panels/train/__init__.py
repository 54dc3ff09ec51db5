"""Train a model on corrected grains and compare it with its start."""
