"""Who watches the work: a parent, the child's shared board, and what a death means."""
