"""Run a recipe over folders of fields."""
