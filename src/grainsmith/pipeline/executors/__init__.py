"""Run independent tasks in processes here or on a dask cluster."""
