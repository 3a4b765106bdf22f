"""SAM in torch, built from a config's numbers, and the graphs that the exporter traces."""
