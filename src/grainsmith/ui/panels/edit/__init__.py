"""Correct, clean up and review grains."""
