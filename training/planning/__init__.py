"""What a training run will need, before it begins: memory, time, and the methods that fit."""
