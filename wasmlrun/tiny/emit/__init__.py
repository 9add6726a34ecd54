"""C for a graph's operations: one structure and one call for each, by what they do."""
