"""What scores mean beside those of the controls, in a sentence.

In: scores by task. Out: a sentence for each control that is as good as the model.
"""

from __future__ import annotations

from collections.abc import Mapping

from .tasks import CONTROLS

DECISIVE = ("msa", "ap")
"""The scores that a model must have higher than a control."""


def about_controls(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Name the controls that a model does not beat.

    Args:
        scores: By task and control, the values by metric; ``msa`` at least.

    Returns:
        A sentence for each control that is not worse than the model in its task, by ``msa`` or
        ``ap``.

    >>> about_controls({"ais": {"msa": 0.5}, "otsu": {"msa": 0.6}, "li_watershed": {"msa": 0.4}})
    ['The model does not beat the control otsu in the task ais: msa 0.500 against 0.600.']
    """
    sentences = []
    for control, task in CONTROLS.items():
        if control not in scores or task not in scores:
            continue
        model, other = (
            {name: float(values[name]) for name in DECISIVE if name in values}
            for values in (scores[task], scores[control])
        )
        lost = [
            f"{name} {model[name]:.3f} against {other[name]:.3f}"
            for name in DECISIVE
            if name in model and name in other and model[name] <= other[name]
        ]
        if lost:
            sentences.append(
                f"The model does not beat the control {control} in the task {task}: "
                f"{', '.join(lost)}."
            )
    return sentences
