"""The nets, and how they are built for a data set."""
