"""One step of training: the model that learns, its objectives, its precision."""
