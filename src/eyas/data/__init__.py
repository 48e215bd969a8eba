"""The data path, torch-free: sources, packs, order, draws, augmentation, the stream."""
