"""The choice of the attention blocks of an encoder that a method adapts.

Blocks are counted from 0 over the whole encoder: those of a ViT, or those of a TinyViT that have
attention (its first stage has none). The settings of a method have the field ``blocks``: None for
all blocks, sorted indices, or ``late``.
"""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.families.encoder import EncoderConfig
from samzoo.runtime.formats.families.table import family_of

from .checks import SECTION

Late = Literal["late"]
LATE: Late = "late"
"""The last half of the blocks, but at most the last six.

Source: Teuber et al., PEFT-SAM (MIDL 2025), appendix A (the last 50 % of ViT-B), and Tables 6 and
7, whose counts for ViT-L and ViT-H are those of six blocks as well.
"""

MOST_LATE_BLOCKS = 6

Blocks = tuple[int, ...] | Late | None
"""Values of the field ``blocks``."""


@runtime_checkable
class InBlocks(Protocol):
    """The settings of a method that adapts chosen blocks."""

    @property
    def blocks(self) -> Blocks:
        """The chosen blocks; see the docstring of this module."""


def block_names(config: EncoderConfig) -> list[str]:
    """List the modules of all attention blocks, for example ``blocks.3``, in their order."""
    names: list[str] = family_of(config).block_names(config)
    return names


def check_blocks(value: Blocks) -> None:
    """Check ``blocks`` as far as is possible without the encoder.

    Raises:
        FormatError: There are no indices, or they are negative, not sorted, or not different.
    """
    if value is None or value == LATE:
        return
    if value and value[0] >= 0 and list(value) == sorted(set(value)):
        return
    raise FormatError(
        f"{SECTION}.blocks: allowed is null (all blocks), {LATE!r}, or a sorted list of different "
        f"block indices from 0, found {shown(list(value))}"
    )


def chosen_blocks(config: EncoderConfig, value: Blocks) -> list[int]:
    """Turn a checked ``blocks`` into indices.

    Args:
        config: The image encoder.
        value: None, ``late``, or indices.

    Returns:
        Sorted indices of at least one block.

    Raises:
        FormatError: The encoder has no block with such an index.
    """
    count = len(block_names(config))
    if value is None:
        return [*range(count)]
    if isinstance(value, str):  # late
        return [*range(count - min(max(count // 2, 1), MOST_LATE_BLOCKS), count)]
    if value[-1] >= count:
        raise FormatError(
            f"blocks: this image encoder has blocks 0 to {count - 1}, found {value[-1]}"
        )
    return list(value)


def chosen_names(config: EncoderConfig, value: Blocks) -> list[str]:
    """List the modules of the blocks that a checked ``blocks`` names; see ``chosen_blocks``."""
    names = block_names(config)
    return [names[index] for index in chosen_blocks(config, value)]
