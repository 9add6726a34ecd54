"""Answers on stdout, in each form that there is. Nothing else writes there."""
