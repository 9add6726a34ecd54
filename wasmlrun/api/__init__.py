"""wasmlrun as a Python library: a worker or a program that is called many times."""
