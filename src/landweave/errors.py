"""The one exception for what a user can mend."""

import re


class InputError(ValueError):
    r"""What the user gave cannot be used.

    The message is one line that says what was given, where (file, key, band, date, patch) and what to do.
    The command line prints it and exits with status 2.

    A name from a file may contain line breaks or commands to a terminal; each becomes a space.

    >>> str(InputError("item 'a\n\x1b[2Jb': no assets"))
    "item 'a [2Jb': no assets"
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", str(message)).strip())
