"""Classify grains into minerals by rules, by examples or by clusters.

Grains, not pixels, are classified, by the mean of their core in the maps' native pixels
(docs/minerals.md). Every method returns the same table, a *naming*, with index `label`:

mineral : str
    Name, "unknown" (matches nothing) or "unmapped" (not covered by the maps).
score : float
    Reliability of the name, 0..1; 0 for "unknown" and "unmapped".
runner_up, runner_up_score : str, float
    Second best mineral, or the nearest one of an unknown grain; "" and 0 if there is none.
verdict : str
    "named", "unsure" (the runner-up is within the noise), "unknown", "unmapped" or "by hand".
"""

from grainsmith._callable_package import make_callable

make_callable(__name__)
