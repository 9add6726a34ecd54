"""How an image reaches a worker and how the worker's answer becomes predictions.

`tensor` is wasmlrun's own contract (samples/README.md), `wws` is Wasm Workers Server's.
"""
