"""ONNX graphs: traced, stored in fewer bytes, and read without running them."""
