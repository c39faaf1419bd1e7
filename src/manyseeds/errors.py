"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something the user can mend; its message names the file, the key, the value and what is allowed."""
