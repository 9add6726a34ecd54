"""wasmlrun: run machine-learning workers in WebAssembly from the command line."""

__version__ = "0.1.0"
