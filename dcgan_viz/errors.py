"""The one exception that is meant for users."""


class UserError(ValueError):
    """A request that cannot be carried out, said in one sentence with a way out.

    The command line prints the message and exits with status 2; library callers catch it as a
    `ValueError`.
    """
