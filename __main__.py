"""Run etsim as ``python -m etsim``."""

from .cli import main

if __name__ == "__main__":
    main()
