"""The one exception for what a user can mend."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line that says what was given, where (file, key, band, date, patch) and what to do.
    The command line prints it and exits with status 2.
    """
