"""File dialogs that start in the folder of the data at hand."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

_PROPERTY = "grainsmith_start_folder"


def set_start_folder(widget: QWidget, folder: str) -> None:
    """Let the dialogs of a widget and its children start in a folder; "" = where Qt likes."""
    widget.setProperty(_PROPERTY, folder)


def start_folder_of(widget: QWidget) -> str:
    """Return the folder in which the dialogs of a widget start, "" without one."""
    ancestor: QWidget | None = widget
    while ancestor is not None:
        folder = ancestor.property(_PROPERTY)
        if folder is not None:
            return str(folder) if Path(folder).is_dir() else ""
        ancestor = ancestor.parentWidget()
    return ""


def ask_file_to_open(parent: QWidget, title: str, kinds: str = "All files (*)") -> str:
    """Ask for an existing file; "" = cancelled.

    Parameters
    ----------
    parent : QWidget
    title : str
    kinds : str
        Filters such as "Tables (*.csv *.xlsx);;All files (*)".
    """
    path, _ = QFileDialog.getOpenFileName(parent, title, start_folder_of(parent), kinds)
    return str(path)


def ask_files_to_open(parent: QWidget, title: str, kinds: str = "All files (*)") -> list[str]:
    """Ask for one or several existing files; an empty list = cancelled."""
    paths, _ = QFileDialog.getOpenFileNames(parent, title, start_folder_of(parent), kinds)
    return list(paths)


def ask_file_to_save(parent: QWidget, title: str, name: str, kinds: str = "All files (*)") -> str:
    """Ask where to save a file, with a proposed name; "" = cancelled."""
    proposed = str(Path(start_folder_of(parent)) / name)
    path, _ = QFileDialog.getSaveFileName(parent, title, proposed, kinds)
    return str(path)


def ask_folder(parent: QWidget, title: str) -> str:
    """Ask for a folder; "" = cancelled."""
    return str(QFileDialog.getExistingDirectory(parent, title, start_folder_of(parent)))
