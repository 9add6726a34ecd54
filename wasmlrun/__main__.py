"""`python -m wasmlrun` is the `wasmlrun` command."""

from wasmlrun.cli import main

if __name__ == "__main__":
    main()
