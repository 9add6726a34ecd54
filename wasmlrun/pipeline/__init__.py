"""From a command to its results: the plan, and what one image or one program goes through."""
