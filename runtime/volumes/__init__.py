"""Stacks: objects joined over slices, and prompted objects followed through slices."""
