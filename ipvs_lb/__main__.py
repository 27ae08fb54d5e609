"""`python -m ipvs_lb` is `ipvs-lb`."""

from ipvs_lb.cli import main

if __name__ == "__main__":
    main()
