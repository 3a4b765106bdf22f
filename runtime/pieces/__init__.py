"""The steps of a large image's segmentation, piece by piece, in one process or a cluster."""
