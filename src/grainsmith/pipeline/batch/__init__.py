"""Run a recipe over many fields and summarise samples."""
