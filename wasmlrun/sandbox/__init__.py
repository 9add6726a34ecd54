"""Where a guest runs: compiling, linking, starting and ending an instance."""
