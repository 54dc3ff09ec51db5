"""Errors that a user can fix; wrong arguments of a programmer stay ValueError or TypeError."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Hint(Enum):
    """Remedy for an error; the value is its wording outside the shell and the window.

    The shell words it as options, the window as its own controls. Names in braces are filled in
    from `GrainsmithError.values`.
    """

    ACCEPT_GRAINS = "accept grains first, or include grains that are not accepted"
    ADD_FIELDS = "add labelled fields first"
    ADD_TUNED_MODEL = (
        "start from 'grains' or a Cellpose 1-3 file, or tune it with Cellpose on another machine "
        "and add the result to your models"
    )
    CHOOSE_EXAMPLES = "choose at least one example grain of each of two minerals"
    CHOOSE_OTHER_EXAMPLE = "choose another grain as the example"
    CHOOSE_OUTPUT = "choose another output"
    CHOOSE_OUTPUT_FOLDER = "choose a folder for the output"
    DELETE_GRAIN = "delete it instead"
    DOWNLOAD_MODEL = "download it first ({size_mb} MB; {licence})"
    ENTER_ELEMENT = "give its element"
    FREE_SPACE_AND_RESUME = "free some space, then resume the run"
    FREE_SPACE_AND_RESUME_TRAINING = "free some space, then resume the training"
    GIVE_DATA_BAR = "give the number of its rows"
    GIVE_FORMAT = "give the format, one of {formats}"
    GIVE_IMAGE = "give the image"
    GIVE_PIXEL_SIZE = "give the pixel size"
    GIVE_PIXEL_SIZE_OR_PX = "give the pixel size, or the limit in px"
    LIST_MODELS = "give a file, or one of {names}"
    RESTART_SCHEDULER_AND_RESUME = "start a scheduler, then resume the run"
    RESUME_OR_CHOOSE_OUTPUT = "resume it, or choose another output folder"
    RESUME_OR_REMOVE = "resume it, or remove the folder"
    RUN_WITHOUT_SCHEDULER = "pip install 'grainsmith[distributed]', or run without a scheduler"
    SEGMENT_AS_MOSAIC = "segment it as a mosaic"
    SELECT_SECOND_GRAIN = "select a second one"
    SMALLER_TRAINING_BATCH = "use fewer or smaller tiles per step"
    SMALLER_TRAINING_BATCH_OR_MODEL = (
        "close other programs that use the GPU, use fewer tiles per step, or start from 'grains'"
    )
    START_NEW_TRAINING = "start a new run"
    START_SCHEDULER = (
        "start one with `dask scheduler` and workers with `dask worker {address}`, or use "
        "processes of this machine"
    )
    TRUST_PICKLE = "if you trust its author, allow pickles to be read"
    UNLOCK_GRAINS = "withdraw the acceptance first"
    WAIT_OR_CHOOSE_OUTPUT = "wait until it ends, or choose another output"
    ZOOM_IN = "open at most {side_px} x {side_px} px"


class GrainsmithError(Exception):
    """Base of all errors that a user can fix; interfaces show them without a traceback.

    Parameters
    ----------
    problem : str
        What is wrong, with the value. It names no option, key or control of an interface.
    hint : Hint, optional
        What the user can do about it.
    **values : object
        Values for the wording of the hint.
    """

    def __init__(self, problem: str = "", *, hint: Hint | None = None, **values: object) -> None:
        super().__init__(problem)
        self.hint = hint
        self.values = values

    def __str__(self) -> str:
        return self.worded({})

    def worded(self, wording: Mapping[Hint, str]) -> str:
        """Return problem and remedy, with the remedy in the words of one interface."""
        problem = super().__str__()
        if self.hint is None:
            return problem
        remedy = wording.get(self.hint, self.hint.value).format(**self.values)
        return f"{problem}: {remedy}" if remedy else problem


class ReadError(GrainsmithError):
    """A file is missing, broken or of an unknown kind."""


class WriteError(GrainsmithError):
    """A file could not be written; an earlier version of it is untouched."""


class MismatchError(GrainsmithError):
    """Inputs do not fit together: shapes, units, scales."""


class ModelError(GrainsmithError):
    """A model is unknown, unreadable or not suited to the task."""
