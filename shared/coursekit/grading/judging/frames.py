"""pandas' DataFrame, Series and Index as columns of arrays. pandas is only used where it is imported already."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from coursekit.grading.judging.decoding import Decoder
    from coursekit.grading.judging.encoding import Encoder


def encode(value: Any, encoder: Encoder, depth: int) -> dict[str, Any] | None:
    """A frame, series or index as data; None for any other value."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if isinstance(value, pandas.DataFrame):
        encoder.containers.append(value)
        columns = [_column(value.iloc[:, place], encoder, depth) for place in range(value.shape[1])]
        labels = [_index(axis, encoder, depth) for axis in (value.index, value.columns)]
        return {"$": "frame", "labels": labels, "v": columns}
    if isinstance(value, pandas.Series):
        encoder.containers.append(value)
        name = encoder.encode(value.name, depth + 1)
        return {
            "$": "series",
            "labels": [_index(value.index, encoder, depth)],
            "name": name,
            "v": _column(value, encoder, depth),
        }
    if isinstance(value, pandas.Index):
        return {"$": "index", "v": _index(value, encoder, depth)}
    if isinstance(value, pandas.Timestamp):
        return {"$": "timestamp", "v": value.isoformat(), "unit": value.unit}
    return {"$": "missing", "v": type(value).__name__} if value is pandas.NA or value is pandas.NaT else None


def decode(data: dict[str, Any], decoder: Decoder, depth: int) -> Any:
    """What `encode` wrote."""
    import pandas

    made: Any
    place = len(decoder.containers)
    if data["$"] in ("frame", "series"):
        decoder.containers.append(None)
    match data["$"]:
        case "timestamp":
            return pandas.Timestamp(str(data["v"])[:100]).as_unit(data["unit"])
        case "missing":
            return pandas.NaT if data["v"] == "NaTType" else pandas.NA
        case "index":
            return _read_index(data["v"], decoder, depth)
        case "frame":
            columns = [_read_column(column, decoder, depth) for column in data["v"]]
            rows, names = (_read_index(labels, decoder, depth) for labels in data["labels"])
            made = pandas.DataFrame(dict(enumerate(columns)), index=rows)
            made.columns = names
        case _:
            name = decoder.decode(data["name"], depth + 1)
            column = _read_column(data["v"], decoder, depth)
            made = pandas.Series(column, index=_read_index(data["labels"][0], decoder, depth), name=name)
    decoder.containers[place] = made
    return made


def restore(old: Any, new: Any) -> None:
    """Give a frame or series the contents of another, in place."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(old, (pandas.DataFrame, pandas.Series)) and type(old) is type(new):
        old._update_inplace(new)
        if isinstance(old, pandas.Series):
            old.name = new.name


def _column(value: Any, encoder: Encoder, depth: int) -> dict[str, Any]:
    if isinstance(value.dtype, np.dtype):
        return {"dtype": "", "v": encoder.encode(np.array(value), depth + 1)}
    if str(value.dtype) == "category":
        values = getattr(value, "cat", value)
        codes, kinds = encoder.encode(np.array(values.codes), depth + 1), _index(values.categories, encoder, depth)
        return {"dtype": "category", "codes": codes, "kinds": kinds, "ordered": bool(values.ordered)}
    items = [None if missing else item for item, missing in zip(value.tolist(), value.isna(), strict=True)]
    return {"dtype": str(value.dtype), "v": encoder.encode(items, depth + 1)}


def _read_column(data: dict[str, Any], decoder: Decoder, depth: int) -> Any:
    import pandas

    if data["dtype"] == "category":
        codes = decoder.decode(data["codes"], depth + 1)
        kinds = _read_index(data["kinds"], decoder, depth)
        return pandas.Categorical.from_codes(codes, categories=kinds, ordered=bool(data["ordered"]))
    values = decoder.decode(data["v"], depth + 1)
    return pandas.array(values, dtype=str(data["dtype"])[:100]) if data["dtype"] else values


def _index(value: Any, encoder: Encoder, depth: int) -> dict[str, Any]:
    import pandas

    names = encoder.encode(tuple(value.names), depth + 1)
    if isinstance(value, pandas.RangeIndex):
        return {"names": names, "range": [value.start, value.stop, value.step]}
    if isinstance(value, pandas.MultiIndex):
        levels = [_column(value.get_level_values(place), encoder, depth) for place in range(value.nlevels)]
        return {"names": names, "levels": levels}
    return {"names": names, "v": _column(value, encoder, depth)}


def _read_index(data: dict[str, Any], decoder: Decoder, depth: int) -> Any:
    import pandas

    names = decoder.decode(data["names"], depth + 1)
    if "range" in data:
        return pandas.RangeIndex(range(*(int(part) for part in data["range"])), name=names[0])
    if "levels" in data:
        levels = [_read_column(level, decoder, depth) for level in data["levels"]]
        return pandas.MultiIndex.from_arrays(levels, names=names)
    return pandas.Index(_read_column(data["v"], decoder, depth), name=names[0])
