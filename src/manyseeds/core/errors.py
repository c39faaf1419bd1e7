"""Exceptions whose messages are written for the user."""


class UserError(Exception):
    """An error that the user can correct; its message names the file, the key, the value and what is allowed."""


class StorageError(UserError):
    """A file cannot be written, for instance because the disk is full; the message names the file and the cause."""
