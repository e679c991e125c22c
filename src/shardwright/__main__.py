"""`python -m shardwright`: the same command line as the `shardwright` script."""

from shardwright.cli.main import main

if __name__ == "__main__":
    main()
