"""The networks of a package, computed with onnxruntime, on the CPU unless asked otherwise.

In: the bytes of the three ONNX files. Out: ``OnnxNetworks``, which a ``Model`` runs. Each session
is made when it is first needed: prompts need no AIS decoder, and AIS needs no mask decoder. A graph
is compared with its contract before onnxruntime sees it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.dependencies import import_onnxruntime
from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.arrays import Array, Float4D
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import AIS_DECODER, ENCODER, MASK_DECODER

from .graph_contract import INPUTS, MULTIMASK_INPUT, OUTPUTS, check_graph
from .interruption import stoppable
from .memory_pool import share_memory
from .networks import MULTIMASK_OUTPUT
from .providers import (
    CPU,
    Provider,
    check_optional_inputs,
    check_provider,
    require_in_use,
    session_providers,
)

EXTERNAL_DATA_FOLDER = "session.model_external_initializers_file_folder_path"
"""A setting of onnxruntime, for models that are loaded from bytes."""


class OnnxNetworks:
    """The networks of a package, computed with onnxruntime; see ``networks.Networks``.

    Sessions are made from bytes, so that a graph cannot refer to files beside it.
    """

    def __init__(
        self,
        read: Callable[[str], bytes],
        config: ModelConfig,
        *,
        where: Callable[[str], str] = "the {} graph".format,
        threads: int | None = None,
        provider: str = CPU,
        shared_memory: bool = True,
    ) -> None:
        """Prepare the sessions.

        Args:
            read: Returns the bytes of a role's ONNX file.
            config: Config of the model that the graphs belong to.
            where: Names a role's file in messages.
            threads: CPU threads of one operator; None leaves the number to onnxruntime (all
                cores).
            provider: A name from ``providers.PROVIDERS``.
            shared_memory: Let all sessions of the process share a pool of memory, which stays as
                large as their largest run; else each session's memory ends with it.

        Raises:
            InputError: ``threads`` is below 1, or there is no such provider.
            MissingDependencyError: This onnxruntime does not have the provider.
        """
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, got {threads}")
        self._read = read
        self._config = config
        self._where = where
        self._threads = threads
        self._provider = check_provider(provider)
        self._shared_memory = shared_memory
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()

    def encode(self, image: Array, factors: Mapping[str, Array] | None = None) -> Float4D:
        """See ``Networks``; ``factors`` are an adapter's, for an encoder that takes them."""
        feed = {"input_image": np.ascontiguousarray(image, dtype=np.float32), **(factors or {})}
        result: Float4D = self._run(ENCODER, feed)[0]
        return result

    def factor_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Return the shapes of the encoder's LoRA inputs by name; None stands for the rank."""
        return self._optional_inputs(ENCODER)

    def decode_prompts(
        self,
        image_embeddings: Float4D,
        point_coords: NDArray[np.float32],
        point_labels: NDArray[np.float32],
        mask_input: Float4D | None,
        *,
        multimask_output: bool | None = None,
    ) -> tuple[NDArray[np.float32], Float4D]:
        """See ``Networks``."""
        has_mask_input = np.array([mask_input is not None], np.float32)
        side = self._config.mask_side
        if mask_input is None:
            mask_input = np.zeros((1, 1, side, side), np.float32)
        feed = {
            "image_embeddings": image_embeddings,
            "point_coords": point_coords,
            "point_labels": point_labels,
            "mask_input": mask_input,
            "has_mask_input": has_mask_input,
            # The runtime draws masks from low_res_masks, only where they are needed. The graph
            # always draws them too; a size of one row costs next to nothing.
            "orig_im_size": np.array([1, side], np.float32),
        }
        if multimask_output is not None:
            self._require_multimask()
            feed[MULTIMASK_INPUT] = np.array([MULTIMASK_OUTPUT[multimask_output]], np.float32)
        _, iou, low_res = self._run(MASK_DECODER, feed)
        return iou, low_res

    def decode_ais(self, image_embeddings: Float4D) -> Float4D:
        """See ``Networks``."""
        result: Float4D = self._run(AIS_DECODER, {"image_embeddings": image_embeddings})[0]
        return result

    def _require_multimask(self) -> None:
        if MULTIMASK_INPUT not in self._optional_inputs(MASK_DECODER):
            raise InputError(
                f"the {MASK_DECODER} graph of this package has no input {MULTIMASK_INPUT!r}, which "
                "the modes amg and apg need; export the model again with this version of samzoo"
            )

    def _optional_inputs(self, role: str) -> dict[str, tuple[int | None, ...]]:
        """Return the shapes of the optional inputs by name; None stands for a free side."""
        return {
            value.name: tuple(size if isinstance(size, int) else None for size in value.shape)
            for value in self._session(role).get_overridable_initializers()
        }

    def _run(self, role: str, feed: dict[str, Array]) -> list[Any]:
        check_optional_inputs(self._provider, feed.keys() - set(INPUTS[role]), role=role)
        session = self._session(role)
        options = import_onnxruntime().RunOptions()
        try:
            with stoppable(options):
                result: list[Any] = session.run(list(OUTPUTS[role]), feed, options)
        except Exception as error:  # onnxruntime's error classes share no public base
            raise FormatError(f"{self._where(role)}: failed while running ({error})") from error
        return result

    def _session(self, role: str) -> Any:
        with self._lock:
            if role not in self._sessions:
                graph, where = self._read(role), self._where(role)
                check_graph(graph, role, self._config, where=where)
                self._sessions[role] = _make_session(
                    role,
                    graph,
                    self._threads,
                    self._provider,
                    where,
                    shared_memory=self._shared_memory,
                )
            return self._sessions[role]


def _make_session(
    role: str,
    graph: bytes,
    threads: int | None,
    provider: Provider,
    where: str,
    *,
    shared_memory: bool,
) -> Any:
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, so they need not be logged
    # onnxruntime would read external weights from the working folder; this points at no folder.
    options.add_session_config_entry(EXTERNAL_DATA_FOLDER, os.devnull)
    # Memory patterns plan a second run's memory beside the first run's: a ViT-B encoder held 2.4
    # GB instead of 1.6 GB and was not faster. DirectML refuses them.
    options.enable_mem_pattern = False
    if shared_memory:
        share_memory(options)
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(
            graph,
            options,
            providers=session_providers(provider, threads),
            enable_fallback=0,  # else it prints a provider's error and starts on the CPU
        )
    except Exception as error:  # onnxruntime's error classes share no public base
        on = "" if provider == CPU else f" for provider {provider!r}"
        raise FormatError(f"{where}: not a usable ONNX model{on} ({error})") from error
    require_in_use(session, provider)
    # onnxruntime keeps the bytes so that it can start again with other providers.
    session._model_bytes = None
    found = (
        tuple(value.name for value in session.get_inputs()),
        tuple(value.name for value in session.get_outputs()),
    )
    if found != (INPUTS[role], OUTPUTS[role]):
        raise FormatError(
            f"{where}: inputs and outputs: found {found}, expected {(INPUTS[role], OUTPUTS[role])}"
        )
    return session
