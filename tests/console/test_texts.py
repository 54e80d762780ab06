"""The table of texts: complete in both languages, and neither more nor less than the console uses."""

from __future__ import annotations

import re

from facenapi.console.files import FOLDER

LANGUAGES = ("en", "ru")
SOURCES = {path: path.read_text("utf-8") for path in sorted(FOLDER.rglob("*.js"))}
# Texts whose last word comes out of an answer of the API, or out of another list.
CYRILLIC = "[\u0410-\u044f]"
MADE = r"(preset|emotion|quality|status|error)\."


def entries() -> dict[str, str]:
    """Return what stands behind each key."""
    table = SOURCES[FOLDER / "texts.js"]
    return dict(re.findall(r'^  "([a-z.-]+)": \{ (.*) \},$', table, re.MULTILINE))


def forms(entry: str, language: str) -> list[str]:
    """Return the texts of a language: one, or one for each form of a number."""
    found = re.search(rf'\b{language}: (?:"((?:[^"\\]|\\.)*)"|\{{ (.*?) \}}(?=,| |$))', entry)
    assert found, entry
    return [found[1]] if found[1] is not None else re.findall(r'\w+: "((?:[^"\\]|\\.)*)"', found[2])


def test_every_text_is_there_in_both_languages_and_says_the_same_things():
    table = entries()
    assert len(table) > 250
    assert len(table) == SOURCES[FOLDER / "texts.js"].count(": { en: ")
    for key, entry in table.items():
        texts = {language: forms(entry, language) for language in LANGUAGES}
        for language, found in texts.items():
            assert found, key
            assert all(found), f"{key} has no text in {language}"
        # A form for one may leave the number out.
        named = [set(re.findall(r"\{(\w+)\}", " ".join(found))) for found in texts.values()]
        assert named[0] == named[1], key
        assert len(texts["en"]) in (1, 2)
        assert len(texts["ru"]) == (1 if len(texts["en"]) == 1 else 4) or key == "detect.age", key
        if not key.startswith("preset."):
            assert re.search(CYRILLIC, " ".join(texts["ru"])), f"{key} is not Russian"


def test_what_is_used_is_in_the_table_and_the_other_way_round():
    table = entries()
    code = "\n".join(text for path, text in SOURCES.items() if path.name != "texts.js")
    asked = set(re.findall(r'\bt\("([a-z.-]+)"', code))
    assert asked <= set(table)
    quoted = set(re.findall(r'"([a-z.-]+)"', code))
    unused = {key for key in table if key not in quoted and not re.match(MADE, key)}
    assert unused == set()


def test_no_text_stands_in_the_code():
    """What a person reads is in the table: a literal with a capital and a blank would be a sentence."""
    for path, text in SOURCES.items():
        if path.name in ("texts.js", "api.js"):
            continue
        lines = [line for line in text.splitlines() if not re.match(r"\s*(//|\*|/\*)", line)]
        sentences = re.findall(r'"([A-Z][a-z]+ [^"]*)"', "\n".join(lines))
        assert sentences == [], path
