"""WASI-NN's rules and bindings; `wasmlrun.nn` is the front door."""
