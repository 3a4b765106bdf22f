"""The page of ``samzoo annotate``: the session of ``annotation/`` in a browser on the same machine.

``serving.py`` starts it, ``guards.py`` says who is let in, ``actions.py`` what a request may ask.
The page itself is three plain files, without a build step.
"""
