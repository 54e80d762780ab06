"""The table of options as text."""

from __future__ import annotations

from facenapi.config.options import TABLE, Config
from facenapi.config.reader import load
from facenapi.config.text import help_text, sample_file


def test_help_has_every_option_with_its_default():
    text = help_text()
    for name, field in TABLE.items():
        assert f"  --{name}={field.default}\n" in text


def test_the_sample_file_loads_to_the_defaults(tmp_path):
    path = tmp_path / "sample.ini"
    path.write_text(sample_file())
    assert load([f"--config={path}"])[0] == Config()
    lines = [line[1:] if line[:1] == "#" and line[1:2].isalpha() else line for line in sample_file().splitlines()]
    path.write_text("\n".join(lines))
    config, warnings = load([f"--config={path}"])
    assert config.given == set(TABLE)
    assert (warnings, [getattr(config, name) for name in TABLE]) == ([], [f.default for f in TABLE.values()])
