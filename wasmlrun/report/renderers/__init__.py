"""One module a form. It has `make(target, about)`, which gives a `Renderer`."""
