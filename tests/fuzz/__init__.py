"""Seeded fuzzing: mutated models, images, manifests, labels and guests, and random calls."""
