"""Read and write label images, review states and autosaves."""
