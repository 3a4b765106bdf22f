"""Annotation by a person: what a model found is corrected, and every change is on the disk at once.

``session.py`` is the way in. The page of ``samzoo annotate`` and other front ends draw what it
says; ``edits.py`` and ``label_file.py`` also serve the command line.
"""
