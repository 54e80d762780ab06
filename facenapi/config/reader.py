"""Configuration: an INI file, the environment and the command line, read by the table in ``options.py``.

Files of the original server load unchanged: no section header is needed, values may be quoted strings,
True or False, numbers or products such as ``(3600*24*7)``. Nothing in a file is ever executed.
"""

from __future__ import annotations

import ast
import difflib
import operator
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any

from facenapi.config.environment import read_environment
from facenapi.config.options import TABLE, Config

DEFAULT_PATH = Path("/etc/findface-facenapi.ini")
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h

# Options of the original that have no counterpart: accepted with a warning, so that its files load.
RETIRED = {
    "detector": "the model pack names its detector",
    "nnd_workers": "see threads",
    "dlib_max_size": "there is no dlib detector",
    "facen_storage": "embeddings are kept with the faces",
    "extractor": "the model pack names its embedder",
    "decoder": "there is one decoder",
    "plugins_dirs": "there are no plugins",
    "plugins_enabled": "there are no plugins",
}

_BOOLEANS = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


class ConfigError(Exception):
    """One or more mistakes; ``lines`` has one sentence for each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class _Setting:
    """A value as it was written and where, ``facenapi.ini:12`` or ``command line``."""

    where: str
    name: str
    text: str


def load(
    arguments: Sequence[str], default_path: Path = DEFAULT_PATH, environment: Mapping[str, str] | None = None
) -> tuple[Config, list[str]]:
    """Return the configuration of a command line, and warnings to log.

    ``arguments`` holds ``--config=PATH`` and ``--option=value``, or the two as separate words; an option that is
    True or False may stand alone and means True. The command line wins over the environment (the process's own, if
    none is given), and that over the file. Without ``--config`` and FACENAPI_CONFIG the default file is read if there
    is one.

    Raises:
        ConfigError: with all mistakes of the file, the environment and the command line.
    """
    found, errors = read_environment(os.environ if environment is None else environment, [*TABLE, *RETIRED, "config"])
    said, more = _read_arguments(arguments)
    settings, errors = [*(_Setting(*one) for one in found), *said], errors + more
    path, explicit = default_path, False
    for setting in [s for s in settings if s.name == "config"]:
        path, explicit = Path(setting.text), True
        settings.remove(setting)
    read = explicit or path.exists()
    if read:
        from_file, file_errors = _read_file(path)
        settings, errors = from_file + settings, file_errors + errors
    values, more, warnings = _convert(settings)
    if errors or more:
        raise ConfigError(errors + more)
    sources = {setting.name: setting.where for setting in settings if setting.name in values}
    return Config(**values, given=frozenset(values), sources=sources, file=str(path) if read else ""), warnings


def joined(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--option value`` of a server's option as ``--option=value``.

    >>> joined(["check", "--config", "a.ini", "--gae", "store", "--short"])
    ['check', '--config=a.ini', '--gae', 'store', '--short']
    """
    words: list[str] = []
    for word in arguments:
        if words and not word.startswith("--") and _wants(words[-1], word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def _wants(option: str, value: str) -> bool:
    """Whether an option takes the word behind it as its value; one that may stand alone takes true and false only."""
    name = option.removeprefix("--").replace("-", "_")
    if not option.startswith("--") or name not in {"config", *TABLE, *RETIRED}:
        return False
    return name in RETIRED or _needs_value(name) or value.lower() in _BOOLEANS


def _needs_value(name: str) -> bool:
    return name == "config" or (name in TABLE and not isinstance(TABLE[name].default, bool))


def _read_arguments(arguments: Sequence[str]) -> tuple[list[_Setting], list[str]]:
    settings, errors = [], []
    for argument in joined(arguments):
        match = re.fullmatch(r"--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", argument, re.DOTALL)
        if match is None:
            errors.append(f"command line: {argument}: options are written --name=value")
            continue
        name, text = match[1].replace("-", "_"), match[2]
        if text is None and _needs_value(name):
            errors.append(f"command line: {argument}: a value is missing: --{name}=value")
        else:
            settings.append(_Setting("command line", name, "true" if text is None else text))
    return settings, errors


def _read_file(path: Path) -> tuple[list[_Setting], list[str]]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the file is not UTF-8 text"
        return [], [f"{path}: cannot be read: {reason}"]
    settings: list[_Setting] = []
    errors: list[str] = []
    seen: dict[str, int] = {}
    for number, raw in enumerate(content.splitlines(), start=1):
        where, line = f"{path}:{number}", raw.strip()
        if not line or line[0] in "#;" or re.fullmatch(r"\[[^\]]*\]\s*([#;].*)?", line):
            continue
        match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_-]*)\s*[=:]\s*(.*)", line)
        if match is None:
            # The beginning of the first word only, here and below no value: it may be a secret.
            word = re.split(r"(?<=.)[\s=:]", line, maxsplit=1)[0]
            errors.append(f"{where}: {word[:60]}: lines are written name = value")
            continue
        name = match[1].replace("-", "_")
        if name in seen:
            errors.append(f"{where}: {name}: is set already in line {seen[name]}")
        seen.setdefault(name, number)
        text = _without_comment(match[2])
        if _is_text(name) and text[:1] in ("'", '"') and (len(text) == 1 or text[-1] != text[0]):
            errors.append(f"{where}: {name}: the quotation mark at the beginning of the value has none at the end")
        settings.append(_Setting(where, name, text))
    return settings, errors


