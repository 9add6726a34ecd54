"""Answers on stdout and in files, in each form that there is. Nothing else writes there."""
