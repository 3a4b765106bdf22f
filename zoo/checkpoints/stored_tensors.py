"""Tensors of a PyTorch file: its pickle describes them, its bytes hold their values.

In: the descriptions of tensors in a file's pickle. Out: ``StoredTensor``, checked to lie inside the
file, and the values as arrays.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, StorageError, shown
from samzoo.runtime.formats.arrays import Tensors

from .pickle_machine import Name, Placeholder, call

MAX_DIMENSIONS = 16
"""Largest number of dimensions. A SAM's tensors have up to four."""

DTYPES = {
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Double": "float64",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
}
"""The names of torch's storage classes, without ``Storage`` at the end, and their dtypes."""


class Place(NamedTuple):
    """Where bytes start in the file, and their CRC-32 if it is known."""

    start: int
    crc: int | None = None


@dataclass(frozen=True)
class Storage:
    """Values in the file: how many, of which dtype, and where they start.

    The places are looked up by key, since the older format stores them after the tensors.
    """

    key: str
    dtype: str
    count: int
    places: Mapping[str, Place] = field(repr=False, compare=False)

    @property
    def item_size(self) -> int:
        """Bytes of one value."""
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return self.count * self.item_size


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in the file: a view of a storage, checked to lie inside it.

    Attributes:
        shape: Sizes of its axes.
        strides: Number of values between neighbours along each axis.
        offset: Position of its first value in the storage.
    """

    storage: Storage
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @property
    def dtype(self) -> str:
        """The dtype's name in torch."""
        return self.storage.dtype

    @property
    def nbytes(self) -> int:
        """Bytes that its values take in memory."""
        return math.prod(self.shape) * self.storage.item_size


def load_tensors(stored: Mapping[str, StoredTensor], path: Path) -> Tensors:
    """Read the values of tensors.

    Args:
        stored: From ``read_torch_file``.
        path: The file they come from.

    Returns:
        Arrays by name, in the file's order and dtypes; bfloat16, which NumPy lacks, as float32.

    Raises:
        FormatError: The tensors claim more bytes than the file holds, or the file is damaged.
        StorageError: The file cannot be read.
    """
    # Tensors are views: a few bytes can claim to be billions of values (stride 0). A tensor with
    # two names (tied weights) is read once.
    claimed, size = sum(tensor.nbytes for tensor in {*stored.values()}), path.stat().st_size
    if claimed > size:
        raise FormatError(f"{path}: its tensors claim {claimed} bytes, the file holds {size}")
    tensors: Tensors = {name: np.empty(0) for name in stored}
    read: dict[StoredTensor, NDArray[Any]] = {}
    last: tuple[Storage | None, NDArray[Any]] = None, np.empty(0)
    ordered = sorted(stored.items(), key=lambda item: (item[1].storage.key, item[1].dtype))
    try:
        with path.open("rb") as file:
            for name, tensor in ordered:
                if tensor not in read:
                    if last[0] != tensor.storage:
                        last = tensor.storage, _values(tensor.storage, file, path)
                    read[tensor] = _view(last[1], tensor)
                tensors[name] = read[tensor]
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    return tensors


def _values(storage: Storage, file: IO[bytes], path: Path) -> NDArray[Any]:
    place, size = storage.places[storage.key], storage.nbytes
    file.seek(place.start)
    data = file.read(size)
    if len(data) != size or (place.crc is not None and zlib.crc32(data) != place.crc):
        raise FormatError(
            f"{path}: damaged: the values of the storage {shown(storage.key, limit=40)} have "
            "another checksum than was written; fetch the file again"
        )
    if storage.dtype == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    if storage.dtype == "bool":
        flags: NDArray[Any] = np.frombuffer(data, np.uint8) != 0
        return flags
    return np.frombuffer(data, np.dtype(storage.dtype).newbyteorder("<"))


def _view(values: NDArray[Any], tensor: StoredTensor) -> NDArray[Any]:
    size = math.prod(tensor.shape)
    if size == 0:
        return np.empty(tensor.shape, values.dtype)
    strides = [step * values.itemsize for step in tensor.strides]
    view = np.lib.stride_tricks.as_strided(
        values[tensor.offset :], tensor.shape, strides, writeable=False
    )
    return view if size == len(values) and view.flags.c_contiguous else view.copy()


def describe_storage(reference: object, places: Mapping[str, Place]) -> Storage | Placeholder:
    """Describe the storage that a pickle refers to.

    Args:
        reference: ``("storage", class, key, device, number of values)``; the older format adds
            None.
        places: Where storages start, for later.

    Raises:
        ValueError: The reference is anything else.
    """
    if isinstance(reference, tuple) and reference[:1] == ("module",) and len(reference) == 4:
        return Placeholder("torch.nn.Module")  # how the older format refers to network classes
    if not isinstance(reference, tuple) or len(reference) not in (5, 6):
        raise ValueError("a reference that is not a storage")
    kind, cls, key, _, count = reference[:5]
    if kind != "storage" or not isinstance(cls, Name) or not isinstance(key, str):
        raise ValueError("a reference that is not a storage")
    if len(reference) == 6 and reference[5] is not None:
        raise ValueError("a view of a storage, which only files of 2017 have")
    name = cls.name.removeprefix("torch.").removeprefix("cuda.").removesuffix("Storage")
    if name not in DTYPES or not cls.name.startswith("torch."):
        return Placeholder(cls.name)
    return Storage(key, DTYPES[name], _natural(count), places)


def _natural(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        found = value if isinstance(value, int) else type(value).__name__
        raise ValueError(f"expected a number from 0, found {found}")
    return value


def _tensor(storage: object, offset: object, shape: object, strides: object, *_: object) -> object:
    """Describe a tensor; torch's ``_rebuild_tensor`` and ``_rebuild_tensor_v2``."""
    if isinstance(storage, Placeholder):
        return storage
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    if not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ValueError("a tensor without a shape")
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"a tensor of {len(shape)} dimensions with {len(strides)} strides")
    tensor = StoredTensor(
        storage, tuple(map(_natural, shape)), tuple(map(_natural, strides)), _natural(offset)
    )
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * step for size, step in steps)
    if 0 not in tensor.shape and last >= storage.count:
        raise ValueError(f"a tensor reaches beyond the {storage.count} values of its storage")
    return tensor


def _parameter(data: object, *_: object) -> object:
    """A parameter is its tensor; torch's ``_rebuild_parameter``."""
    return data


def _of_type(function: object, _: object, arguments: object, *__: object) -> object:
    """A tensor of a subclass is its tensor; torch's ``_rebuild_from_type_v2``."""
    if isinstance(function, Name) and not function.name.startswith("torch."):
        return Placeholder(function.name)
    return call(function, arguments, CONSTRUCTORS)


def _dictionary(*arguments: object) -> object:
    """``OrderedDict`` starts empty; old pickles pass pairs."""
    if not arguments:
        return {}
    pairs = arguments[-1]
    if not isinstance(pairs, list) or not all(isinstance(pair, list) for pair in pairs):
        return {}  # a defaultdict's factory
    return {key: value for key, value in pairs if isinstance(key, str)}


def _size(shape: object = ()) -> object:
    """A shape is a tuple; torch's ``Size``."""
    return shape


CONSTRUCTORS: dict[str, Callable[..., object]] = {
    "collections.OrderedDict": _dictionary,
    "collections.defaultdict": _dictionary,
    "torch.Size": _size,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
}
"""All functions that a file can call, by the names it uses. Each is ours and only makes values."""
