"""Making workers: languages, projects, compilers and script interpreters."""
