"""Print figures about the code of nmt/ and tokenizers/: modules, configuration keys, lines, and sizes of functions.

The body of a function counts without its signature and docstring. "Used once" are private functions whose name occurs
at most once as a name or an attribute.
"""

import ast
import statistics
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Function = ast.FunctionDef | ast.AsyncFunctionDef
Used = ast.Name | ast.Attribute


def run_script() -> int:
    files = sorted(file for folder in ("nmt", "tokenizers") for file in (ROOT / folder).rglob("*.py"))
    sources = [file.read_text(encoding="utf-8") for file in files]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    functions = [node for node in nodes if isinstance(node, Function)]
    uses = Counter(node.id if isinstance(node, ast.Name) else node.attr for node in nodes if isinstance(node, Used))
    private = [node.name for node in functions if node.name.startswith("_") and not node.name.startswith("__")]
    once = [name for name in private if uses[name] <= 1]
    lengths = sorted(map(count_lines, functions))
    schema = "".join((ROOT / "nmt/config" / name).read_text(encoding="utf-8") for name in ("corpus.py", "schema.py"))
    sections = [node for node in ast.parse(schema).body if isinstance(node, ast.ClassDef) and node.name != "Config"]
    keys = [node for section in sections for node in section.body if isinstance(node, ast.AnnAssign)]
    print(f"modules at the top of nmt/   {len(list((ROOT / 'nmt').glob('*.py')))}")
    print(f"configuration keys           {len(keys)}")
    print(f"lines                        {sum(source.count(chr(10)) for source in sources):,}")
    print(f"functions                    {len(functions):,}")
    median, long = statistics.median(lengths), lengths[int(0.95 * len(lengths))]
    print(f"  median, 95 %, longest      {median:.0f}, {long}, {lengths[-1]}")
    print(f"  private and used once      {len(once)} ({len(once) / len(functions):.1%})")
    return 0


def count_lines(function: Function) -> int:
    """Lines of the body, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0
