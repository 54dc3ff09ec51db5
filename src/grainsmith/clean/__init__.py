"""Edit and clean up label images.

Manual edits return patches and read only the bounding boxes of the edited grains, so their cost
does not depend on the size of the image (`grains`, `split`, `seed_grain`, `patch`,
`run_length_delta`). Clean-up of all grains returns a new array and what was changed (`cleanup`,
`resegment`). Review ranks grains and finds missed ones (`review_ranking`, `missed_grains`).
"""

from grainsmith._callable_package import make_callable
from grainsmith.clean.cleanup import (
    CleanResult,
    CleanSettings,
    clean_labels,
    count_reasons,
    find_unwanted,
    touching_edge,
)
from grainsmith.clean.grains import (
    add_mask,
    copy_grain,
    delete,
    fill_holes,
    grains_inside,
    grains_under,
    grow,
    keep_largest,
    merge,
    reshape,
    shrink,
    smooth,
)
from grainsmith.clean.index import GrainIndex
from grainsmith.clean.missed_grains import (
    MissedGrain,
    find_missed,
    likeness_from_grey,
    likeness_from_logit,
)
from grainsmith.clean.patch import Box, Patch, apply_patches, refuse_locked, revert_patches
from grainsmith.clean.resegment import resegment_grains
from grainsmith.clean.review_ranking import rank_suspicious
from grainsmith.clean.run_length_delta import Change, compose, difference, from_pixels, pack
from grainsmith.clean.seed_grain import (
    Candidate,
    add_candidate,
    candidate_from_flows,
    candidate_from_grey,
)
from grainsmith.clean.split import (
    propose_seeds,
    split_by_chemistry,
    split_by_line,
    split_by_seeds,
)

__all__ = [
    "Box",
    "Candidate",
    "Change",
    "CleanResult",
    "CleanSettings",
    "GrainIndex",
    "MissedGrain",
    "Patch",
    "add_candidate",
    "add_mask",
    "apply_patches",
    "candidate_from_flows",
    "candidate_from_grey",
    "clean_labels",
    "compose",
    "copy_grain",
    "count_reasons",
    "delete",
    "difference",
    "fill_holes",
    "find_missed",
    "find_unwanted",
    "from_pixels",
    "grains_inside",
    "grains_under",
    "grow",
    "keep_largest",
    "likeness_from_grey",
    "likeness_from_logit",
    "merge",
    "pack",
    "propose_seeds",
    "rank_suspicious",
    "refuse_locked",
    "resegment_grains",
    "reshape",
    "revert_patches",
    "shrink",
    "smooth",
    "split_by_chemistry",
    "split_by_line",
    "split_by_seeds",
    "touching_edge",
]

make_callable(__name__)
