"""The version of eyas: one literal, so that asking for it costs no search through installed packages."""

__version__ = "0.1.0"
