"""Read and write grain and mineral tables."""
