"""Answers for stdout and for files, in each form that there is."""
