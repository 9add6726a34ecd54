"""For tests of packages that extend wasmlrun: what an extension has to do, as checks to run."""
