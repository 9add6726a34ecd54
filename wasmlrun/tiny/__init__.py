"""A model packed into a WebAssembly module that needs no engine.

`tflite` and `onnxfile` read a file into a `graph`, with `onnx_qlinear` and `bytes_again` for ONNX's
ways of quantising; `simplify` folds and fuses, `support` tells what cannot be built; `weights`
packs constants, `arena` plans memory, `source` writes C against the kernels in `kernels/`, with
`emit/` for each kind of operation, `build` compiles it, and `description` describes the module in
itself.
"""
