"""The examples in the documentation run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs/protocols/signal.md"


def test_the_examples_run_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    names: dict[str, Any] = {}

    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)

    assert len(examples) == 3
    assert "Decrypted message: Hello Alice!" in capsys.readouterr().out
