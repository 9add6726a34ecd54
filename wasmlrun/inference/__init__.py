"""More than labels: what a file becomes for a model, and what its outputs become for people."""
