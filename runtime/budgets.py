"""The budgets: how much a file from a stranger may claim before samzoo refuses it.

Each is checked before the work that it bounds. ``docs/limits.md`` is the same list for people; a
test compares the two. All are our own choices, far above what real files have.
"""

MAX_JSON_BYTES = 16 * 2**20
"""A config, manifest, index or file of prompts. Configs and manifests have some kB."""

MAX_JSON_DEPTH = 64
"""Objects and lists inside of each other, in JSON and TOML. Our own files have some ten."""

MAX_INTEGER = 2**128
"""An integer in JSON, without its sign: the state of NumPy's generator has 128 bits."""

MAX_TOML_BYTES = 2**20
"""A training config, a card file or a recipe. Those of people have some kB."""

MAX_CARD_BYTES = 2**18
"""A model card. The shipped one has 11 kB."""

MAX_CARD_BRACKETS = 2000
"""Opening brackets in a card of which a page is made: the time of Markdown grows with their
square. With more it is shown as plain text."""

MAX_TENSORS = 20_000
"""Tensors of a safetensors file. A ViT-H SAM has 594."""

MAX_LAYERS = 256
"""Blocks, layers or heads that a config may name. A ViT-H has 32 blocks and 16 heads."""

MAX_PIXELS = 2**28
"""An image that is decoded as a whole, 16384 x 16384 pixels: its embeddings and the AIS decoder's
float32 maps, 3 GB, still fit into a workstation's memory."""

MAX_PLANE_PIXELS = 2**38
"""One plane of a file that is read in pieces, 524288 x 524288 pixels."""

MAX_CHUNK_BYTES = 2**31
"""A chunk of a Zarr array, or a tile or strip of a TIFF, decoded."""

MAX_CHUNKS = 2**22
"""Chunks in a plane of a Zarr array, and tiles or strips in a page of a TIFF."""

MAX_ZARR_BYTES = 2**24
"""A description of a Zarr array or group. Plates have the largest."""

MAX_GRAPH_DEPTH = 12
"""Graphs inside nodes of an ONNX file. Ours have none."""

MAX_GRAPH_FIELDS = 2_000_000
"""Fields of an ONNX file that are looked at. The largest graph of the shipped model has 23,333."""

MAX_FILES = 2000
"""Files of a package. One of a hundred adapters has some three hundred."""

MAX_FILE_BYTES = 16 * 2**30
"""A file of a package that is downloaded. The largest model, ViT-H in float32, has 2.6 GB."""

MAX_PACKAGE_BYTES = 64 * 2**30
"""A package that is downloaded."""

MAX_PICKLE_BYTES = 64 * 2**20
"""The pickle of a PyTorch file, without its tensors."""

MAX_PICKLE_OPCODES = 2_000_000
"""Steps of a pickle."""

MAX_PICKLE_ITEMS = 5_000_000
"""Items that all steps of a pickle put into lists, tuples and dicts together."""

MAX_CHECKPOINT_BYTES = 12 * 2**30
"""All tensors of a checkpoint together."""
