"""Read and write images larger than memory."""
