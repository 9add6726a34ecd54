"""What happened when: spans and WASI-NN calls, written for a trace viewer."""
