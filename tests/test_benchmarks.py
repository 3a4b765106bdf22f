"""What benchmarks take from inside of samzoo is still there; they themselves are not run here."""

import runpy
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_the_steps_that_the_cold_start_times_exist():
    script = runpy.run_path(str(BENCHMARKS / "cold_start.py"))
    for place, name, _ in script["STEPS"]:
        assert callable(getattr(script["locate"](place), name))
