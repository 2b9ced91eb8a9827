"""docs/tutorial.md: every command runs as printed, and the model is as good as the page says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tutorial(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "runs").mkdir()
    shell = {"cwd": tmp_path, "check": True, "capture_output": True, "text": True}
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    outputs = []
    for language, block in re.findall(r"^```(sh|yaml|python)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        if language == "yaml":
            (tmp_path / "runs" / "tutorial.yaml").write_text(block, encoding="utf-8")
        else:
            command = ["bash", "-ec", block] if language == "sh" else [sys.executable, "-c", block]
            outputs.append(subprocess.run(command, env=environment, **shell).stdout)  # type: ignore[call-overload]
    *_, translations, scores, python = outputs
    assert len(translations.splitlines()) == 1 + 2 * 5
    (bleu,) = re.findall(r"^BLEU +([\d.]+) ", scores, re.MULTILINE)
    (expected,) = re.findall(r"BLEU should be above (\d+)", PAGE)
    assert float(bleu) > float(expected)
    assert python.strip()
