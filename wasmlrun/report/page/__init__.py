"""A result as one self-contained page: no script, nothing fetched, everything escaped."""
