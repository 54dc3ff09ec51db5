"""Forms of settings dataclasses."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

pytest.importorskip("napari")

from grainsmith.ui.widgets.settings_form import Form, attribute_docs, label_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of an example.

    Attributes
    ----------
    min_area_px : int
        Smaller loaves are
        thrown away.
    diameter_um, height_um : float
        Of the loaf.
    rate : float
        Learning.
    kind : str
        Of flour.
    """

    min_area_px: int = 15
    diameter_um: float = 0.0
    height_um: float = field(default=1.0, metadata={"tooltip": "How high", "max": 2.0})
    rate: float = field(default=1e-5, metadata={"step": 1e-6, "folded": True})
    kind: Literal["rye", "wheat"] = "rye"
    secret: int = field(default=3, metadata={"hidden": True})

    def __post_init__(self):
        if self.min_area_px < 0:
            raise ValueError(f"min_area_px must be 0 or more, got {self.min_area_px}")


@pytest.fixture
def form(qtbot):
    widget = Form(Settings)
    qtbot.addWidget(widget)
    return widget


def test_untouched_form_gives_the_defaults(form):
    assert form.settings() == Settings()


def test_large_and_tiny_values_are_returned(form):
    form["min_area_px"].value = 123_456
    form["rate"].value = 3e-6
    form["kind"].value = "wheat"
    assert form.settings() == Settings(min_area_px=123_456, rate=3e-6, kind="wheat")


def test_labels_and_tooltips_come_from_the_class(form):
    assert form["min_area_px"].label == "Min area (px)"
    assert form["min_area_px"].tooltip == "Smaller loaves are thrown away."
    assert form["diameter_um"].tooltip == "Of the loaf."
    assert form["height_um"].tooltip == "How high"


def test_hidden_settings_have_a_value_and_no_row(form):
    assert "secret" not in {row.name for row in form}
    assert form.settings(secret=9).secret == 9


def test_showing_other_settings_sends_one_signal(form, qtbot):
    sent = []
    form.changed.connect(lambda: sent.append(form.settings()))
    expected = Settings(min_area_px=1, diameter_um=2.0, kind="wheat")
    form.show_settings(expected)
    assert sent == [expected]


def test_contradictory_values_raise(form):
    form["min_area_px"].min = -10
    form["min_area_px"].value = -1
    with pytest.raises(ValueError, match="min_area_px must be 0 or more, got -1"):
        form.settings()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("min_area_um2", "Min area (µm²)"),
        ("pixel_size_um", "Pixel size (µm)"),
        ("overlap_pct", "Overlap (%)"),
        ("model", "Model"),
    ],
)
def test_label_of(name, label):
    assert label_of(name) == label


def test_attribute_docs_of_a_class_without_any():
    assert attribute_docs(object) == {}


def test_attribute_docs_stop_at_the_next_section():
    class Thing:
        """A thing.

        Attributes
        ----------
        a : int
            First.

        Notes
        -----
        b : not an attribute
            At all.
        """

    assert attribute_docs(Thing) == {"a": "First."}


def test_choices_are_shown_by_their_texts(qtbot):
    form = Form(Settings, choice_texts={"kind": {"rye": "dark", "wheat": "light"}})
    qtbot.addWidget(form)
    assert form["kind"].native.currentText() == "dark"
    form["kind"].value = "wheat"
    assert form["kind"].native.currentText() == "light"
    assert form.settings().kind == "wheat"
