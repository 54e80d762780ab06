"""Where photos and their metas come from."""

from pathlib import Path

import pytest

from facenapi.errors import StartupError
from facenapi.mass_enroll import sources


def test_folders_are_searched_by_name(tmp_path):
    for name in ("b.jpg", "a.JPEG", "notes.txt", "deep/c.png", "deep/er/d.webp", "deep/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [photo.relative_to(tmp_path).as_posix() for photo in sources.find_photos([tmp_path])]
    assert found == ["a.JPEG", "b.jpg", "deep/c.png", "deep/er/d.webp"]
    assert list(sources.find_photos([tmp_path / "notes.txt"])) == [tmp_path / "notes.txt"]
    with pytest.raises(StartupError, match="there is no such file"):
        list(sources.find_photos([tmp_path / "none"]))


@pytest.mark.parametrize(
    ("pattern", "name", "meta"),
    [
        (".+", "Sam Berry.jpg", "Sam Berry"),
        (r"(?P<meta>[^_]+)_(\d+)", "Sam_12.jpg", "Sam"),
        (r"\d+_(?P<meta>.+)", "7_Sam.jpg", "Sam"),
        (r"_(\d+)$", "Sam_12.jpg", "12"),
        (r"\d+", "Sam_12.jpg", "12"),
        (r"\d+", "Sam.jpg", None),
    ],
)
def test_a_file_name_gives_the_meta(pattern, name, meta):
    assert sources.file_name(pattern)(Path("folder") / name) == meta


def test_a_bad_pattern():
    with pytest.raises(StartupError, match="no regular expression"):
        sources.file_name("(")


def test_a_companion_gives_its_first_line(tmp_path):
    rule = sources.companion(".txt")
    (tmp_path / "sam.txt").write_text("\ufeffSam Bérry \nmore\n", encoding="utf-8")
    assert rule(tmp_path / "sam.jpg") == "Sam Bérry"
    assert rule(tmp_path / "ann.jpg") is None
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(StartupError, match="UTF-8"):
        rule(tmp_path / "bad.jpg")


def test_a_table(tmp_path):
    table = tmp_path / "list.csv"
    table.write_text('photo,meta,galleries,cam_id\nsam.jpg,"Berry, Sam",,\nhttp://h/x.jpg,X,"a,b",c1\n')
    assert list(sources.read_table(table)) == [
        {"photo": str(tmp_path / "sam.jpg"), "meta": "Berry, Sam"},
        {"photo": "http://h/x.jpg", "meta": "X", "galleries": "a,b", "cam_id": "c1"},
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"name,meta\nsam.jpg,Sam\n", "one of them is photo"),
        (b"", "one of them is photo"),
        (b"photo,meta\nsam.jpg,Sam,more\n", "list.csv:2: no photo, or more cells"),
        (b"photo,meta\n,Sam\n", "list.csv:2: no photo"),
        (b"photo\n\xff\xff\n", "UTF-8"),
        (b'photo\n"open\n', "cannot be read as CSV"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, content, complaint):
    table = tmp_path / "list.csv"
    table.write_bytes(content)
    with pytest.raises(StartupError, match=complaint):
        list(sources.read_table(table))
