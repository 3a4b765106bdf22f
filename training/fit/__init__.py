"""The training loop: its state, schedule, validation and files."""
