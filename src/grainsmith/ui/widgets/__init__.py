"""Generic Qt widgets, independent of layers."""
