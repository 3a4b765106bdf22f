"""What an installation contains."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
PARTS = {name: ROOT / folder for name, folder in SETUPTOOLS["package-dir"].items()}


def test_every_package_folder_is_listed():
    found = [
        ".".join((part, *init.parent.relative_to(folder).parts))
        for part, folder in PARTS.items()
        for init in folder.rglob("__init__.py")
    ]
    assert sorted(found) == SETUPTOOLS["packages"]


def test_every_folder_with_code_is_a_package():
    code = {path.parent for folder in PARTS.values() for path in folder.rglob("*.py")}
    assert [folder for folder in sorted(code) if not (folder / "__init__.py").is_file()] == []


def test_every_part_says_that_it_is_typed():
    assert [name for name, folder in PARTS.items() if not (folder / "py.typed").is_file()] == []


def test_every_other_file_of_a_part_is_package_data():
    globs = SETUPTOOLS["package-data"]
    for part, folder in PARTS.items():
        listed = {
            path for pattern in (*globs["*"], *globs.get(part, ())) for path in folder.glob(pattern)
        }
        others = {p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
        assert sorted(others - listed) == [], f"not in package-data of {part}"


def test_a_plain_installation_does_not_ask_for_torch():
    names = " ".join(PYPROJECT["project"]["dependencies"])
    assert "torch" not in names
    assert "segment-anything" not in names
