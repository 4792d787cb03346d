"""Fit one network to one image. `python train.py --help` lists the options; `dip/__main__.py` is the program."""

from dip.__main__ import main

if __name__ == "__main__":
    main()
