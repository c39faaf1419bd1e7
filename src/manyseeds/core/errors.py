"""The exceptions that a user is meant to read."""


class UserError(Exception):
    """Something the user can mend; its message names the file, the key, the value and what is allowed."""


class StorageError(UserError):
    """A file that cannot be written, because the disk is full, for instance; the message names it and the cause."""
