"""A Zarr array of a stranger, whose chunks are checked before they are decoded.

In: an opened array. Out: the same array with codecs that check, and only with codecs that samzoo
knows: numcodecs has some that run code, such as ``pickle``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import zarr
from numcodecs.abc import Codec
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec

from samzoo.runtime.budgets import MAX_CHUNK_BYTES, MAX_CHUNKS
from samzoo.runtime.errors import ImageError, shown

from .encoded import CHECKS, STREAMS, inflated

PLAIN = ("bytes", "transpose", "crc32c")
"""Codecs of Zarr 3 that make no more bytes than they take."""

FILTERS = ("delta", "shuffle", "crc32", "adler32", "fixedscaleoffset")
"""Filters of Zarr 2; what they make has at most ``WIDEST`` bytes a value."""

WIDEST = 16


def guarded(array: Any, *, where: str) -> Any:
    """Let an array check its chunks.

    Args:
        array: A ``zarr.Array`` that was opened for reading.
        where: The array's path, for messages.

    Returns:
        The array to read from. A chunk that claims or holds too much is a ``ValueError``.

    Raises:
        ImageError: The array has a codec that samzoo does not know, chunks that are too large, or
            too many of them in a plane.
    """
    metadata = array.metadata
    chunks = tuple(array.shards or array.chunks)
    size = math.prod(chunks) * max(1, array.dtype.itemsize)
    if array.dtype.kind not in "buif" or 0 in chunks:
        raise ImageError(f"{where}: dtype: found {shown(str(array.dtype))}, allowed are numbers")
    if size > MAX_CHUNK_BYTES:
        raise ImageError(
            f"{where}: chunks: found {chunks} of {size} bytes, allowed are {MAX_CHUNK_BYTES}; "
            "store the image in smaller chunks"
        )
    sides = zip(array.shape[-2:], array.chunks[-2:], strict=True)
    in_plane = math.prod(-(-length // side) for length, side in sides)
    if in_plane > MAX_CHUNKS:
        raise ImageError(
            f"{where}: chunks: found {in_plane} in a plane, allowed are {MAX_CHUNKS}; store the "
            "image in larger chunks"
        )
    if metadata.zarr_format == 2:
        changed = dataclasses.replace(metadata)
        filters = tuple(_filter(each, where) for each in metadata.filters or ())
        values = math.prod(chunks)
        limit = values * (WIDEST if filters else array.dtype.itemsize)
        compressor = metadata.compressor
        checked = None if compressor is None else _Checked(compressor, limit, where)
        object.__setattr__(changed, "compressor", checked)
    else:
        codecs = tuple(_known(codec, where) for codec in metadata.codecs)
        changed = dataclasses.replace(metadata)
        object.__setattr__(changed, "codecs", codecs)
    inner = array.async_array if hasattr(array, "async_array") else array._async_array
    return zarr.Array(type(inner)(metadata=changed, store_path=inner.store_path))


def _filter(codec: Any, where: str) -> Any:
    if codec.codec_id not in FILTERS:
        raise _unknown(codec.codec_id, where)
    return codec


def _unknown(name: object, where: str) -> ImageError:
    known = ", ".join(sorted({*CHECKS, *STREAMS, *FILTERS, *PLAIN, "sharding_indexed"}))
    return ImageError(
        f"{where}: codecs: found {shown(name)}, allowed: {known}; store the image with another "
        "compressor"
    )


def _decode(name: str, data: bytes, limit: int, inner: Callable[[bytes], Any]) -> Any:
    if name in STREAMS:
        return inflated(data, limit, STREAMS[name]())
    CHECKS[name](data, limit)
    return inner(data)


class _Checked(Codec):  # type: ignore[misc]  # numcodecs has no types
    """A compressor of Zarr 2."""

    codec_id = "samzoo_checked"

    def __init__(self, inner: Any, limit: int, where: str) -> None:
        if inner.codec_id not in (*CHECKS, *STREAMS):
            raise _unknown(inner.codec_id, where)
        self.inner, self.limit = inner, limit

    def encode(self, buf: Any) -> Any:
        raise NotImplementedError("opened for reading")

    def decode(self, buf: Any, out: Any = None) -> Any:
        return _decode(self.inner.codec_id, bytes(buf), self.limit, self.inner.decode)


def _known(codec: Any, where: str) -> Any:
    """Return a codec of Zarr 3 that checks."""
    name = str(codec.to_dict()["name"])
    if isinstance(codec, ShardingCodec):
        codecs = tuple(_known(each, where) for each in codec.codecs)
        changed = dataclasses.replace(codec)
        object.__setattr__(changed, "codecs", codecs)
        return changed
    if name in PLAIN:
        return codec
    short = name.removeprefix("numcodecs.")
    if short not in (*CHECKS, *STREAMS):
        raise _unknown(name, where)
    return _CheckedV3(codec, short)


class _CheckedV3(BytesBytesCodec):
    """A compressor of Zarr 3."""

    is_fixed_size = False

    def __init__(self, inner: Any, name: str) -> None:
        self.inner, self.name = inner, name

    def to_dict(self) -> Any:
        return self.inner.to_dict()

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError("opened for reading")

    def evolve_from_array_spec(self, array_spec: Any) -> _CheckedV3:
        return _CheckedV3(self.inner.evolve_from_array_spec(array_spec), self.name)

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        data = chunk_data.to_bytes()
        limit = math.prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize
        if self.name in STREAMS:
            found = await asyncio.to_thread(inflated, data, limit, STREAMS[self.name]())
            return chunk_spec.prototype.buffer.from_bytes(found)
        CHECKS[self.name](data, limit)
        return await self.inner._decode_single(chunk_data, chunk_spec)
