"""The panels of the dock, one module or package each."""
