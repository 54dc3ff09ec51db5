"""Remedies for errors, worded as places in the window."""

from grainsmith.errors import GrainsmithError, Hint

_WORDING = {
    Hint.ACCEPT_GRAINS: "accept grains first (key A), or untick 'Only accepted grains'",
    Hint.ADD_FIELDS: "add one first (tab Train, page Training set)",
    Hint.CHOOSE_EXAMPLES: "click a grain of each of two minerals and press Example",
    Hint.CHOOSE_OTHER_EXAMPLE: "click another grain and press Example",
    Hint.CHOOSE_OUTPUT: "choose another folder with 'Results in …'",
    Hint.CHOOSE_OUTPUT_FOLDER: "choose a folder with 'Results in …'",
    Hint.DELETE_GRAIN: "delete it instead (key D)",
    Hint.DOWNLOAD_MODEL: (
        "download it first ({size_mb} MB; {licence}): `grainsmith models download {name}` in a "
        "terminal"
    ),
    Hint.ENTER_ELEMENT: "enter its symbol in the table",
    Hint.FREE_SPACE_AND_RESUME: (
        "free some space, then tick 'Go on with the results that are there' and run it again"
    ),
    Hint.FREE_SPACE_AND_RESUME_TRAINING: "free some space, then press Resume",
    Hint.GIVE_DATA_BAR: "set its rows (tab Open, 'Data bar')",
    Hint.GIVE_PIXEL_SIZE: "set it (tab Open, 'Pixel size')",
    Hint.GIVE_PIXEL_SIZE_OR_PX: "set it (tab Open, 'Pixel size'), or give the limit in px",
    Hint.RESTART_SCHEDULER_AND_RESUME: (
        "start a scheduler, then tick 'Go on with the results that are there' and run it again"
    ),
    Hint.RESUME_OR_CHOOSE_OUTPUT: (
        "tick 'Go on with the results that are there', or choose another folder with 'Results in …'"
    ),
    Hint.RUN_WITHOUT_SCHEDULER: (
        "pip install 'grainsmith[distributed]', or choose 'here, one after another'"
    ),
    Hint.SELECT_SECOND_GRAIN: "shift-click the second one",
    Hint.START_SCHEDULER: (
        "start one with `dask scheduler` and workers with `dask worker {address} --nthreads 1`, "
        "or choose 'processes of this machine'"
    ),
    Hint.TRUST_PICKLE: "if you trust its author, tick 'Trust the file'",
    Hint.UNLOCK_GRAINS: "withdraw the acceptance first (key A)",
    Hint.WAIT_OR_CHOOSE_OUTPUT: (
        "wait until it ends, or choose another folder with 'Results in …'"
    ),
    Hint.ZOOM_IN: "zoom in until the window shows at most {side_px} x {side_px} px",
}


def message_of(error: BaseException) -> str:
    """Return the message of an error with its remedy worded as places in the window."""
    return error.worded(_WORDING) if isinstance(error, GrainsmithError) else str(error)
