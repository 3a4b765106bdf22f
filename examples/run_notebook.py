"""Run a notebook's code cells in this process and store their outputs in the notebook.

    python examples/run_notebook.py examples/nuclei.ipynb

Needs neither Jupyter nor a kernel, since a notebook is JSON and its code cells are Python. A cell's
last expression is its output: pictures as JPEG, all else as text. The tests run the same function,
so the notebook in the repository works.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any


def run(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Run all code cells in order, in one namespace.

    Returns:
        The outputs of each code cell, as the notebook format (version 4) holds them.

    Raises:
        Exception: Whatever a cell raises.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    found = []
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, start=1):
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(tree, f"cell {number}", "exec"), names)
            value = None
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
        outputs: list[dict[str, Any]] = []
        if printed.getvalue():
            lines = printed.getvalue().splitlines(keepends=True)
            outputs.append({"name": "stdout", "output_type": "stream", "text": lines})
        if value is not None:
            outputs.append({
                "data": _shown(value), "execution_count": number, "metadata": {},
                "output_type": "execute_result",
            })  # fmt: skip
        found.append(outputs)
    return found


def _shown(value: Any) -> dict[str, Any]:
    text = {"text/plain": [repr(value) if not hasattr(value, "save") else "<picture>"]}
    if not hasattr(value, "_repr_jpeg_"):
        return text
    return {"image/jpeg": base64.b64encode(value._repr_jpeg_()).decode(), **text}


def main(path: Path) -> None:
    """Run a notebook and write it back with its outputs."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, (cell, outputs) in enumerate(zip(cells, run(notebook), strict=True), start=1):
        cell["execution_count"], cell["outputs"] = number, outputs
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/run_notebook.py NOTEBOOK.ipynb")
    main(Path(sys.argv[1]))
