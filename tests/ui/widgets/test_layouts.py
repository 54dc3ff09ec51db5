"""Layouts: sections that grow, pages of which one takes up space."""

import pytest

pytest.importorskip("qtpy")

from qtpy.QtWidgets import QComboBox, QLabel, QWidget

from grainsmith.ui.widgets.controls import combo_box, fill_combo
from grainsmith.ui.widgets.layouts import Collapsible, pages_of, rows


def test_collapsible_grows_with_its_content(qtbot):
    text = QLabel("one line")
    section = Collapsible("More", text)
    block = rows((None, section))
    qtbot.addWidget(block)
    block.show()
    section.expand()
    text.setText("\n".join(["many lines"] * 30))
    needed = 30 * text.fontMetrics().lineSpacing()
    qtbot.waitUntil(lambda: text.height() >= needed)
    section.collapse()
    assert section.content().height() == 0 or section.content().maximumHeight() == 0


def test_only_the_chosen_page_is_visible(qtbot):
    choice, pages = QComboBox(), [QWidget(), QWidget()]
    choice.addItems(["a", "b"])
    block = pages_of(choice, *pages)
    qtbot.addWidget(block)
    assert [page.isHidden() for page in pages] == [False, True]
    choice.setCurrentIndex(1)
    assert [page.isHidden() for page in pages] == [True, False]


@pytest.mark.parametrize(
    ("preferred", "expected"), [(("c",), "c"), (("x", "b"), "b"), ((), "a"), (("x",), "a")]
)
def test_filled_combo_box_selects_what_is_preferred(qtbot, preferred, expected):
    combo = combo_box("tip")
    qtbot.addWidget(combo)
    fill_combo(combo, [(text, text.upper()) for text in "abc"], *preferred)
    assert (combo.currentText(), combo.currentData()) == (expected, expected.upper())
    combo.setCurrentIndex(2)
    fill_combo(combo, [(text, text.upper()) for text in "abc"], *preferred)
    assert combo.currentText() == expected
