"""The training loop: its steps, state, schedule and validation."""
