"""Where photos and their metas come from."""

import errno
import os
import socket
from pathlib import Path

import pytest

from facenapi.errors import StartupError
from facenapi.mass_enroll import metas, sources, tables


def found(*places, warnings=None):
    return list(sources.find_photos(map(str, places), [].append if warnings is None else warnings.append))


def make(folder, *names):
    for name in names:
        path = Path(os.fsdecode(os.fsencode(str(folder)) + b"/" + os.fsencode(name)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_are_searched_by_name(tmp_path):
    make(
        tmp_path,
        "b.jpg",
        "a.JPEG",
        "notes.txt",
        "deep/c.png",
        "deep/er/d.webp",
        "e.jfif",
        "f.jpe",
        "g.HEIC",
        "h.avif",
    )
    names = [photo.relative_to(tmp_path).as_posix() for photo in found(tmp_path)]
    assert names == ["a.JPEG", "b.jpg", "e.jfif", "f.jpe", "g.HEIC", "h.avif", "deep/c.png", "deep/er/d.webp"]
    assert found(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(StartupError, match="there is no such file"):
        found(tmp_path / "none")


def test_what_is_no_photo_of_the_users_is_left_alone(tmp_path):
    make(tmp_path, "a.jpg", ".hidden.jpg", "._a.jpg", ".git/b.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg")
    make(tmp_path, "#recycle/c.jpg", "__MACOSX/d.jpg", b"caf\xe9.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.jpg"))
        assert [os.fsencode(photo.name) for photo in found(tmp_path)] == [b"a.jpg", b"caf\xe9.jpg"]
        assert [photo.name for photo in found(tmp_path / "*.jpg")] == ["a.jpg", "caf\udce9.jpg"]
        with pytest.raises(StartupError, match="neither a file nor a folder"):
            found(tmp_path / "socket.jpg")
    # What is named is meant.
    assert found(tmp_path / "@eaDir")[0].name == "SYNOPHOTO_THUMB_M.jpg"
    assert found(tmp_path / ".hidden.jpg") == [tmp_path / ".hidden.jpg"]


def test_patterns(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", "b.jpeg", "notes.txt", "sub/c.jpg", "sub/deep/d.jpg", "sub/@eaDir/e.jpg", "[1].jpg")
    monkeypatch.chdir(tmp_path)
    assert found("*.jpg") == [Path("[1].jpg"), Path("a.jpg")]
    assert found("**/*.jpg", "**/*.jpeg") == [
        Path("[1].jpg"), Path("a.jpg"), Path("sub/c.jpg"), Path("sub/deep/d.jpg"), Path("b.jpeg")
    ]  # fmt: skip
    assert found("sub/@eaDir/*.jpg") == [Path("sub/@eaDir/e.jpg")]
    assert found(f"{tmp_path}/*") == [tmp_path / "[1].jpg", tmp_path / "a.jpg", tmp_path / "b.jpeg"]
    assert found("[1].jpg", "a.jpg", ".") == [Path("[1].jpg"), Path("a.jpg"), Path("b.jpeg"), Path("sub/c.jpg"),
                                              Path("sub/deep/d.jpg")]  # fmt: skip
    with pytest.raises(StartupError, match=r"\*\.png: no photo matches"):
        found("*.png")


def test_a_folder_that_is_closed_is_named(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", "closed/b.jpg")
    scandir = os.scandir

    def closed(path):  # nothing is closed to root, who may run this
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", closed)
    warnings = []
    assert found(tmp_path, warnings=warnings) == [tmp_path / "a.jpg"]
    assert warnings == [f"{tmp_path}/closed: Permission denied; left out"]


def test_a_fifo_that_took_the_place_of_a_photo_is_an_error_and_no_wait(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(OSError, match="no regular file"):
        sources.read_file(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(StartupError, match="cannot be read"):
        metas.companion("txt")(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("pattern", "name", "meta"),
    [
        (".+", "Sam Berry.jpg", "Sam Berry"),
        (r"(?P<meta>[^_]+)_(\d+)", "Sam_12.jpg", "Sam"),
        (r"\d+_(?P<meta>.+)", "7_Sam.jpg", "Sam"),
        (r"_(\d+)$", "Sam_12.jpg", "12"),
        (r"\d+", "Sam_12.jpg", "12"),
        (r"\d+", "Sam.jpg", None),
        (".+", "Zoe\u0308.jpg", "Zo\u00eb"),
        ("ë.*", "Zoe\u0308 B.jpg", "ë B"),
        (".+", "caf\udce9.jpg", "caf\ufffd"),
        ("_(.*)", "a_  .jpg", None),
    ],
)
def test_a_file_name_gives_the_meta(pattern, name, meta):
    assert metas.file_name(pattern)(Path("folder") / name) == meta


def test_a_bad_pattern():
    with pytest.raises(StartupError, match="no regular expression"):
        metas.file_name("(")


def test_a_companion_gives_its_first_line(tmp_path):
    rule = metas.companion(".txt")
    (tmp_path / "sam.txt").write_text("\ufeffSam Bérry \nmore\n", encoding="utf-8")
    assert rule(tmp_path / "sam.jpg") == "Sam Bérry"
    assert rule(tmp_path / "ann.jpg") is None
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(StartupError, match="UTF-8"):
        rule(tmp_path / "bad.jpg")


def test_a_table(tmp_path):
    table = tmp_path / "list.csv"
    table.write_text('photo, meta,galleries,cam_id\nsam.jpg,"Berry, Sam",  ,\n\nhttp://h/x.jpg,X,"a,b",c1\n')
    assert list(tables.read_table(table)) == [
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
        (b"photo,galery\nsam.jpg,a\n", r"list.csv: galery: there is no such parameter \(did you mean galleries\?\)"),
        (b"photo,Meta\nsam.jpg,a\n", r"Meta: there is no such parameter \(did you mean meta\?\)"),
        (b"photo,shoe size\nsam.jpg,a\n", "shoe size: there is no such parameter; there are age, bbox,"),
        (b"photo,meta,meta\nsam.jpg,a,b\n", "a column is there twice"),
        (b"photo\n\xff\xff\n", "UTF-8"),
        (b'photo\n"open\n', "cannot be read as CSV"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, content, complaint):
    table = tmp_path / "list.csv"
    table.write_bytes(content)
    with pytest.raises(StartupError, match=complaint):
        list(tables.read_table(table))


def test_rows_of_meta_and_image(tmp_path, monkeypatch):
    """As the original had them; paths are relative to the table, or else to where one is."""
    table = tmp_path / "tables" / "meta.csv"
    make(tmp_path, "tables/a.jpg", "here/a.jpg", "here/b.jpg", "here/e\u0301.jpg", "here/other.jpg")
    table.write_text('"Fry, Phillip",a.jpg\nLeela,b.jpg\n  ,e\u0301.jpg\nZoe\u0308,\u00e9.jpg\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path / "here")
    rule = metas.listed(tables.read_metas(table))
    assert rule(tmp_path / "tables" / "a.jpg") == "Fry, Phillip"
    assert rule(Path("a.jpg")) == "Fry, Phillip"
    assert (rule(Path("b.jpg")), rule(Path("other.jpg"))) == ("Leela", "")
    assert rule(Path("e\u0301.jpg")) == ""  # the first row of a photo counts, though its meta is only blanks
    table.write_text("Leela;b.jpg\nFry\n")
    with pytest.raises(StartupError, match=r"meta.csv:2: a row must be meta;image"):
        tables.read_metas(table, ";")
