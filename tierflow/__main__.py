"""``python -m tierflow`` is the command line."""

from tierflow.cli import main

if __name__ == "__main__":
    main()
