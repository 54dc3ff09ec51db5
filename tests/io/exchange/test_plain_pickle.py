import collections
import contextlib
import io
import pathlib
import pickle
import struct

import numpy as np
import pytest

from grainsmith.errors import ReadError
from grainsmith.io.exchange import import_fields
from grainsmith.io.exchange.plain_pickle import load_plain


def _header():
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "|O", "fortran_order": False, "shape": ()}
    )
    return content.getvalue()


HEADER = _header()
VALUES = {
    "none": None,
    "numbers": [1, -2, 3.5, 2**40, True],
    "text": "Körner",
    "bytes": b"\0\xff",
    "tuple": (1, (2, 3), ()),
    "nested": {"a": [{"b": []}]},
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_in_every_protocol(protocol):
    assert load_plain(pickle.dumps(VALUES, protocol)) == VALUES


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=">u2").reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.array([True, False]),
        np.zeros((0, 3), np.int32),
        np.array(7, np.uint16),
    ],
)
def test_arrays_in_every_protocol(array, protocol):
    back = load_plain(pickle.dumps({"a": array, "again": array}, protocol))
    np.testing.assert_array_equal(back["a"], array)
    np.testing.assert_array_equal(back["again"], array)


def test_scalars_and_arrays_of_objects():
    content = {"a": np.float32(0.5), "b": np.array([[1, 2], None], dtype=object)}
    back = load_plain(pickle.dumps(content))
    assert back["a"] == 0.5
    assert back["b"].tolist() == [[1, 2], None]
    assert load_plain(pickle.dumps({"a": pathlib.PurePosixPath("x/y")})) == {"a": "x/y"}


class _Call:
    def __reduce__(self):
        return (print, ("harm",))


@pytest.mark.parametrize(
    "value", [_Call(), collections.Counter("a"), print, {1, 2}, 1j, _Call], ids=repr
)
def test_anything_else_is_refused(value, capsys):
    try:
        back = load_plain(pickle.dumps({"a": value}))
    except ValueError:
        pass
    else:  # a name is read as text
        assert isinstance(back["a"], str)
    assert "harm" not in capsys.readouterr().out


def _text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def test_state_of_a_class_is_never_set(tmp_path):
    masks = np.zeros((20, 20), np.uint16)
    masks[3:9, 3:9] = 1
    plain = pickle.dumps({"masks": masks}, 2)
    # GLOBAL pathlib.PosixPath, state (None, {"_str": ...}), BUILD: sets an attribute of the class.
    crafted = b"cpathlib\nPosixPath\n(N}" + _text("_str") + _text("/victim") + b"stb0"
    path = tmp_path / "evil_seg.npy"
    path.write_bytes(HEADER + plain[:2] + crafted + plain[2:])
    before = dict(vars(pathlib.PurePosixPath)), dict(vars(pathlib.PosixPath))
    with pytest.raises(ReadError, match="sets the state of something that is not an array"):
        import_fields(path, trust_pickle=True)
    assert (dict(vars(pathlib.PurePosixPath)), dict(vars(pathlib.PosixPath))) == before


@pytest.mark.parametrize("seed", range(40))
def test_damaged_pickles_raise_read_errors_only(tmp_path, seed):
    rng = np.random.default_rng(seed)
    raw = bytearray(pickle.dumps({"a": np.arange(30), **VALUES}, int(rng.integers(0, 6))))
    for position in rng.integers(0, len(raw), 4):
        raw[position] = rng.integers(0, 256)
    path = tmp_path / "a_seg.npy"
    path.write_bytes(HEADER + bytes(raw[: rng.integers(1, len(raw))]))
    with contextlib.suppress(ReadError):
        import_fields(path, trust_pickle=True)
