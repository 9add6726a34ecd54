"""One module a form. It has `make(target, asked)`, which gives a `Renderer`."""
