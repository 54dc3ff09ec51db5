"""One page that says what a field or sample holds and how that was found, and the same as data."""

from grainsmith.report.sample import FieldLine, SampleFacts, write_sample_report
from grainsmith.report.write import Report, read_result, write_report

__all__ = [
    "FieldLine",
    "Report",
    "SampleFacts",
    "read_result",
    "write_report",
    "write_sample_report",
]
