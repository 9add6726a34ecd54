"""The kinds of sources: each gives its pictures as a stream of items in a fixed order."""
