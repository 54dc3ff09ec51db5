"""Remedies for errors, worded as options of the shell."""

from grainsmith.errors import GrainsmithError, Hint

_WORDING = {
    Hint.ACCEPT_GRAINS: "accept grains first, or leave out --only-accepted",
    Hint.ADD_FIELDS: "add some with `grainsmith dataset add`, or put x.tif and x_masks.tif into it",
    Hint.ADD_TUNED_MODEL: (
        "start from 'grains' or a Cellpose 1-3 file (--from), or tune it on another machine with "
        "`cellpose --train --dir FOLDER` and add the result with `grainsmith models add`"
    ),
    Hint.CHOOSE_EXAMPLES: "give grains of at least two minerals in the file of --examples",
    Hint.CHOOSE_OTHER_EXAMPLE: "give other grains in the file of --examples or --standards",
    Hint.CHOOSE_OUTPUT: "choose another --output",
    Hint.CHOOSE_OUTPUT_FOLDER: "--output must be a folder",
    Hint.DOWNLOAD_MODEL: (
        "`grainsmith models download {name}` downloads it ({size_mb} MB; {licence})"
    ),
    Hint.FREE_SPACE_AND_RESUME: "free some space, then continue with --resume",
    Hint.FREE_SPACE_AND_RESUME_TRAINING: "free some space, then continue with --resume",
    Hint.GIVE_DATA_BAR: "give its height with --data-bar-rows",
    Hint.GIVE_FORMAT: "give --format, one of {formats}",
    Hint.GIVE_IMAGE: "give it with --image",
    Hint.GIVE_PIXEL_SIZE: "give --pixel-size",
    Hint.GIVE_PIXEL_SIZE_OR_PX: "give --pixel-size-um, or the limit in px",
    Hint.LIST_MODELS: "give a file, or one of {names} (see `grainsmith models list`)",
    Hint.RESTART_SCHEDULER_AND_RESUME: "start a scheduler, then continue with --resume",
    Hint.RESUME_OR_CHOOSE_OUTPUT: "continue with --resume, or choose another --output",
    Hint.RESUME_OR_REMOVE: "continue with --resume, or remove the folder",
    Hint.RUN_WITHOUT_SCHEDULER: ("pip install 'grainsmith[distributed]', or use --scheduler none"),
    Hint.SEGMENT_AS_MOSAIC: (
        "run `grainsmith mosaic '{image}' -o {output}`, with its maps given by --maps"
    ),
    Hint.SMALLER_TRAINING_BATCH: "use fewer (--batch) or smaller (--tile) tiles per step",
    Hint.SMALLER_TRAINING_BATCH_OR_MODEL: (
        "close other programs that use the GPU, use fewer tiles per step (--batch), or start from "
        "'grains' (--from)"
    ),
    Hint.START_NEW_TRAINING: "start without --resume",
    Hint.START_SCHEDULER: (
        "start one with `dask scheduler` and workers with `dask worker {address} --nthreads 1`, "
        "or use --scheduler local"
    ),
    Hint.TRUST_PICKLE: "if you trust its author, read it with --trust-pickle",
    Hint.WAIT_OR_CHOOSE_OUTPUT: "wait until it ends, or choose another --output",
}


def message_of(error: GrainsmithError) -> str:
    """Return the message of an error with its remedy worded as options."""
    return error.worded(_WORDING)
