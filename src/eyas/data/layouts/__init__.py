"""Layouts: the ways in which people keep labelled images, one family a file. `eyas.data.source.find` chooses."""
