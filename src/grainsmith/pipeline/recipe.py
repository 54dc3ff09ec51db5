"""Recipe: the settings of all steps in one YAML file, kept with every result."""

from __future__ import annotations

import hashlib
import json
import textwrap
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from grainsmith.align import AlignSettings
from grainsmith.clean import CleanSettings
from grainsmith.errors import MismatchError, ReadError
from grainsmith.io.files.atomic_write import atomic_write, fingerprint
from grainsmith.segment import SegmentSettings
from grainsmith.settings import attribute_docs, default_of, settings_from, unknown_key
from grainsmith.statistics import StatisticsSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
"""Version of the file format; increased if older files could be misread."""

_KINDS = ["", "counts", "wt%", "at%", "picture"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSettings:
    """How an image is opened.

    Attributes
    ----------
    pixel_size_um : float
        Side of a pixel in µm for all fields; 0 = as the file, or the sheet, says.
    data_bar_rows : int
        Rows of a data bar at the bottom; -1 = detected, 0 = none.
    """

    pixel_size_um: float = field(
        default=0.0, metadata={"label": "Pixel size (µm)", "min": 0.0, "max": 1e4}
    )
    data_bar_rows: int = field(
        default=-1, metadata={"label": "Data bar (rows)", "min": -1, "max": 4096}
    )

    def __post_init__(self) -> None:
        if self.pixel_size_um < 0:
            raise ValueError(f"pixel_size_um must be 0 or more, got {self.pixel_size_um}")
        if self.data_bar_rows < -1:
            raise ValueError(f"data_bar_rows must be -1 (found) or more, got {self.data_bar_rows}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifySettings:
    """How grains are classified.

    Attributes
    ----------
    rules : str
        "library", a rules file (beside the recipe, or with its full path), or "" for no minerals.
    units : str
        Content of the maps: "counts", "wt%", "at%" or "picture" (grey values); "" = the units of
        the rules.
    """

    rules: str = field(default="library", metadata={"label": "Rules"})
    units: str = field(default="", metadata={"label": "Units", "choices": _KINDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """Reports and figures.

    Attributes
    ----------
    report : bool
        Write report.html for every field and every sample.
    pictures : bool
        Write overview.png (outlines) and, with maps, sheet.png (grains by mineral).
    """

    report: bool = field(default=True, metadata={"label": "Reports"})
    pictures: bool = field(default=True, metadata={"label": "Images"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of all steps.

    Attributes
    ----------
    open : OpenSettings
        How an image is opened.
    segment : SegmentSettings
        How grains are found.
    clean : CleanSettings
        Which grains are removed and repaired; none by default.
    align : AlignSettings
        How element maps are registered to the image.
    classify : ClassifySettings
        How grains are classified.
    statistics : StatisticsSettings
        How grain-size statistics are computed.
    report : ReportSettings
        Reports and figures.
    """

    open: OpenSettings = field(default_factory=OpenSettings)
    segment: SegmentSettings = field(default_factory=SegmentSettings)
    clean: CleanSettings = field(default_factory=CleanSettings)
    align: AlignSettings = field(default_factory=AlignSettings)
    classify: ClassifySettings = field(default_factory=ClassifySettings)
    statistics: StatisticsSettings = field(default_factory=StatisticsSettings)
    report: ReportSettings = field(default_factory=ReportSettings)

    def fingerprint(self) -> str:
        """Return the SHA-256 of all settings, and of the files of rules and own models."""
        content: dict[str, Any] = {"version": VERSION, **asdict(self)}
        for name, path in (("rules", self.classify.rules), ("model", self.segment.model)):
            if Path(path).suffix and Path(path).is_file():
                content[f"{name}_sha256"] = fingerprint(path)
        # The device does not change the result.
        content["segment"] = {k: v for k, v in content["segment"].items() if k != "device"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def as_text(self) -> str:
        """Return the recipe as YAML with the documentation of every setting."""
        lines = [
            "# A recipe of Grainsmith: the settings of every step of a batch. A setting that is",
            "# left out keeps its default; an unknown name is refused.",
            f"recipe: {VERSION}",
        ]
        sections = attribute_docs(Recipe)
        for section in fields(self):
            lines += ["", *_comment(sections[section.name], 0), f"{section.name}:"]
            lines += _section_lines(getattr(self, section.name))
        return "\n".join(lines) + "\n"

    def write(self, path: str | Path) -> None:
        """Write the recipe atomically."""
        with atomic_write(path) as temporary:
            temporary.write_text(self.as_text(), "utf-8")


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Raises
    ------
    ReadError
        The file is missing, is not YAML, has another version or contains errors. All errors are
        listed, misspelt names with the most similar valid name.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ReadError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    faults: list[str] = []
    recipe = recipe_from(content, faults)
    if faults:
        raise ReadError(f"{path} cannot be used as a recipe: " + "; ".join(faults))
    return _with_absolute_paths(recipe, Path(path).parent)


def recipe_from(content: Any, faults: list[str]) -> Recipe:
    """Return the recipe of a file's content; append a sentence per error to `faults`."""
    if not isinstance(content, dict):
        faults.append("it must hold sections such as 'segment:' with 'name: value' below")
        return Recipe()
    if version_fault := _version_fault(content.get("recipe")):
        faults.append(version_fault)
        return Recipe()
    sections = {section.name: section for section in fields(Recipe)}
    faults.extend(
        unknown_key(key, [*sections, "recipe"])
        for key in content
        if key not in sections and key != "recipe"
    )
    settings: dict[str, Any] = {}
    for name, section in sections.items():
        if name in content:
            kind = type(default_of(section))
            settings[name] = settings_from(kind, content[name], where=name, faults=faults)
    return Recipe(**{name: value for name, value in settings.items() if value is not None})


def segment_only(recipe: Recipe) -> SegmentSettings:
    """Return the segmentation settings of a recipe that sets nothing else.

    Raises
    ------
    MismatchError
        Settings of other steps differ from their defaults; all are named.
    """
    plain = Recipe()
    others = [
        f"{section.name}.{setting.name}"
        for section in fields(recipe)
        if section.name != "segment"
        for setting in fields(getattr(recipe, section.name))
        if getattr(getattr(recipe, section.name), setting.name)
        != getattr(getattr(plain, section.name), setting.name)
    ]
    if others:
        raise MismatchError(
            f"a mosaic uses only the section 'segment' of a recipe: remove {', '.join(others)}"
        )
    return recipe.segment


def check_recipe(recipe: Recipe) -> None:
    """Raise early what would fail in every field: unreadable rules, a missing model.

    Raises
    ------
    ReadError, ModelError
    """
    from grainsmith.classify.rules import read_rules
    from grainsmith.models.registry import load_model

    if recipe.classify.rules not in ("", "library"):
        read_rules(recipe.classify.rules)
    if recipe.clean.min_confidence > 1:
        raise MismatchError("clean.min_confidence must lie in 0..1")
    load_model(recipe.segment.model, device=recipe.segment.device)


def _version_fault(version: Any) -> str:
    if version is None:
        return f"it states no version; the first line must be 'recipe: {VERSION}'"
    if type(version) is not int:
        return f"its version must be a whole number, got {version!r}"
    if version < VERSION:
        return (
            f"it is a recipe of version {version}, older than version {VERSION} which this "
            "Grainsmith reads: copy your values into a new one"
        )
    if version > VERSION:
        return (
            f"it is a recipe of version {version}, newer than version {VERSION} which this "
            "Grainsmith reads: update Grainsmith"
        )
    return ""


def _with_absolute_paths(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with absolute paths, because copies are kept with the results."""
    rules, model = recipe.classify.rules, recipe.segment.model
    if rules not in ("", "library"):
        rules = str((folder / rules).resolve())
    if (folder / model).is_file():
        model = str((folder / model).resolve())
    return replace(
        recipe,
        classify=replace(recipe.classify, rules=rules),
        segment=replace(recipe.segment, model=model),
    )


def _section_lines(settings: Any) -> list[str]:
    docs = attribute_docs(type(settings))
    lines: list[str] = []
    values: Mapping[str, Any] = asdict(settings)
    for name, value in values.items():
        lines += _comment(docs.get(name, ""), 2)
        lines.append(f"  {name}: {_scalar(value)}")
    return lines


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _comment(text: str, indent: int) -> list[str]:
    start = " " * indent + "# "
    return textwrap.wrap(text, 98, initial_indent=start, subsequent_indent=start)
