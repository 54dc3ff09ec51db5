"""`python -m grainsmith`: the command line, wherever Python is."""

from grainsmith.cli import main

if __name__ == "__main__":
    main()
