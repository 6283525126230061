"""`python -m keras_dsd`: the command `keras-dsd`."""

from keras_dsd.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
