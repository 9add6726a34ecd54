"""The command line: options that commands share, how words are read, help."""
