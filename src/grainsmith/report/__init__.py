"""Write HTML reports of fields and samples, with the same numbers as JSON."""

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
