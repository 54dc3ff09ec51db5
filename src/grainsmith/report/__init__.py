"""One page that says what a field holds and how that was found, and the same as data."""

from grainsmith.report.write import Report, read_result, write_report

__all__ = ["Report", "read_result", "write_report"]