def _is_text(name: str) -> bool:
    return name in TABLE and isinstance(TABLE[name].default, str)


def _without_comment(text: str) -> str:
    """Cut a comment that follows a value: ``#`` or ``;`` after a blank, outside of quotes.

    >>> _without_comment("'a # b'  # note")
    "'a # b'"
    """
    quote = ""
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and text[position - 1] != "\\" else quote
        elif letter in "'\"" and position == 0:
            quote = letter
        elif letter in "#;" and (position == 0 or text[position - 1].isspace()):
            return text[:position].rstrip()
    return text.rstrip()


def _convert(settings: Sequence[_Setting]) -> tuple[dict[str, Any], list[str], list[str]]:
    values: dict[str, Any] = {}
    errors, warnings = [], []
    for setting in settings:
        if setting.name in RETIRED:
            warnings.append(f"{setting.where}: {setting.name} has no effect here: {RETIRED[setting.name]}")
        elif setting.name not in TABLE:
            close = difflib.get_close_matches(setting.name.lower(), [*TABLE, "config"], n=1)
            if setting.name == "config":
                close = ["--config=PATH on the command line"]
            hint = f" (did you mean {close[0]}?)" if close else ""
            errors.append(f"{setting.where}: {setting.name}: there is no such option{hint}")
        else:
            field = TABLE[setting.name]
            try:
                values[setting.name] = _value(field, setting.text)
            except (ValueError, ArithmeticError):
                # Out of a file that may hold secrets, or with user:password@.
                secret = setting.where.endswith("_FILE") or "@" in setting.text
                shown = f", not {setting.text[:60]}" if setting.text and not secret else ""
                errors.append(f"{setting.where}: {setting.name}: must be {allowed(field)}{shown}")
    return values, errors, warnings


def _value(field: Field[Any], text: str) -> Any:
    """Return a typed value of an option; ValueError if the text is none."""
    kind: type = type(field.default)
    literal = _literal(text)
    if kind is bool:
        return literal if isinstance(literal, bool) else _boolean(str(literal))
    if kind is str:
        value: Any = literal if isinstance(literal, str) else text
        if "\0" in value:
            raise ValueError(text)
        if field.metadata["form"]:
            field.metadata["form"][1](value)
    else:
        if isinstance(literal, bool) or not isinstance(literal, int | float):
            raise ValueError(text)
        if kind is int and literal != int(literal):
            raise ValueError(text)
        value = kind(literal)
        low, high = field.metadata["low"], field.metadata["high"]
        if not (low is None or value >= low) or not (high is None or value <= high):
            raise ValueError(text)
    choices = field.metadata["choices"]
    if choices is not None:
        value = next((choice for choice in choices if choice.lower() == value.lower()), None)
        if value is None:
            raise ValueError(text)
    return value


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError(text)
    return _BOOLEANS[text.lower()]


def _literal(text: str) -> Any:
    """Return the string, number or boolean that a text spells, else the text itself."""
    if not text or len(text) > 4096:
        return text
    try:
        return _evaluate(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text


def _evaluate(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str() | bool() | int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _ARITHMETIC[type(op)](_number(left), _number(right))
    raise ValueError("neither a string nor a number")


def _number(node: ast.expr) -> int | float:
    value = _evaluate(node)
    # The bound keeps a chain of products from growing without end.
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e30:
        raise ValueError("not a number")
    return value


def allowed(field: Field[Any]) -> str:
    """Say in a phrase what values an option takes."""
    low, high, choices = (field.metadata[key] for key in ("low", "high", "choices"))
    if choices:
        return "one of " + ", ".join(choices)
    if field.metadata["form"]:
        return str(field.metadata["form"][0])
    kind = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}[type(field.default)]
    if low is not None and high is not None:
        return f"{kind} from {low:.15g} to {high:.15g}"
    return f"{kind} of at least {low:.15g}" if low is not None else kind
