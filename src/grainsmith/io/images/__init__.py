"""Read SEM and light images with their pixel size and data bar."""
