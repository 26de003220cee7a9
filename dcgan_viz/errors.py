"""What is meant for users: the one exception, and the one warning."""


class UserError(ValueError):
    """A request that cannot be carried out, said in one sentence with a way out.

    The command line prints the message and exits with status 2; library callers catch it as a
    `ValueError`.
    """


class Notice(UserWarning):
    """Something that was done otherwise than one might think, such as files that were left out.

    The command line prints it as a line on standard error; library callers filter it like any warning.
    """
