"""The river in a few lines: the best place to start reading."""
