"""Units of measure, as factors of each measure's first unit: "90 min" is "1.5 h".

General knowledge only; months and years are a measure of their own, because they are not a fixed number of days.
"""

from __future__ import annotations

from simllm.skills.time_units import MONTHS, SECONDS

MEASURES: tuple[dict[str, float], ...] = (
    SECONDS,
    MONTHS,
    {"metre": 1, "meter": 1, "m": 1, "km": 1000, "kilometre": 1000, "kilometer": 1000, "cm": 0.01, "centimetre": 0.01, "centimeter": 0.01, "mm": 0.001, "mile": 1609.344, "mi": 1609.344, "foot": 0.3048, "feet": 0.3048, "ft": 0.3048, "inch": 0.0254, "yard": 0.9144},
    {"gram": 1, "g": 1, "kg": 1000, "kilo": 1000, "kilogram": 1000, "mg": 0.001, "milligram": 0.001, "lb": 453.59237, "pound": 453.59237, "ounce": 28.349523, "oz": 28.349523, "ton": 1e6, "tonne": 1e6, "t": 1e6},
    {"litre": 1, "liter": 1, "l": 1, "ml": 0.001, "millilitre": 0.001, "milliliter": 0.001, "cl": 0.01},
    {"byte": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kilobyte": 1e3, "megabyte": 1e6, "gigabyte": 1e9, "terabyte": 1e12},
    {"m2": 1, "m²": 1, "sqm": 1},
    {"hectare": 1, "ha": 1, "acre": 0.40468564},
    {"watt": 1, "w": 1, "kw": 1e3, "kilowatt": 1e3, "mw": 1e6},
    {"kwh": 1, "mwh": 1e3},
)  # fmt: skip
_SINGULAR = {"feet": "foot", "inches": "inch", "hrs": "h", "mins": "min", "secs": "s", "lbs": "lb", "kilos": "kilo"}


def unit_name(word: str) -> str:
    """A unit as the tables spell it: lower case, singular."""
    word = _SINGULAR.get(word.lower(), word.lower())
    if any(word in measure for measure in MEASURES):
        return word
    return word.removesuffix("s")


def measure_of(word: str) -> dict[str, float] | None:
    """The table that a unit stands in; None for any other word."""
    name = unit_name(word)
    return next((measure for measure in MEASURES if name in measure), None)
