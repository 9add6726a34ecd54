"""Compilers for workers: one file a toolchain, and the three places they come from.

A toolchain looks for what the user has, then for what wasmlrun installed before, and installs
a pinned one only when it may (`Installer`).
"""
