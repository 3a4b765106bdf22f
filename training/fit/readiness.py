"""The checks of a training run that need no torch, so that a mistake is told at once.

In: what ``train`` was given. Out: nothing, or an error. ``loop.py`` makes these checks before it
imports torch, and the command line before it reads any image.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.dependencies import require_installed
from samzoo.runtime.errors import InputError, NotFoundError, OutputExistsError
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.folders import CONFIG_FILE, WEIGHTS_FILE
from samzoo.runtime.formats.outputs import is_temporary
from samzoo.runtime.formats.tensor_files import TensorFile
from samzoo.training.config import TrainConfig
from samzoo.training.methods import get_method
from samzoo.training.methods.method import FROZEN_SHARE

from .validation import possible_tasks
from .warm_start import Beginning, beginning

LAST = "checkpoints/last.safetensors"
"""The checkpoint of a run's last whole step, from which it resumes."""

PREVIOUS = "checkpoints/previous.safetensors"
"""The checkpoint before that one, from which the run resumes if the last is damaged."""

CACHE = "cache"
"""The folder of what a run can compute again."""


def check_settings(
    *,
    base: Path,
    method: str,
    config: TrainConfig,
    output: Path,
    resume: bool,
    start: Path | None = None,
) -> tuple[ModelConfig, Beginning | None]:
    """Check everything about a run except its images.

    Args:
        base: As in ``train``.
        method: As in ``train``.
        config: As in ``train``.
        output: As in ``train``.
        resume: As in ``train``.
        start: As in ``train``.

    Returns:
        The base's config, and the adapter that the run begins from.

    Raises:
        OutputExistsError: ``output`` holds a run and ``resume`` is false.
        NotFoundError: There is nothing to resume, or the base is missing.
        FormatError: A hyperparameter is unknown or out of range, or the base is damaged.
        InputError: The method is unknown, a setting would not be used, or the adapter to start from
            has another base, method, hyperparameters or AIS decoder.
        MissingDependencyError: A package that training needs is not installed.
    """
    if output.exists() and not resume and not _is_empty(output):
        raise OutputExistsError(f"{output}: exists already; resume it or choose another folder")
    if resume and not any((output / name).is_file() for name in (LAST, PREVIOUS)):
        raise NotFoundError(f"{output / LAST}: no such file; there is no run to resume")
    row = get_method(method)
    settings = row.settings(config.hyperparameters, where="config")
    possible_tasks(config)
    base_config = ModelConfig.read(base / CONFIG_FILE)
    TensorFile(base / WEIGHTS_FILE)  # reads the header alone
    row.resolved(settings, base_config.architecture)
    _refuse_unused(config, base_config, base, method)
    begin = None
    if start is not None:
        begin = beginning(start, base=base, base_config=base_config, method=method, config=config)
    require_installed("torch", extra="train")
    require_installed("lightning_fabric", extra="train")
    if row.quantized is not None:
        require_installed("bitsandbytes", extra="qlora")
    return base_config, begin


def _is_empty(output: Path) -> bool:
    """Tell whether a folder holds no run, as where a full disk took not even its first checkpoint.

    What a killed process was writing does not count, nor what can be computed again.
    """
    return output.is_dir() and not any(
        path.is_file() and not is_temporary(path)
        for path in output.rglob("*")
        if path.relative_to(output).parts[0] != CACHE
    )


def _refuse_unused(config: TrainConfig, base_config: ModelConfig, base: Path, method: str) -> None:
    """Refuse settings that this run would not use, where they differ from the defaults."""
    defaults = TrainConfig()
    if get_method(method).frozen and config.freeze_encoder_after != defaults.freeze_encoder_after:
        raise InputError(
            f"freeze_encoder_after: found {config.freeze_encoder_after}, but the method {method} "
            "never trains the encoder; omit it"
        )
    row = get_method(method)
    share = row.frozen_share(
        row.settings(config.hyperparameters, where="config"), base_config.architecture
    )
    unused = share < FROZEN_SHARE and config.freeze_encoder_after >= 1
    if unused and config.cached_crops != defaults.cached_crops:
        raise InputError(
            f"cached_crops: found {config.cached_crops}, but the method {method} trains the "
            f"encoder before its middle (from {share:.0%} of its blocks on), so that nothing is "
            "cached; omit it"
        )
    changed = {
        name: value for name, value in vars(config).items() if value != getattr(defaults, name)
    }
    no_corrections = {
        name: changed[name]
        for name in ("learned_rounds", "corrections_after", "mask_prob")
        if name in changed
    }
    if config.n_sub_iteration == 1:
        for name, found in no_corrections.items():
            raise InputError(
                f"{name}: found {found}, but n_sub_iteration is 1, and a step without "
                "corrections does not use it; omit it, or raise n_sub_iteration"
            )
    if config.corrections_after == 1:
        for name, found in no_corrections.items():
            if name != "corrections_after":
                raise InputError(
                    f"{name}: found {found}, but corrections_after is 1, so that no step has "
                    "corrections; omit it, or lower corrections_after"
                )
    if config.ais_decoder is None:
        for setting in ("ais_learning_rate", "ais"):
            if setting in changed:
                raise InputError(
                    f"{setting}: found {changed[setting]}, but the model gets no AIS decoder; "
                    "omit it"
                )
    if config.validation_objects and set(possible_tasks(config)) == {"ais"}:
        raise InputError(
            f"validation_objects: found {config.validation_objects}, but no task of validation "
            "prompts objects; omit it, or name point or box in validation_tasks"
        )
    if config.learned_rounds > config.n_sub_iteration:
        raise InputError(
            f"learned_rounds: found {config.learned_rounds}, allowed are 0 to n_sub_iteration, "
            f"which is {config.n_sub_iteration}"
        )
    own, wanted = base_config.architecture.ais_decoder, config.ais_decoder
    if own is not None and wanted not in (None, own, defaults.ais_decoder):
        raise InputError(
            f"ais_decoder: found {wanted}, but the base {base} has its own AIS decoder, which "
            f"training continues: {own}; omit ais_decoder, or choose another base"
        )
