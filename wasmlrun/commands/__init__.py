"""One file a command: options in, exit code out. What several do is below, in `line` and `work`."""

COMMANDS = {
    "classify": "Classify images with a worker and print the top-k labels.",
    "infer": "Give any model a file: boxes, masks, vectors, text, sound.",
    "batch": "Classify a folder, a list or an archive into a file.",
    "run": "Run any WASI program in the sandbox, its exit code passed through.",
    "serve": "Serve a folder of workers, or models as an API with a page.",
    "inspect": "Look inside a module, a component, a manifest or a model.",
    "bench": "Say where a one-shot's time goes, cold and warm.",
    "cache": "Show or empty the cache of compiled workers and models.",
    "new": "Write a fresh worker's project in the language of your choice.",
    "build": "Build a worker's project with your toolchain, or install one.",
    "pack": "Pack a model into a worker that needs no engine.",
    "compile": "Compile a worker ahead of time, to run it without a compiler.",
    "bundle": "Write a worker and its model into one file that Python runs.",
    "check": "Try a worker with wrong and unusual input.",
    "runtimes": "Prepare the interpreters that run scripts as workers.",
    "compare": "Show what several engines make of one picture, side by side.",
    "report": "Say what a result comes to, and draw it as a page.",
    "engines": "List the inference engines, or how to install them.",
    "models": "Pull, list, inspect and check models.",
    "doctor": "Check this installation, the sandbox included.",
    "config": "Show what is set, and by what.",
    "help": "Explain a command or a topic.",
}
"""Each is a file of this folder; its line is what --help says of it."""
