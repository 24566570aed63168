"""Names of languages behind their ISO 639-1 codes: general knowledge, for fields that take such a code."""

from __future__ import annotations

LANGUAGES = dict(
    pair.split("=")
    for pair in [
        "ar=arabic",
        "bg=bulgarian",
        "cs=czech",
        "da=danish",
        "de=german",
        "el=greek",
        "en=english",
        "es=spanish",
        "et=estonian",
        "fi=finnish",
        "fr=french",
        "ga=irish",
        "he=hebrew",
        "hi=hindi",
        "hr=croatian",
        "hu=hungarian",
        "id=indonesian",
        "is=icelandic",
        "it=italian",
        "ja=japanese",
        "ko=korean",
        "lt=lithuanian",
        "lv=latvian",
        "nl=dutch",
        "no=norwegian",
        "pl=polish",
        "pt=portuguese",
        "ro=romanian",
        "ru=russian",
        "sk=slovak",
        "sl=slovenian",
        "sr=serbian",
        "sv=swedish",
        "th=thai",
        "tr=turkish",
        "uk=ukrainian",
        "vi=vietnamese",
        "zh=chinese",
    ]
)
CODES = {name: code for code, name in LANGUAGES.items()}
