"""File dialogs start in the folder of the nearest ancestor that has one."""

from pathlib import Path

import pytest

pytest.importorskip("qtpy")

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from grainsmith.ui.widgets.file_dialogs import (
    ask_file_to_open,
    ask_file_to_save,
    ask_files_to_open,
    ask_folder,
    set_start_folder,
    start_folder_of,
)


@pytest.fixture
def widgets(qtbot):
    parent, child = QWidget(), QWidget()
    QVBoxLayout(parent).addWidget(child)
    qtbot.addWidget(parent)
    return parent, child


@pytest.fixture
def asked(monkeypatch):
    """Record the folder or file in which each dialog starts, and cancel it."""
    asked = []

    def record(result):
        def dialog(_parent, _title, start, *_kinds):
            asked.append(start)
            return result

        return dialog

    monkeypatch.setattr(QFileDialog, "getOpenFileName", record(("", "")))
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", record(([], "")))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", record(("", "")))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", record(""))
    return asked


def test_dialogs_start_in_the_folder_of_an_ancestor(widgets, asked, tmp_path):
    parent, child = widgets
    set_start_folder(parent, str(tmp_path))
    assert ask_file_to_open(child, "Open") == ""
    assert ask_files_to_open(child, "Open") == []
    assert ask_folder(child, "Folder") == ""
    assert ask_file_to_save(child, "Save", "grains.csv") == ""
    assert asked == [str(tmp_path)] * 3 + [str(tmp_path / "grains.csv")]


def test_own_folder_comes_before_that_of_the_parent(widgets, tmp_path):
    parent, child = widgets
    set_start_folder(parent, str(tmp_path))
    (tmp_path / "own").mkdir()
    set_start_folder(child, str(tmp_path / "own"))
    assert Path(start_folder_of(child)) == tmp_path / "own"


def test_missing_folder_is_not_used(widgets, asked, tmp_path):
    _, child = widgets
    assert start_folder_of(child) == ""
    set_start_folder(child, str(tmp_path / "deleted"))
    assert start_folder_of(child) == ""
    ask_file_to_save(child, "Save", "grains.csv")
    assert asked == ["grains.csv"]
