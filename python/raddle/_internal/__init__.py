"""What the public modules are made of; private, and free to change."""

from raddle._raddle import __version__

__all__ = ["__version__"]
