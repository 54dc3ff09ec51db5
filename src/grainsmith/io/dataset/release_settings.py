"""Settings of a published data set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSettings:
    """Description of a data set for publication.

    Attributes
    ----------
    title : str
    creators : str
        Names, separated by semicolons.
    license : str
        SPDX name, such as "CC-BY-4.0".
    version : str
        Version of the data, such as "1.0.0".
    description : str
        What the data show, in a few sentences.
    url : str
        Address of the data, ideally a DOI.
    citation : str
        Citation; "" is replaced by creators, year and title.
    """

    title: str
    creators: str
    license: str
    version: str = "1.0.0"
    description: str = ""
    url: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        required = {"title": self.title, "creators": self.creators, "licence": self.license}
        for name, value in required.items():
            if not value.strip():
                raise ValueError(f"{name} must be given: a data set cannot be cited without")

    @property
    def cited_as(self) -> str:
        """The citation."""
        year = datetime.now(UTC).year
        default = f"{self.creators} ({year}): {self.title}, version {self.version}. {self.url}"
        return self.citation or default.strip()
