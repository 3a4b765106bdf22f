"""A model's networks in onnxruntime, and the image embeddings that they compute."""
