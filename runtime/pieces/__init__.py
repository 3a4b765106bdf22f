"""The steps that segment a large image piece by piece, in one process or on a cluster."""
