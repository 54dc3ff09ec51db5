"""The state of one viewer that panels share."""
