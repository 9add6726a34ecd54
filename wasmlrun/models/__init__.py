"""Models by name: catalogue, download, what is kept, and what a model file says."""
