"""Give every grain a mineral: by rules, by examples that were clicked, or by clusters.

A grain, not a pixel, is classified, on the mean of its core in the maps' native pixels
(docs/minerals.md). Each way returns the same table, a *naming*, with index `label`:

mineral : str
    The name, or "unknown" (fits nothing), or "unmapped" (the maps do not cover the grain).
score : float
    How far the name can be trusted, 0..1; 0 for "unknown" and "unmapped".
runner_up, runner_up_score : str, float
    The second best, or what an unknown grain comes nearest to; "" and 0 where there is none.
verdict : str
    "named", "unsure" (the runner-up is within the noise), "unknown", "unmapped" or "by hand".
"""

from grainsmith._callable_package import make_callable

make_callable(__name__)
