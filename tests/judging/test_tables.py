"""numpy arrays and pandas frames cross as columns of plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.judging.two_sides import TwoSides

ARRAYS = [
    np.arange(6).reshape(2, 3)[:, ::2],
    np.array(5.0),
    np.array([], dtype=np.int8),
    np.array(["a", "long text"]),
    np.array([1, 2], dtype=">u2"),
    np.array(["2026-01-01", "NaT"], dtype="datetime64[D]"),
    np.array([True, False]),
    np.array([1 + 2j]),
    np.float32(1.5),
    np.datetime64("2026-01-01T12:00"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=repr)
def test_arrays_keep_their_dtype_shape_and_values(sides: TwoSides, array: Any) -> None:
    got = sides.there_and_back(array)
    assert type(got) is type(array) and got.dtype == array.dtype and got.shape == array.shape
    np.testing.assert_array_equal(got, array)


def test_arrays_of_objects_cross_item_by_item(sides: TwoSides) -> None:
    array = np.array([[None, "a"], [1, (2, 3)]], dtype=object)
    assert sides.there_and_back(array).tolist() == array.tolist()


def test_an_array_is_changed_in_place(sides: TwoSides) -> None:
    sides.define("def halve(values):\n    values /= 2\n    return values")
    values = np.array([2.0, 4.0])
    assert sides["halve"](values) is values
    np.testing.assert_allclose(values, [1.0, 2.0])


FRAME = pd.DataFrame(
    {
        "n": [1, 2, 3],
        "f": [0.5, np.nan, 2.0],
        "text": ["a", None, "c"],
        "when": pd.to_datetime(["2026-01-01", "NaT", "2026-01-03"]),
        "zoned": pd.to_datetime(["2026-01-01", "2026-01-02", "NaT"]).tz_localize("UTC"),
        "kind": pd.Categorical(["x", "y", "x"], categories=["y", "x"], ordered=True),
        "whole": pd.array([1, None, 3], dtype="Int64"),
    },
    index=pd.Index(["r", "s", "t"], name="row"),
)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME[["n", "text"]].iloc[:0],
        FRAME.reset_index(drop=True),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        FRAME.groupby("kind", observed=False)[["n"]].agg(["sum", "max"]),
        pd.DataFrame(),
    ],
    ids=["all kinds", "no rows", "plain index", "two columns of one name", "multi-index", "nothing"],
)
def test_frames_keep_dtypes_index_and_missing_values(sides: TwoSides, frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(sides.there_and_back(frame), frame)


def test_series_and_indexes_cross(sides: TwoSides) -> None:
    pd.testing.assert_series_equal(sides.there_and_back(FRAME["f"]), FRAME["f"])
    pd.testing.assert_index_equal(sides.there_and_back(FRAME.index), FRAME.index)
    assert sides.there_and_back(pd.Timestamp("2026-01-01", tz="UTC")) == pd.Timestamp("2026-01-01", tz="UTC")
    assert sides.there_and_back([pd.NA, pd.NaT]) == [pd.NA, pd.NaT] or sides.there_and_back(pd.NaT) is pd.NaT


def test_a_frame_is_changed_in_place(sides: TwoSides) -> None:
    sides.define("def clean(frame):\n    frame.loc[1, 'n'] = 2.0\n    frame['twice'] = frame['n'] * 2")
    frame = pd.DataFrame({"n": [1.0, None, 3.0]})
    sides["clean"](frame)
    assert frame["twice"].tolist() == [2.0, 4.0, 6.0]
