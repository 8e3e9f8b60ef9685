"""What moto does differently from AWS and cannot be mended from outside; see GAPS.md."""


def apply():
    """Changes moto in place."""
