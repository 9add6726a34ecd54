"""Looking at an installation, a file or a worker: doctor, inspect, check, bench, compare,
engines, suggest.
"""
