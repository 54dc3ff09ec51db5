"""Qt widgets that know nothing of layers."""
