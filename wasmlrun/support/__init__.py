"""What every part may use: errors, records, limits, tensors, paths, the cache.

Imports nothing of the other packages.
"""
