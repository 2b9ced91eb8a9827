"""scripts/fuzz: a few cases of the parts that start commands, in a new process, because they fork."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from fuzzing.main import run_part
verdicts = run_part(sys.argv[1], range(int(sys.argv[2])), seed=2)
sys.exit(any(verdict.fault for verdict in verdicts))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
@pytest.mark.parametrize(("part", "count"), [("commands", 12), ("corpora", 4), ("kills", 1), ("disks", 2)])
def test_a_few_cases_have_no_fault(part: str, count: int) -> None:
    command = [sys.executable, "-c", CODE, part, str(count)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
