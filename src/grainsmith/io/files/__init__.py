"""Write files atomically, lock them, check them and record where they came from."""
