"""Write HTML reports of fields and samples, with the same numbers as JSON."""

from grainsmith._callable_package import make_callable
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

make_callable(__name__)
