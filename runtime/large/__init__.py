"""Automatic segmentation of images of any size, in constant memory and in pieces.

``segment.py`` is the main path: limits, maps, seeds, numbers, objects, output. Each step writes
files into a work folder, so that a run goes on where another ended and any number of processes may
share the work. What comes out does not depend on how it was shared.
"""
