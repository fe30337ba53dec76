"""`python -m arena_lib` is `arena`."""

from arena_lib.cli import main

if __name__ == "__main__":
    main()
