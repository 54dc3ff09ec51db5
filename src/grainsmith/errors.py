"""Failures a user can mend. Wrong arguments stay ValueError or TypeError."""


class GrainsmithError(Exception):
    """Base of all; panel and shell show its message without a traceback."""


class ReadError(GrainsmithError):
    """A file is missing, broken or of an unknown kind."""


class WriteError(GrainsmithError):
    """A file could not be written; what was there before is untouched."""


class MismatchError(GrainsmithError):
    """Things that belong together do not fit: shapes, units, scales."""


class ModelError(GrainsmithError):
    """A model is unknown, unreadable or not fit for the job."""
