"""Engines: images in, probabilities out, whatever computes."""
