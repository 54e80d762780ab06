"""A runtime that is there and does not load is told from one that is not there."""

import sys

import pytest

from facenapi.errors import StartupError
from facenapi.process import onnx_runtime


def test_what_keeps_it_from_loading_is_said(tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text('raise ImportError("version `GLIBCXX_3.4.32\' not found")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    with pytest.raises(StartupError, match=r"does not load: version `GLIBCXX_3\.4\.32' not found"):
        onnx_runtime.load()
