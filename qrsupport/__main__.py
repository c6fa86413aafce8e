"""`python -m qrsupport` is the command `qrsupport`."""

from .cli import main

main()
