import os
import sys
import time

import pytest

from grainsmith.errors import WriteError
from grainsmith.io.files import atomic_write as module
from grainsmith.io.files.atomic_write import atomic_folder, atomic_write

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and links")


@posix
def test_permissions_are_kept(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o600)
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


@posix
def test_links_are_followed(tmp_path):
    target = tmp_path / "disk" / "real.txt"
    target.parent.mkdir()
    target.write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_abandoned_temporary_files_are_removed(tmp_path):
    dead, young, alive = (
        tmp_path / f".a-{pid}-abcdefgh.txt" for pid in (2**22 + 7, 2**22 + 8, os.getpid())
    )
    other = tmp_path / ".hidden.txt"
    for file in (dead, young, alive, other):
        file.write_text("half")
    old = time.time() - 7200
    for file in (dead, alive, other):
        os.utime(file, (old, old))
    module._remove_abandoned.cache_clear()
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert {file.name for file in tmp_path.iterdir()} == {
        "a.txt", young.name, alive.name, other.name
    }  # fmt: skip


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    target = tmp_path / "set"
    with pytest.raises(ZeroDivisionError), atomic_folder(target) as temporary:
        (temporary / "a.txt").write_text(str(1 / 0))
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(target) as temporary:
        (temporary / "a.txt").write_text("whole")
    assert (target / "a.txt").read_text() == "whole"
    with pytest.raises(WriteError, match="not empty"), atomic_folder(target):
        pass
