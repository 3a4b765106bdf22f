"""ONNX graphs: tracing, storage in fewer bytes, and reading without running them."""
