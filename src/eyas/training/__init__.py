"""The training loop: recipe, state, schedule, step, events, checkpoints, recovery."""
