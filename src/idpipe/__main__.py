"""`python -m idpipe`."""

from idpipe.cli import main

main()
