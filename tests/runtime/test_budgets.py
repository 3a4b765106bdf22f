"""The list of budgets for people is the list in the code."""

import ast

from samzoo.runtime import budgets


def test_the_document_lists_every_budget_with_its_value(repository):
    tree = ast.parse((repository / "runtime" / "budgets.py").read_text(encoding="utf-8"))
    expected = []
    for node, described in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(node, ast.Assign):
            name = ast.unparse(node.targets[0])
            text = " ".join(ast.literal_eval(described.value).split())
            expected.append(f"| `{name}` | {getattr(budgets, name)} | {text} |")
    document = (repository / "docs" / "limits.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in document if line.startswith("| `")] == expected
