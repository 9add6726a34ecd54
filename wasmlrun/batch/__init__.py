"""Many pictures into one file of rows: nothing lost, nothing twice, whatever is killed."""
