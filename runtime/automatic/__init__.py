"""Automatic segmentation: AIS from maps, AMG from a grid of points, APG from points in the maps."""
